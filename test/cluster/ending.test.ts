import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { attempt } from './shell.ts'

test('a file whose end fails runs the rest of it, and ends although something still holds it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-ending-'))
  t.after(() => rm(dir, { recursive: true }))
  const file = join(dir, 'held.test.mjs')
  await writeFile(
    file,
    `import { createServer } from 'node:net'
     import { test } from 'node:test'
     import { atEnd } from ${JSON.stringify(resolve(import.meta.dirname, 'ending.ts'))}
     createServer().listen(0)
     atEnd(() => console.log('ran last'))
     atEnd(() => { throw new Error('left something behind') })
     atEnd(() => console.log('ran first'))
     test('passes', () => {})`,
  )
  // Not as a part of this run, whose runner would take its reports.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const { stdout, code } = await attempt(process.execPath, ['--test', '--test-reporter=spec', file], { env, timeout: 60_000 })
  assert.equal(code, 1, stdout)
  assert.match(stdout, /ran first[\s\S]*ran last[\s\S]*left something behind/)
})
