import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { freshNetns, needsRoot } from './testing/fresh-netns.ts'

const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
const blocks = [...readme.matchAll(/```(\w*)\n([^]*?)```/g)].map(([, language, text = '']) => ({ language, text }))

test('the examples do what the README says', { skip: needsRoot }, async (t) => {
  const [first, printed, second] = blocks
  assert.deepEqual([first?.language, printed?.language, second?.language], ['ts', '', 'ts'])
  assert.equal(first?.text.trim().split('\n').length, 5)
  for (const [example, output] of [
    [first, printed?.text],
    [second, 'lo v1 v0\n'],
  ] as const) {
    const netns = await freshNetns(t)
    const file = join(dirname(netns), 'example.ts')
    const text = example?.text.replace("'nft-js'", `'${import.meta.resolve('nft-js')}'`).replace('/run/netns/blue', netns)
    writeFileSync(file, text ?? '')
    assert.equal(execFileSync(process.execPath, [file], { encoding: 'utf8', timeout: 10_000 }).trim(), output?.trim())
  }
})
