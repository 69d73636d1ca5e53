import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { turnstile } from './breather.ts'

test('a turnstile lets through so many in a turn, in the order in which they came', async () => {
  const turn = turnstile(3)
  const through: number[] = []
  const pass = async (i: number) => {
    await turn()
    through.push(i)
  }
  const perTurn: number[] = []
  const all = Array.from({ length: 8 }, (_, i) => pass(i))
  const late: Promise<void>[] = []
  while (through.length < 9) {
    await nextTurn()
    perTurn.push(through.length)
    if (late.length === 0) late.push(pass(8))
  }
  await Promise.all([...all, ...late])
  assert.deepEqual(through, [0, 1, 2, 3, 4, 5, 6, 7, 8])
  assert.ok(
    perTurn.every((count, i) => count - (perTurn[i - 1] ?? 0) <= 3 + (i === 0 ? 3 : 0)),
    perTurn.join(),
  )
  assert.ok(perTurn.length >= 2, perTurn.join())
  await nextTurn()
  await nextTurn()
  assert.equal(turn(), undefined, 'after a quiet time nobody waits')
})
