import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addQuantities, formatQuantity, parseQuantity, QuantityError } from './quantity.ts'

const canonical: Record<string, string> = {
  '0': '0',
  '0Ki': '0',
  '-0': '0',
  '1': '1',
  '+5': '5',
  '1000': '1k',
  '1500': '1500',
  '1000m': '1',
  '0.5': '500m',
  '.5': '500m',
  '5.': '5',
  '1.5': '1500m',
  '100m': '100m',
  '0.1m': '100u',
  '1u': '1u',
  '0.1n': '1n',
  '1.0000000001': '1000000001n',
  '-1.0000000001': '-1000000001n',
  '12e6': '12e6',
  '12E6': '12e6',
  '1e3': '1e3',
  '1.5e3': '1500',
  '1e-3': '1e-3',
  '1E': '1E',
  '2k': '2k',
  '1024Mi': '1Gi',
  '1025Mi': '1025Mi',
  '1.5Gi': '1536Mi',
  '0.5Ki': '512',
  '1023': '1023',
  '1024': '1024',
  '1Ki': '1Ki',
  '0.0001Ki': '102400u',
  '1.00001Ki': '1024010240u',
  '-1Mi': '-1Mi',
  '9223372036854775807': '9223372036854775807',
  '9223372036854775808': '9223372036854775807',
  '1e999999999': '9223372036854775807',
  '1e-999999999': '1e-9',
  '007': '7',
}
for (const [text, spelled] of Object.entries(canonical)) {
  test(`${text} is ${spelled}`, () => {
    const once = formatQuantity(parseQuantity(text))
    assert.equal(once, spelled)
    assert.equal(formatQuantity(parseQuantity(once)), spelled)
  })
}

test('what is no quantity', () => {
  for (const text of ['', ' ', '.', '1x', '1 Ki', 'Ki', '1.2.3', '1Kii', '1K', '1mi', '--1', '1e', '1e1.5', 'NaN', '0x10']) {
    assert.throws(() => parseQuantity(text), QuantityError, text)
  }
})

test('a very long number costs little', () => {
  const started = process.hrtime.bigint()
  assert.equal(formatQuantity(parseQuantity(`0.${'3'.repeat(1_000_000)}`)), '333333334n')
  assert.equal(formatQuantity(parseQuantity('9'.repeat(1_000_000))), '9223372036854775807')
  assert(process.hrtime.bigint() - started < 1_000_000_000n)
})

test('arithmetic is exact', () => {
  const sum = (a: string, b: string) => formatQuantity(addQuantities(parseQuantity(a), parseQuantity(b)))
  assert.equal(sum('0.1', '0.2'), '300m')
  assert.equal(sum('1Gi', '1Mi'), '1025Mi')
  assert.equal(sum('0', '1Mi'), '1Mi')
})
