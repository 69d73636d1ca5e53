import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Log, silent } from '#api/log.ts'
import { LoopWatch } from './loop-watch.ts'

test('a turn that took too long is told with what began in it', () => {
  let now = 0
  let worked = 0
  const told: unknown[] = []
  const seen: number[] = []
  const log: Log = { ...silent, warn: (about: unknown) => void told.push(about) }
  const watch = new LoopWatch({ now: () => now, worked: () => worked, log, observe: (seconds) => void seen.push(seconds) })
  watch.began(() => 'GET /quick (a)')
  now += 250
  watch.look()
  assert.deepEqual(told, [], 'a look that is late by less is nothing')
  watch.began(() => 'POST /slow (b)')
  now += 700
  worked += 650
  watch.look()
  assert.deepEqual(told, [{ ms: 600, begun: ['POST /slow (b)'] }])
  now += 5000
  worked += 20
  watch.look()
  assert.deepEqual(seen, [0.6], 'a process that others keep from the processor holds nothing')
})
