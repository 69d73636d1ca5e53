import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { jsonPatch } from './json.ts'
import { mergePatch } from './merge.ts'

const object = Object.freeze({ metadata: { labels: { a: '1', 'x/y': '2' } }, list: [1, 2] })
const refusal = (patch: unknown) => {
  try {
    jsonPatch(object, patch)
  } catch (error) {
    assert(isStatus(error))
    return [error.reason, error.details?.causes?.[0]?.message ?? error.message]
  }
  throw new Error('accepted')
}

test('JSON patch', () => {
  assert.deepEqual(
    jsonPatch(object, [
      { op: 'test', path: '/list/0', value: 1 },
      { op: 'add', path: '/list/-', value: 3 },
      { op: 'remove', path: '/metadata/labels/x~1y' },
      { op: 'replace', path: '/metadata/labels/a', value: 'b', from: [] },
      { op: 'copy', from: '/list', path: '/copy' },
      { op: 'move', from: '/list', path: '/moved' },
    ]),
    { metadata: { labels: { a: 'b' } }, copy: [1, 2, 3], moved: [1, 2, 3] },
  )
  assert.deepEqual(object.list, [1, 2])
})

test('JSON patches that fail', () => {
  assert.deepEqual(refusal([{ op: 'test', path: '/list/0', value: 9 }]), ['Invalid', 'testing value /list/0 failed'])
  assert.deepEqual(refusal([{ op: 'remove', path: '/nothing' }]), [
    'Invalid',
    'remove operation does not apply: doc is missing path: "/nothing": missing value',
  ])
  assert.equal(refusal({})[0], 'BadRequest')
  assert.equal(refusal(Array.from({ length: 10_001 }, () => ({ op: 'remove', path: '/a' })))[0], 'RequestEntityTooLarge')
  for (const operation of [
    null,
    { op: 'boom', path: '/a' },
    { op: 'add', path: 'a', value: 1 },
    { op: 'copy', path: '/a' },
    { op: 'add', path: '/b' },
    { op: 'add', path: '', value: 1 },
    { op: 'add', path: '/list/9', value: 1 },
    { op: 'add', path: '/__proto__/polluted', value: 1 },
    { op: 'add', path: '/toString/polluted', value: 1 },
    { op: 'copy', from: '/constructor/name', path: '/a' },
  ]) {
    assert.equal(refusal([operation])[0], 'Invalid', JSON.stringify(operation))
  }
  assert(!('polluted' in {}) && !('polluted' in Object.prototype.toString))
})

test('copies cannot double an object without end', () => {
  const double = { op: 'copy', from: '/list', path: '/list/-' }
  assert.match(String(refusal(Array.from({ length: 5000 }, () => double))[1]), /accumulated size increase/)
})

test('keys that objects have by nature are keys like any other', () => {
  const patched = jsonPatch(JSON.parse('{"__proto__":{"a":1}}') as Record<string, unknown>, [
    { op: 'add', path: '/constructor', value: {} },
    { op: 'add', path: '/constructor/prototype', value: JSON.parse('{"__proto__":1}') },
    { op: 'replace', path: '/__proto__/a', value: 2 },
    { op: 'test', path: '/__proto__/a', value: 2 },
    { op: 'move', from: '/__proto__', path: '/constructor/__proto__' },
  ])
  assert.equal(JSON.stringify(patched), '{"constructor":{"prototype":{"__proto__":1},"__proto__":{"a":2}}}')
  assert.equal(refusal([{ op: 'test', path: '', value: {} }])[0], 'Invalid')
  assert.equal(refusal([{ op: 'remove', path: '/list/length' }])[0], 'Invalid')
  assert.equal(refusal([{ op: 'move', from: '/metadata', path: '/metadata/labels/a' }])[0], 'Invalid')
})

test('a patch that would move the items of a long list over and over', () => {
  const patch = [
    { op: 'add', path: '/long', value: Array.from({ length: 100_000 }, () => 0) },
    ...Array.from({ length: 9000 }, () => ({ op: 'add', path: '/long/0', value: 0 })),
  ]
  assert.equal(refusal(patch)[0], 'RequestEntityTooLarge')
})

test('merge patch', () => {
  assert.deepEqual(mergePatch({ a: { b: 1, c: 2 }, d: [1], e: 1 }, { a: { b: null, x: { y: null, z: 1 } }, d: [2], e: { f: 1 } }), {
    a: { c: 2, x: { z: 1 } },
    d: [2],
    e: { f: 1 },
  })
  assert.deepEqual(Object.keys(mergePatch({}, JSON.parse('{"__proto__":{"a":1}}') as Record<string, unknown>)), ['__proto__'])
})
