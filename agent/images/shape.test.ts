import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Malformed } from './malformed.ts'
import { count, flag, list, matching, number, object, optional, or, record, type Shape, strictObject, text } from './shape.ts'

const shape = object({
  name: text,
  size: count,
  ratio: optional(number),
  digest: optional(matching(/^sha256:[0-9a-f]+$/)),
  tags: or(list(text, 2), []),
  labels: optional(record(text)),
})

test('what fits comes back, with the fields that are known and what stands for those that are absent', () => {
  const given: unknown = JSON.parse('{"name":"a","size":3,"ratio":0.5,"digest":null,"labels":{"k":"v","__proto__":"p"},"more":1}')
  const found = shape(given, 'it')
  assert.deepEqual({ ...found, labels: undefined }, { name: 'a', size: 3, ratio: 0.5, tags: [], labels: undefined })
  assert.deepEqual(Object.entries(found.labels ?? {}), [
    ['k', 'v'],
    ['__proto__', 'p'],
  ])
  assert.equal(Object.getPrototypeOf(found.labels), Object.prototype)
})

test('what does not fit is refused with its place', () => {
  const base = { name: 'a', size: 3 }
  const cases: [unknown, string][] = [
    [null, 'it must be an object'],
    [[], 'it must be an object'],
    [{ size: 3 }, 'it.name must be a string'],
    [{ ...base, size: -1 }, 'it.size must be a whole number, not negative'],
    [{ ...base, size: 2 ** 53 }, 'it.size must be a whole number, not negative'],
    [{ ...base, ratio: '1' }, 'it.ratio must be a number'],
    [{ ...base, digest: 'md5:0' }, 'it.digest must be a string like ^sha256:[0-9a-f]+$'],
    [{ ...base, tags: 'x' }, 'it.tags must be a list'],
    [{ ...base, tags: ['a', 'b', 'c'] }, 'it.tags must be a list of at most 2'],
    [{ ...base, tags: ['a', 2] }, 'it.tags[1] must be a string'],
    [{ ...base, labels: { k: 1 } }, 'it.labels.k must be a string'],
  ]
  for (const [value, message] of cases) {
    assert.throws(
      () => shape(value, 'it'),
      (error) => error instanceof Malformed && error.message === message,
      message,
    )
  }
})

test('a field is the value itself, not what every object inherits', () => {
  const inherited: Shape<{ constructor?: string }> = object({ constructor: optional(text) })
  assert.deepEqual(inherited({}, 'it'), {})
})

test('a strict object refuses fields it does not know', () => {
  const strict = strictObject({ insecure: optional(flag) })
  assert.deepEqual(strict({ insecure: true }, 'tls'), { insecure: true })
  assert.throws(() => strict({ insecur: true }, 'tls'), { message: 'tls has a field "insecur", which is none of insecure' })
  assert.throws(() => strict({ insecure: 'yes' }, 'tls'), Malformed)
})
