import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { silent } from '#api/log.ts'
import { coalesce } from './coalesce.ts'

test('changes during a run become one more run', async () => {
  const clock = fakeClock()
  const runs: (() => void)[] = []
  const work = coalesce(() => new Promise<void>((resolve) => runs.push(resolve)), { name: 'work', clock, log: silent })
  work.poke()
  for (let i = 0; i < 5; i++) work.poke()
  await settle()
  assert.equal(runs.length, 1)
  for (let i = 0; i < 5; i++) work.poke()
  runs[0]!()
  await work.first
  await settle()
  assert.equal(runs.length, 2)
  runs[1]!()
  await settle()
  assert.equal(runs.length, 2)
  await work.close()
})

test('a failure is tried again, later and later, until it is closed', async () => {
  const clock = fakeClock()
  let runs = 0
  const fail = async () => {
    runs += 1
    throw new Error('no')
  }
  const work = coalesce(fail, { name: 'work', clock, log: silent })
  work.poke()
  await clock.advance(100)
  assert.equal(runs, 2)
  await clock.advance(199)
  assert.equal(runs, 2)
  await clock.advance(1)
  assert.equal(runs, 3)
  await work.close()
  assert.equal(clock.pending, 0)
})

test('the first change is applied at once, what gathers after it in one more run', async () => {
  const clock = fakeClock()
  let runs = 0
  const work = coalesce(async () => void runs++, { name: 'work', clock, log: silent, gather: 20 })
  work.poke()
  await settle()
  assert.equal(runs, 1)
  work.poke()
  await clock.advance(10)
  work.poke()
  assert.equal(runs, 1)
  await clock.advance(10)
  assert.equal(runs, 2)
  await clock.advance(100)
  assert.equal(runs, 2)
  work.poke()
  await settle()
  assert.equal(runs, 3)
  await work.close()
})
