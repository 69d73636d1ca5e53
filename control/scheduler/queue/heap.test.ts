import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Heap } from './heap.ts'

test('gives the first of all that are in it, whatever order they came in', () => {
  const heap = new Heap<number>((a, b) => a < b)
  const left: number[] = []
  let state = 1
  for (let step = 0; step < 5000; step += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    if (state % 5 < 3) {
      heap.push(state >> 8)
      left.push(state >> 8)
      continue
    }
    left.sort((a, b) => a - b)
    assert.equal(heap.pop(), left.shift())
  }
  for (const next of left.sort((a, b) => a - b)) assert.equal(heap.pop(), next)
  assert.equal(heap.pop(), undefined)
})
