import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { silent } from '#api/log.ts'
import { Change } from './change.ts'
import { Collection } from './collection.ts'
import { Allowance } from './history.ts'
import { Item } from './item.ts'

const prefix = '/registry/core/configmaps/'
const entryOf = (name: string, revision: number) => ({
  key: `${prefix}test/${name}`,
  value: Buffer.from(JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, resourceVersion: String(revision) } })),
  createRevision: revision,
  modRevision: revision,
})
const collection = () =>
  new Collection({ prefix, items: [], revision: 0, now: () => 0, allowance: new Allowance(), clock: fakeClock(), log: silent })

test('objects are in the order of their keys, whatever came and went', () => {
  const some = collection()
  const there = new Map<string, Item>()
  let random = 1
  const next = (n: number) => {
    random = (random * 48271) % 2147483647
    return random % n
  }
  for (let revision = 1; revision <= 5000; revision += 1) {
    const name = `c${next(500)}`
    const known = there.get(name)
    // More and more are there, then fewer.
    if (known && next(4) < (revision < 2500 ? 1 : 3)) {
      there.delete(name)
      some.apply(new Change('DELETED', revision, known.at(revision), known))
    } else if (revision < 2500 || next(4) === 0) {
      const item = new Item(entryOf(name, revision))
      there.set(name, item)
      some.apply(new Change(known ? 'MODIFIED' : 'ADDED', revision, item, known))
    }
    if (revision % 100 !== 0) continue
    const expected = [...there.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    assert.deepEqual([...some.under(prefix)], expected)
    const after = `${prefix}test/c2`
    assert.deepEqual(
      [...some.under(prefix, after)],
      expected.filter(({ key }) => key > after),
    )
    assert.equal(some.size, expected.length)
  }
  some.close()
})

test('of a deletion the last state is known at its revision, and encoded only for who is told of it', () => {
  const previous = entryOf('a', 3)
  const change = Change.from({ type: 'delete', revision: 9, key: previous.key, previous })
  assert.deepEqual([change.type, change.item.revision, change.item.createRevision, change.item.key], ['DELETED', 9, 3, previous.key])
  assert.equal(change.item.object.metadata.resourceVersion, '9')
  assert.equal(change.item.read().metadata.resourceVersion, '9')
  assert.equal(change.previous?.object.metadata.resourceVersion, '3')
  assert.equal(change.item.size, previous.value.length)
  const line = Buffer.from(change.told((type, item) => Buffer.from(`${type} ${Buffer.from(item.bytes).toString()}`), 'DELETED')).toString()
  assert.equal(line, 'DELETED {"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","resourceVersion":"9"}}')
  assert.equal(change.left, change.item)
})
