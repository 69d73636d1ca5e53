import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { schemaOf } from '../schema/compile.ts'
import type { JsonObject } from '../schema/decode.ts'
import type { Struct } from '../schema/schema.ts'
import { strategicMergePatch } from './strategic.ts'

const schema = (group: string, kind: string): Struct => {
  const found = schemaOf({ group, version: 'v1', kind })
  assert(found)
  return found
}
const pod = schema('', 'Pod')
const deployment = schema('apps', 'Deployment')

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}
const patched = (kind: Struct, original: JsonObject, patch: JsonObject) => strategicMergePatch(kind, freeze(original), freeze(patch))
const spec = (original: JsonObject, patch: JsonObject) => patched(pod, { spec: original }, { spec: patch }).spec

test('maps merge, null deletes, scalars replace', () => {
  assert.deepEqual(
    patched(
      pod,
      { metadata: { labels: { a: '1', b: '2' } }, spec: { nodeName: 'x' } },
      { metadata: { labels: { b: null, c: '3' } }, spec: { nodeName: 'y' } },
    ),
    { metadata: { labels: { a: '1', c: '3' } }, spec: { nodeName: 'y' } },
  )
})

test('lists merge by key; what the patch holds comes first, in its order, as far as known places allow', () => {
  const containers = [
    { name: 'a', image: 'a:1', env: [{ name: 'X', value: '1' }] },
    { name: 'b', image: 'b:1' },
  ]
  assert.deepEqual(
    spec({ containers }, { containers: [{ name: 'b', image: 'b:2' }, { name: 'c' }, { name: 'a', env: [{ name: 'Y', value: '2' }] }] }),
    {
      containers: [
        { name: 'b', image: 'b:2' },
        { name: 'c' },
        {
          name: 'a',
          image: 'a:1',
          env: [
            { name: 'Y', value: '2' },
            { name: 'X', value: '1' },
          ],
        },
      ],
    },
  )
  // The kubectl documentation's own example: the added container stands before the one that was there.
  assert.deepEqual(spec({ containers: [{ name: 'a' }, { name: 'b' }] }, { containers: [{ name: 'new' }] }), {
    containers: [{ name: 'new' }, { name: 'a' }, { name: 'b' }],
  })
  assert.deepEqual(spec({ containers: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] }, { containers: [{ name: 'c' }, { name: 'a' }] }), {
    containers: [{ name: 'b' }, { name: 'c' }, { name: 'a' }],
  })
})

test('items and objects are deleted and replaced by directive', () => {
  const containers = [{ name: 'a' }, { name: 'b' }]
  assert.deepEqual(spec({ containers }, { containers: [{ name: 'a', $patch: 'delete' }] }), { containers: [{ name: 'b' }] })
  assert.deepEqual(spec({ containers }, { containers: [{ $patch: 'replace' }, { name: 'c' }] }), { containers: [{ name: 'c' }] })
  assert.deepEqual(spec({ containers, nodeName: 'x' }, { $patch: 'replace', nodeName: 'y' }), { nodeName: 'y' })
  assert.deepEqual(spec({ securityContext: { runAsUser: 1 } }, { securityContext: { $patch: 'delete' } }), { securityContext: {} })
  assert.deepEqual(
    spec(
      {},
      {
        containers: [
          { name: 'a', $patch: 'delete' },
          { name: 'b', env: null },
        ],
      },
    ),
    { containers: [{ name: 'b' }] },
  )
})

test('sets of values', () => {
  const meta = (finalizers: string[], patch: JsonObject) => patched(pod, { metadata: { finalizers } }, { metadata: patch }).metadata
  assert.deepEqual(meta(['a', 'b'], { finalizers: ['b', 'c'] }), { finalizers: ['a', 'b', 'c'] })
  assert.deepEqual(meta(['a', 'b'], { '$deleteFromPrimitiveList/finalizers': ['a'] }), { finalizers: ['b'] })
  assert.deepEqual(
    meta(['a', 'b'], { '$deleteFromPrimitiveList/finalizers': ['a'], '$setElementOrder/finalizers': ['c', 'b'], finalizers: ['c'] }),
    { finalizers: ['c', 'b'] },
  )
})

test('a list without a merge strategy is replaced', () => {
  assert.deepEqual(spec({ tolerations: [{ key: 'a' }] }, { tolerations: [{ key: 'b' }] }), { tolerations: [{ key: 'b' }] })
})

test('$retainKeys drops the rest of a union', () => {
  const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } }
  assert.deepEqual(
    patched(deployment, { spec: { strategy } }, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate', rollingUpdate: null } } }),
    {
      spec: { strategy: { type: 'Recreate' } },
    },
  )
  const volumes = [{ name: 'v', emptyDir: {} }]
  assert.deepEqual(spec({ volumes }, { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/' } }] }), {
    volumes: [{ name: 'v', hostPath: { path: '/' } }],
  })
})

test('$setElementOrder orders what the patch knows and leaves the rest in place', () => {
  const named = (...names: string[]) => names.map((name) => ({ name }))
  const ordered = (before: string[], wanted: string[], given: JsonObject[] = []) =>
    spec({ containers: named(...before) }, { '$setElementOrder/containers': named(...wanted), containers: given })
  assert.deepEqual(ordered(['a', 'b', 'c'], ['c', 'a']), { containers: named('b', 'c', 'a') })
  assert.deepEqual(ordered(['a', 'x', 'b'], ['a', 'n', 'b'], named('n')), { containers: named('a', 'n', 'x', 'b') })
  assert.deepEqual(ordered(['a', 'b'], ['b'], [{ name: 'a', $patch: 'delete' }]), { containers: named('b') })
})

test('patches that make no sense', () => {
  const bad: JsonObject[] = [
    { containers: [{ image: 'no-name' }] },
    { containers: ['a'] },
    { $patch: 'explode' },
    { $retainKeys: 'x' },
    { $retainKeys: ['a'], nodeName: 'b' },
    { '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }], containers: [{ name: 'b' }, { name: 'a' }] },
    { '$deleteFromPrimitiveList/containers': [{ name: 'a' }] },
  ]
  for (const patch of bad) {
    assert.throws(
      () => spec({ containers: [{ name: 'a' }, { name: 'b' }] }, patch),
      (error) => isStatus(error, 'BadRequest'),
      JSON.stringify(patch),
    )
  }
})

test('fields that no schema knows merge as plain JSON', () => {
  assert.deepEqual(spec({ future: { a: 1, b: [1] } }, { future: { b: [2] } }), { future: { a: 1, b: [2] } })
})
