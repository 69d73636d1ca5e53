import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOf } from '../../schema/compile.ts'
import type { JsonObject } from '../../schema/decode.ts'
import type { Struct } from '../../schema/schema.ts'
import { compare, comparing } from './compare.ts'
import { type Fields, isMember, union, unionOf } from './fields.ts'

const schema = schemaOf({ group: 'apps', version: 'v1', kind: 'Deployment' }) as Struct
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const dict = (from: number, to: number, value: string) => Object.fromEntries(range(from, to).map((i) => [`k${i}`, value]))
const leaves = (from: number, to: number): Fields => Object.fromEntries(range(from, to).map((i) => [`f:k${i}`, {}]))
const large = (from: number, to: number, value: string): JsonObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'a', labels: dict(from, to, value), finalizers: range(from, to).map((i) => `x.io/${i}`) },
  spec: {
    replicas: from,
    template: {
      metadata: { labels: dict(from, to, value) },
      spec: { containers: range(from, to).map((i) => ({ name: `c${i}`, image: value })) },
    },
  },
})

test('two large objects are compared in many short steps, and no field is missed', () => {
  const steps = comparing(schema, large(0, 3_000, 'a'), large(1_500, 4_000, 'b'))
  let count = 0
  let step = steps.next()
  for (; !step.done; count += 1) step = steps.next()
  assert.ok(count >= 4, `${count} steps`)
  const { added, removed, modified } = step.value
  const expected = (from: number, to: number, image: Fields) => ({
    'f:metadata': {
      'f:labels': leaves(from, to),
      ...(image !== part && { 'f:finalizers': Object.fromEntries(range(from, to).map((i) => [`v:"x.io/${i}"`, {}])) }),
    },
    'f:spec': {
      ...(image === part && { 'f:replicas': {} }),
      'f:template': {
        'f:metadata': { 'f:labels': leaves(from, to) },
        'f:spec': { 'f:containers': Object.fromEntries(range(from, to).map((i) => [`k:{"name":"c${i}"}`, image])) },
      },
    },
  })
  const whole: Fields = { '.': {}, 'f:name': {}, 'f:image': {} }
  const part: Fields = { 'f:image': {} }
  assert.deepEqual(added, expected(3_000, 4_000, whole))
  assert.deepEqual(removed, expected(0, 1_500, whole))
  assert.deepEqual(modified, expected(1_500, 3_000, part))
  const small = comparing(schema, large(0, 20, 'a'), large(10, 30, 'b'))
  assert.equal(small.next().done, true)
})

test('the union of many sets is what they make two by two', () => {
  const changes = (from: number, to: number) => compare(schema, large(from, to, 'a'), large(from + 5, to + 9, 'b'))
  const sets = range(0, 12).flatMap((i) => {
    const { added, removed, modified } = changes(i * 3, i * 4 + 10)
    return [added, removed, modified]
  })
  const all = unionOf(sets)
  assert.deepEqual(all, sets.reduce(union))
  assert.ok(sets.every((set) => union(all, set) === all))
  assert.ok(isMember(unionOf([{ 'f:a': { 'f:b': {} } }, { 'f:a': {} }, { 'f:a': { 'f:c': {} } }])['f:a'] as Fields))
})
