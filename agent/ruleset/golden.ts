// Golden text of tables for tests: what stands in a folder's golden/, or with UPDATE_GOLDEN=1 what is to
// stand there, and that nft itself takes it and prints it alike.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { openNft } from 'nft-js'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'

export const goldenIn =
  (folder: string) =>
  (name: string, actual: string): string => {
    const file = join(folder, 'golden', `${name}.nft`)
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, actual)
    return readFileSync(file, 'utf8')
  }

/** nft loads each golden file; what we then read back from the kernel is the same text, and so is what nft lists. */
export const nftPrintsAlike = async (t: TestContext, folder: string, table: string): Promise<void> => {
  const netns = await freshNetns(t)
  const nft = await openNft({ netns })
  t.after(() => nft.close())
  const run = promisify(execFile)
  const cli = async (...args: string[]) => (await run('nsenter', [`--net=${netns}`, 'nft', ...args])).stdout
  for (const file of readdirSync(join(folder, 'golden'))) {
    const path = join(folder, 'golden', file)
    await cli('flush', 'ruleset')
    await cli('-f', path)
    const ours = (await nft.dump('ip', table)) + (await nft.dump('ip6', table))
    assert.equal(ours, readFileSync(path, 'utf8'))
    assert.deepEqual(normal(await cli('list', 'ruleset')), normal(ours))
  }
}

/** Lines, the elements of a set in order: nft prints them as the kernel's hash has them. */
const normal = (text: string): string[] =>
  text
    .replace(
      /elements = \{([^}]*)\}/g,
      (_, elements: string) =>
        `elements = { ${elements
          .split(',')
          .map((e) => e.trim())
          .sort()
          .join(', ')} }`,
    )
    .split('\n')
    .filter((line) => line.trim() !== '')
