import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { collectWhenQuiet } from './garbage.ts'

const MiB = 1024 * 1024

test('garbage is collected when it is quiet and there is some, and then not again', async () => {
  const clock = fakeClock()
  let [held, busy, collections] = [60 * MiB, 0.9, 0]
  const collect = () => {
    collections += 1
    held = 30 * MiB
  }
  collectWhenQuiet({ clock, heap: { held: () => held, busy: () => busy, collect } })
  await clock.advance(60_000)
  assert.equal(collections, 0, 'busy')
  busy = 0.01
  await clock.advance(15_000)
  assert.equal(collections, 1, 'quiet')
  await clock.advance(600_000)
  assert.equal(collections, 1, 'nothing new')
  held += 3 * MiB
  await clock.advance(60_000)
  assert.equal(collections, 1, 'too little')
  held += 7 * MiB
  await clock.advance(60_000)
  assert.equal(collections, 2, 'enough')
})
