import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client, ListOptions } from '../client/client.ts'
import { fakeClient } from '../client/fake.ts'
import { fakeClock, settle } from '../clock.fake.ts'
import { StatusError } from '../errors.ts'
import { ConfigMap, Pod } from '../kinds/index.ts'
import type { Kind, KubeObject } from '../kinds/kind.ts'
import { silent } from '../log.ts'
import { byLabel, byNamespace, byNode, byOwner } from './indexes.ts'
import { Informer } from './informer.ts'
import { informers } from './informers.ts'
import { observing } from './observing.ts'

const namespace = 'default'

function setup() {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const informer = shared.of(ConfigMap)
  const heard: string[] = []
  const off = informer.on({
    add: ({ metadata, data }) => heard.push(`+${metadata.name} ${data?.v ?? ''}`.trim()),
    update: ({ metadata, data }, old) => heard.push(`~${metadata.name} ${old.data?.v ?? ''}>${data?.v ?? ''}`),
    delete: ({ metadata }) => heard.push(`-${metadata.name}`),
  })
  const put = (name: string, v?: string) => client.put(ConfigMap, { metadata: { name, namespace }, ...(v && { data: { v } }) })
  const drop = (name: string) => client.drop(ConfigMap, { namespace, name })
  const take = () => heard.splice(0)
  return { clock, client, shared, informer, heard, off, put, drop, take, [Symbol.asyncDispose]: () => shared.close() }
}

test('lists, then follows, and says when it is in step', async () => {
  await using t = setup()
  t.put('a', '1')
  await t.informer.synced
  assert.deepEqual(t.take(), ['+a 1'])
  t.put('a', '2')
  t.put('b')
  t.drop('a')
  await settle()
  assert.deepEqual(t.take(), ['~a 1>2', '+b', '-a'])
  assert.deepEqual(
    t.informer
      .list()
      .map(({ metadata }) => metadata.name)
      .toArray(),
    ['b'],
  )
})

test('a lost connection misses and repeats nothing, and needs no new list', async () => {
  await using t = setup()
  await t.informer.synced
  const lists: string[] = []
  t.client.intercept(({ verb }) => void (verb === 'list' && lists.push(verb)))
  t.put('a', '1')
  await settle()
  t.client.disconnect()
  t.put('a', '2')
  t.put('b')
  await t.clock.advance(1000)
  t.put('c')
  await settle()
  assert.deepEqual(t.take(), ['+a 1', '~a 1>2', '+b', '+c'])
  assert.deepEqual(lists, [])
  assert.equal(t.client.watching, 1)
})

test('compacted history: what changed meanwhile is heard once, as the difference', async () => {
  await using t = setup()
  for (const name of ['stays', 'changes', 'goes', 'reborn']) t.put(name, '1')
  await t.informer.synced
  t.take()
  t.client.intercept(({ verb }) => {
    if (verb === 'watch' || verb === 'list') throw new StatusError('ServiceUnavailable', 'away')
  })
  t.client.disconnect()
  await settle()
  t.put('changes', '2')
  t.put('changes', '3')
  t.drop('goes')
  t.drop('reborn')
  t.put('reborn', '2')
  t.put('fleeting')
  t.drop('fleeting')
  t.put('new')
  t.client.compact()
  t.client.intercept(undefined)
  await t.clock.advance(10_000)
  assert.deepEqual(t.take().sort(), ['+new', '+reborn 2', '-goes', '-reborn', '~changes 1>3'])
  t.put('after')
  await settle()
  assert.deepEqual(t.take(), ['+after'])
})

test('while the server is away attempts get rarer, and end with it', async () => {
  await using t = setup()
  await t.informer.synced
  let attempts = 0
  t.client.intercept(() => {
    attempts += 1
    throw new StatusError('ServiceUnavailable', 'away')
  })
  t.client.disconnect()
  await t.clock.advance(60_000)
  assert.ok(attempts >= 12 && attempts < 40, `${attempts} attempts in a minute`)
  t.client.intercept(undefined)
  t.put('a')
  await t.clock.advance(5_000)
  assert.deepEqual(t.take(), ['+a'])
})

test('a watch that works again is tried again quickly the next time', async () => {
  await using t = setup()
  await t.informer.synced
  for (let i = 0; i < 20; i++) {
    t.put('a', String(i))
    await settle()
    t.client.disconnect()
    await t.clock.advance(100)
  }
  t.put('b')
  await settle()
  assert.equal(t.take().at(-1), '+b')
})

test('who comes later hears what is there, who leaves hears nothing more', async () => {
  await using t = setup()
  t.put('a')
  await t.informer.synced
  const late: string[] = []
  t.informer.on({ add: ({ metadata }) => late.push(metadata.name) })
  assert.deepEqual(late, ['a'])
  t.off()
  t.put('b')
  await settle()
  assert.deepEqual([t.take(), late], [['+a'], ['a', 'b']])
})

test('a handler that throws harms nobody else', async () => {
  await using t = setup()
  await t.informer.synced
  t.informer.on({
    add() {
      throw new Error('mine')
    },
  })
  const other: string[] = []
  t.informer.on({ add: ({ metadata }) => other.push(metadata.name) })
  t.put('a')
  await settle()
  assert.deepEqual([t.take(), other], [['+a'], ['a']])
})

test('objects are frozen throughout', async () => {
  await using t = setup()
  t.put('a', '1')
  await t.informer.synced
  const object = t.informer.get('default/a')!
  assert.throws(() => {
    object.data!.v = '2'
  }, TypeError)
})

test('one watch a kind and selection', async () => {
  await using t = setup()
  const { shared, client } = t
  assert.equal(shared.of(ConfigMap), shared.of(ConfigMap))
  assert.notEqual(shared.of(ConfigMap), shared.of(ConfigMap, { labelSelector: 'a=b' }))
  await shared.of(ConfigMap, { labelSelector: 'a=b' }).synced
  await settle()
  assert.equal(client.watching, 2)
  await shared.close()
  await settle()
  assert.equal(client.watching, 0)
})

test('a selection adds what comes into it and drops what leaves it', async () => {
  await using t = setup()
  const chosen = t.shared.of(ConfigMap, { labelSelector: 'in=yes' })
  await chosen.synced
  const heard: string[] = []
  chosen.on({ add: ({ metadata }) => heard.push(`+${metadata.name}`), delete: ({ metadata }) => heard.push(`-${metadata.name}`) })
  const put = (value: string) => t.client.put(ConfigMap, { metadata: { name: 'a', namespace, labels: { in: value } } })
  put('no')
  put('yes')
  put('no')
  await settle()
  assert.deepEqual(heard, ['+a', '-a'])
  assert.equal(chosen.size, 0)
})

test('indexes follow the objects', async () => {
  await using t = setup()
  const pods = t.shared.of(Pod)
  await pods.synced
  const owner = { apiVersion: 'v1', kind: 'Thing', name: 'x', uid: 'u1' }
  const put = (name: string, nodeName: string, app: string) =>
    t.client.put(Pod, { metadata: { name, namespace, labels: { app }, ownerReferences: [owner] }, spec: { nodeName, containers: [] } })
  const names = (list: { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name)
  put('a', 'n1', 'web')
  put('b', 'n2', 'web')
  await settle()
  assert.deepEqual(names(pods.by(byNode, 'n1')), ['a'])
  put('a', 'n2', 'db')
  await settle()
  assert.deepEqual([names(pods.by(byNode, 'n1')), names(pods.by(byNode, 'n2')).sort()], [[], ['a', 'b']])
  assert.deepEqual(names(pods.by(byLabel('app'), 'default/web')), ['b'])
  assert.deepEqual(names(pods.by(byOwner, 'u1')).sort(), ['a', 'b'])
  t.client.drop(Pod, { namespace, name: 'b' })
  await settle()
  assert.deepEqual(names(pods.by(byNamespace, namespace)), ['a'])
})

test('what we write ourselves is there at once, and heard once', async () => {
  await using t = setup()
  await t.informer.synced
  const client = observing(t.client, t.shared)
  const made = await client.create(ConfigMap, { metadata: { name: 'a', namespace }, data: { v: '1' } })
  assert.equal(t.informer.get('default/a'), made)
  await client.update(ConfigMap, { ...made, data: { v: '2' } })
  assert.equal(t.informer.get('default/a')?.data?.v, '2')
  await settle()
  assert.deepEqual(t.take(), ['+a 1', '~a 1>2'])
})

test('what we wrote and another deleted while we were cut off does not come back', async () => {
  await using t = setup()
  await t.informer.synced
  t.client.intercept(({ verb }) => {
    if (verb === 'watch' || verb === 'list') throw new StatusError('ServiceUnavailable', 'away')
  })
  t.client.disconnect()
  await settle()
  const client = observing(t.client, t.shared)
  await client.create(ConfigMap, { metadata: { name: 'gone', namespace } })
  await client.create(ConfigMap, { metadata: { name: 'kept', namespace } })
  t.drop('gone')
  t.client.compact()
  t.client.intercept(undefined)
  await t.clock.advance(10_000)
  assert.deepEqual(
    t.informer
      .list()
      .map(({ metadata }) => metadata.name)
      .toArray(),
    ['kept'],
  )
  assert.deepEqual(t.take(), ['+gone', '+kept', '-gone'])
})

test('what we wrote while a list was on its way stays, though the list does not show it', async () => {
  const clock = fakeClock()
  const fake = fakeClient({ clock })
  const gate = Promise.withResolvers<void>()
  const slow: Client = {
    ...fake,
    async list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions) {
      const list = await fake.list(kind, options)
      await gate.promise
      return list
    },
  }
  fake.put(ConfigMap, { metadata: { name: 'old', namespace }, data: { v: '1' } })
  const shared = informers({ client: slow, log: silent, clock, random: () => 0.5 })
  const informer = shared.of(ConfigMap)
  const heard: string[] = []
  informer.on({
    add: (o) => heard.push(`+${o.metadata.name} ${o.data?.v}`),
    update: (o) => heard.push(`~${o.metadata.name} ${o.data?.v}`),
    delete: (o) => heard.push(`-${o.metadata.name}`),
  })
  await settle()
  const client = observing(fake, shared)
  await client.create(ConfigMap, { metadata: { name: 'new', namespace }, data: { v: '1' } })
  await client.patch(ConfigMap, { name: 'old', namespace }, 'merge', { data: { v: '2' } })
  assert.equal(informer.get('default/new')?.data?.v, '1')
  gate.resolve()
  await informer.synced
  await settle()
  assert.deepEqual(heard, ['+new 1', '+old 2'])
  await shared.close()
})

test('keeps of an object what it is told to', async () => {
  await using t = setup()
  const data = { kept: '1', dropped: '2' }
  t.client.put(ConfigMap, { metadata: { name: 'a', namespace }, data })
  const trim = (map: ConfigMap): ConfigMap => ({ ...map, data: { kept: map.data?.['kept'] ?? '' } })
  const informer = new Informer(ConfigMap, {}, { client: t.client, log: silent, clock: t.clock, random: () => 0.5 }, { trim })
  const heard: unknown[] = []
  informer.on({ add: ({ data }) => heard.push(data), update: ({ data }) => heard.push(data), delete: ({ data }) => heard.push(data) })
  informer.start()
  await informer.synced
  t.client.put(ConfigMap, { metadata: { name: 'a', namespace }, data: { ...data, kept: '3' } })
  t.client.drop(ConfigMap, { namespace, name: 'a' })
  await settle()
  await informer.close()
  assert.deepEqual(heard, [{ kept: '1' }, { kept: '3' }, { kept: '3' }])
})
