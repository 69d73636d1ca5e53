import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dividedBy, isQuantity, millis, units } from './quantity.ts'

test('quantities in whole units and thousandths, rounded up', () => {
  for (const [text, whole, thousandths] of [
    ['0', 0, 0],
    ['100m', 1, 100],
    ['1.5', 2, 1500],
    ['.5', 1, 500],
    ['2.', 2, 2000],
    ['1e3', 1000, 1_000_000],
    ['1E-2', 1, 10],
    ['64Mi', 67_108_864, 67_108_864_000],
    ['1.5Gi', 1_610_612_736, 1_610_612_736_000],
    ['1M', 1_000_000, 1_000_000_000],
    ['100u', 1, 1],
    ['1n', 1, 1],
    ['-1500m', -1, -1500],
    ['1E', 1e18, 1e21],
  ] as const) {
    assert.equal(isQuantity(text), true, text)
    assert.equal(units(text), whole, text)
    assert.equal(millis(text), thousandths, text)
  }
})

test('what is no quantity', () => {
  for (const text of ['', '.', 'm', '1 Mi', '1mi', '0x10', '1KiB', '1e', 'e3']) {
    assert.equal(isQuantity(text), false, text)
    assert.equal(units(text), 0)
  }
  assert.equal(millis(undefined), 0)
})

test('a resource in a divisor, rounded up', () => {
  assert.equal(dividedBy('250m', '1'), 1n)
  assert.equal(dividedBy('250m', '1m'), 250n)
  assert.equal(dividedBy('64Mi', '1Ki'), 65_536n)
  assert.equal(dividedBy('64Mi', '0'), 67_108_864n)
  assert.equal(dividedBy('1500M', '1Gi'), 2n)
})
