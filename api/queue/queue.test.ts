import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '../clock.fake.ts'
import { WorkQueue } from './queue.ts'

const clock = fakeClock()

test('a key added many times is handed out once', async () => {
  const queue = new WorkQueue({ clock })
  for (const key of ['a', 'b', 'a', 'a']) queue.add(key)
  assert.equal(await queue.take(), 'a')
  assert.equal(await queue.take(), 'b')
  assert.equal(queue.size, 0)
})

test('a key added while it is processed comes back after done, and not before', async () => {
  const queue = new WorkQueue({ clock })
  queue.add('a')
  assert.equal(await queue.take(), 'a')
  queue.add('a')
  queue.add('a')
  assert.equal(queue.size, 0)
  const second = queue.take()
  queue.add('b')
  assert.equal(await second, 'b')
  queue.done('a')
  assert.equal(await queue.take(), 'a')
  queue.done('a')
  assert.equal(queue.size, 0)
})

test('a waiting taker gets the key at once, and a second add of it still waits for done', async () => {
  const queue = new WorkQueue({ clock })
  const first = queue.take()
  const second = queue.take()
  queue.add('a')
  queue.add('a')
  assert.equal(await first, 'a')
  let other = false
  void second.then(() => (other = true))
  await clock.advance(0)
  assert.equal(other, false)
  queue.done('a')
  assert.equal(await second, 'a')
})

test('of several delays the shortest counts', async () => {
  const queue = new WorkQueue({ clock })
  queue.addAfter('a', 1000)
  queue.addAfter('a', 100)
  queue.addAfter('a', 5000)
  const taken = queue.take()
  await clock.advance(100)
  assert.equal(await taken, 'a')
  queue.done('a')
  await clock.advance(10_000)
  assert.equal(queue.size, 0)
})

test('retries back off from 5 ms, double, stop growing, and start anew after forget', () => {
  const queue = new WorkQueue({ clock, backoff: { first: 5, longest: 60 } })
  assert.deepEqual(
    Array.from({ length: 6 }, () => queue.retry('a')),
    [5, 10, 20, 40, 60, 60],
  )
  queue.forget('a')
  assert.equal(queue.retry('a'), 5)
  queue.close()
})

test('close sends takers home and leaves no timer', async () => {
  const own = fakeClock()
  const queue = new WorkQueue({ clock: own })
  const taken = queue.take()
  queue.addAfter('a', 1000)
  queue.close()
  assert.equal(await taken, undefined)
  assert.equal(await queue.take(), undefined)
  assert.equal(own.pending, 0)
  queue.add('b')
  assert.equal(queue.size, 0)
})
