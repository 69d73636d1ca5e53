import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { everything } from './conformance.ts'
import { openNft } from './kernel.ts'

/** Elements stand in no order that means anything, and lines are broken elsewhere. */
const normal = (text: string) =>
  text
    .replaceAll(
      /elements = \{([^}]*)\}/g,
      (_, list: string) =>
        `elements = { ${list
          .split(',')
          .map((one) => one.trim())
          .sort()
          .join(', ')} }`,
    )
    .replaceAll(/ expires \w+/g, '')
    .trim()

test('what is dumped is what nft lists', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const nft = await openNft({ netns })
  t.after(() => nft.close())
  for (const commands of everything) await nft.run(commands)
  const listed = execFileSync('nsenter', [`--net=${netns}`, 'nft', 'list', 'ruleset'], { encoding: 'utf8' })
  assert.deepEqual(normal(await nft.dump()).split('\n'), normal(listed).split('\n'))
})

test('and what is dumped, nft loads', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const nft = await openNft({ netns })
  t.after(() => nft.close())
  for (const commands of everything) await nft.run(commands)
  const text = await nft.dump()
  const load = (input: string) => execFileSync('nsenter', [`--net=${netns}`, 'nft', '-f', '-'], { input, encoding: 'utf8' })
  load(`flush ruleset\n${text}`)
  // nft puts the test that `tcp reset` implies first; where it stands makes no difference.
  assert.equal((await nft.dump()).replace('meta l4proto tcp ct state new reject', 'ct state new reject'), text)
})
