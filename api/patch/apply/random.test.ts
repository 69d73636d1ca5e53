import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOf } from '../../schema/compile.ts'
import { decode, type JsonObject } from '../../schema/decode.ts'
import { noteKeys, randomObject, seeded } from '../../schema/random.fake.ts'
import type { Struct } from '../../schema/schema.ts'
import { strategicMergePatch } from '../strategic.ts'
import { applyPatch } from './apply.ts'
import { compare, isSame } from './compare.ts'
import { merge } from './config.ts'
import { difference, type Fields, intersection, isEmpty, none, pathsOf, union } from './fields.ts'
import { emptyOf, metaOf, trackUpdate, withManaged } from './track.ts'

const now = '2024-01-01T00:00:00Z'
const kinds: [group: string, kind: string][] = [
  ['', 'Pod'],
  ['', 'Service'],
  ['', 'Node'],
  ['apps', 'Deployment'],
  ['networking.k8s.io', 'Ingress'],
]

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}
const setOf = (object: JsonObject): Fields =>
  (metaOf(object).managedFields ?? []).reduce((sum, { fieldsV1 }) => union(sum, (fieldsV1 ?? none) as Fields), none)

for (const [group, kind] of kinds) {
  const schema = schemaOf({ group, version: 'v1', kind }) as Struct
  noteKeys(schema)
  const identity = { apiVersion: group ? `${group}/v1` : 'v1', kind }
  const random = seeded(kind.length * 31 + 7)
  const config = (): JsonObject => {
    const { status: _, metadata, ...rest } = randomObject(schema, random, 7)
    const { managedFields: __, ...meta } = (metadata ?? {}) as JsonObject
    return freeze({ ...rest, ...identity, metadata: { ...meta, name: 'a', labels: { always: String(random.below(9)) } } })
  }
  const minimal = freeze({ ...identity, metadata: { name: 'a' } })
  const apply = (live: JsonObject | undefined, patch: JsonObject, manager: string) =>
    freeze(applyPatch({ schema, live, patch, manager, force: true, now }))
  const holds = (object: JsonObject, patch: JsonObject) => {
    const again = decode(schema, merge(schema, object, patch)).object
    assert.deepEqual(again, object)
  }

  test(`${kind}: applied fields are there, applying again changes nothing, and what nobody wants goes`, () => {
    for (let round = 0; round < 8; round++) {
      const [a, b] = [config(), config()]
      const one = apply(undefined, a, 'one')
      holds(one, a)
      assert.equal(apply(one, a, 'one'), one)
      const two = apply(one, b, 'two')
      holds(two, b)
      assert.equal(apply(two, b, 'two'), two)
      const both = apply(two, a, 'one')
      holds(both, a)
      const left = apply(both, minimal, 'one')
      assert.deepEqual(metaOf(left).managedFields?.map(({ manager }) => manager) ?? [], isEmpty(setOf(left)) ? [] : ['two'])
      const bare = apply(left, minimal, 'two')
      assert(isEmpty(setOf(bare)))
    }
  })

  test(`${kind}: updates own all that they set, each field once changed`, () => {
    for (let round = 0; round < 8; round++) {
      const [x, y] = [decode(schema, config()).object, decode(schema, config()).object]
      const first = trackUpdate({ schema, before: undefined, after: x, manager: 'one', now })
      const second = trackUpdate({ schema, before: freeze(first), after: y, manager: 'two', now })
      const all = compare(schema, emptyOf(schema), y).added
      assert.deepEqual(pathsOf(difference(all, setOf(second))), [], 'everything set has an owner')
      assert.deepEqual(pathsOf(difference(setOf(second), all)), [], 'nothing is owned that is not there')
      const [one, two] = ['one', 'two'].map(
        (name) => metaOf(second).managedFields?.find(({ manager }) => manager === name)?.fieldsV1 ?? none,
      )
      assert(isEmpty(intersection(one as Fields, two as Fields)))
      assert(isSame(compare(schema, second, withManaged(second, undefined))))
    }
  })

  test(`${kind}: a strategic merge of an object into another holds both’s fields`, () => {
    for (let round = 0; round < 8; round++) {
      const [x, y] = [freeze(decode(schema, config()).object), freeze(decode(schema, config()).object)]
      assert.deepEqual(strategicMergePatch(schema, x, {}), x)
      assert.deepEqual(strategicMergePatch(schema, {}, x), x)
      assert.deepEqual(decode(schema, strategicMergePatch(schema, x, x)).object, x)
      const merged = strategicMergePatch(schema, x, y)
      assert.deepEqual(strategicMergePatch(schema, merged, y), merged)
    }
  })
}

test('sets of fields: union, difference and intersection agree', () => {
  const random = seeded(42)
  const tree = (depth: number): Fields => {
    const entries = Array.from(
      { length: 1 + random.below(3) },
      () => [`f:${random.below(4)}`, depth && random.below(3) ? tree(depth - 1) : {}] as const,
    )
    const node = Object.fromEntries<Fields>(entries)
    return depth < 3 && random.below(2) ? { '.': {}, ...node } : node
  }
  const paths = (fields: Fields) => new Set(pathsOf(fields))
  for (let round = 0; round < 500; round++) {
    const [a, b] = [tree(3), tree(3)]
    const [pa, pb] = [paths(a), paths(b)]
    assert.deepEqual(paths(union(a, b)), pa.union(pb))
    assert.deepEqual(paths(difference(a, b)), pa.difference(pb))
    assert.deepEqual(paths(intersection(a, b)), pa.intersection(pb))
    assert.equal(union(a, a), a)
    const both = union(a, b)
    assert.equal(union(both, b), both)
    assert.equal(union(both, a), both)
    assert.equal(difference(a, none), a)
  }
})
