import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, constants, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Programs } from './conmon.ts'
import { startCreated } from './runc.ts'

/** A container that waits to be started, as far as its FIFO goes. */
function waiting(t: TestContext): { programs: Programs; fifo: string } {
  const dir = mkdtempSync(join(tmpdir(), 'runc-'))
  t.after(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'c1'))
  const fifo = join(dir, 'c1/exec.fifo')
  execFileSync('mkfifo', [fifo])
  return { programs: { runtime: 'runc', runtimeRoot: dir } as Programs, fifo }
}

test('a container that is over before its start was noticed was started', async (t) => {
  const { programs, fifo } = waiting(t)
  const writer = openSync(fifo, constants.O_RDWR)
  writeSync(writer, '0')
  await startCreated(programs, 'c1', Promise.resolve())
  closeSync(writer)
  assert.equal(existsSync(fifo), false)
})

test('one that ended before it could be was not', async (t) => {
  const { programs, fifo } = waiting(t)
  await assert.rejects(startCreated(programs, 'c1', Promise.resolve()), { message: 'the container ended before it was started' })
  assert.equal(existsSync(fifo), true)
})
