import assert from 'node:assert/strict'
import { test } from 'node:test'
import { handOf } from './hand.ts'

test('a hand has different queues, is always the same, and hands are spread evenly', () => {
  const seen = Array<number>(16).fill(0)
  for (let flow = 0; flow < 4000; flow += 1) {
    const hand = handOf(`flow ${flow}`, 16, 4)
    assert.equal(new Set(hand).size, 4)
    assert.deepEqual(hand, handOf(`flow ${flow}`, 16, 4))
    for (const queue of hand) seen[queue]! += 1
  }
  assert.ok(
    seen.every((n) => Math.abs(n - 1000) < 150),
    seen.join(' '),
  )
  assert.deepEqual(handOf('x', 1, 1), [0])
  assert.deepEqual(
    handOf('x', 8, 8).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
})
