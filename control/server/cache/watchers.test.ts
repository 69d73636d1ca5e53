import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ConfigMap, Pod } from '#api/kinds/index.ts'
import { pod, trial } from '../testing/trial.fake.ts'
import { Change } from './change.ts'
import { Allowance, History } from './history.ts'
import { Item } from './item.ts'
import { Watcher } from './watcher.ts'
import { Watchers } from './watchers.ts'

const root = '/registry/core/pods/'
const nodeName = (object: object) => (object as Pod).spec.nodeName ?? ''
const itemOf = (name: string, node: string, revision: number) =>
  new Item({
    key: `${root}test/${name}`,
    value: Buffer.from(JSON.stringify({ metadata: { name, namespace: 'test' }, spec: { nodeName: node } })),
    createRevision: 1,
    modRevision: revision,
  })

test('a change concerns its own watchers, however many others there are', () => {
  const watchers = new Watchers(root)
  const on = (prefix: string, node?: string) => {
    const watcher = new Watcher(prefix, {
      wanted: node === undefined ? undefined : { read: nodeName, value: node },
      revision: () => 1,
      onClose() {},
    })
    watchers.add(watcher)
    return watcher
  }
  const byNode = Array.from({ length: 500 }, (_, i) => on(root, `n${i}`))
  const [all, here, elsewhere, one, other] = [on(root), on(`${root}test/`), on(`${root}more/`), on(`${root}test/a`), on(`${root}test/ab`)]
  const concerned = (change: Change) => new Set(watchers.concerned(change))
  const before = itemOf('a', 'n3', 2)
  assert.deepEqual(concerned(new Change('ADDED', 2, before, undefined)), new Set([all, here, one, byNode[3]]))
  assert.deepEqual(concerned(new Change('MODIFIED', 3, itemOf('a', 'n4', 3), before)), new Set([all, here, one, byNode[4], byNode[3]]))
  for (const watcher of [...byNode, all, here, elsewhere, one, other]) if (watcher) watchers.delete(watcher)
  assert.deepEqual([watchers.size, concerned(new Change('ADDED', 2, before, undefined)).size], [0, 0])
})

test('history holds so many bytes, of one collection and of all, and knows how far back it reaches', () => {
  const allowance = new Allowance()
  const values = new Map([1, 100_000].map((bytes) => [bytes, Buffer.alloc(bytes)]))
  const change = (revision: number, bytes: number) => {
    const entry = { key: `${root}test/a`, value: values.get(bytes) as Buffer, createRevision: 1, modRevision: revision }
    return new Change('MODIFIED', revision, new Item(entry), undefined)
  }
  const histories = Array.from({ length: 12 }, () => new History(0, allowance))
  for (let revision = 1; revision <= 1000; revision += 1) for (const history of histories) history.push(change(revision, 100_000))
  assert.ok(allowance.bytes <= 8 << 20, `${allowance.bytes} bytes`)
  for (const history of histories) {
    const [first] = history.after(0)
    assert.ok(first && history.reaches(first.revision - 1) && !history.reaches(first.revision - 2))
    assert.equal(history.after(0).at(-1)?.revision, 1000)
    history.close()
  }
  assert.equal(allowance.bytes, 0)
  const deletions = new History(0, allowance)
  const last = change(1, 100_000).item
  for (let revision = 1; revision <= 1000; revision += 1) deletions.push(new Change('DELETED', revision, last, last))
  assert.ok(deletions.after(0).length * 2 * 100_000 <= 2 << 20, 'a deletion holds its object as it was, and at its own revision')
  deletions.close()
  const small = new History(0, allowance)
  for (let revision = 1; revision <= 20_000; revision += 1) small.push(change(revision, 1))
  assert.ok(small.after(0).length < 8192)
})

test('whatever a watch selects by, it is told what one over everything would show', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  await server.ask('POST', '/api/v1/namespaces', { metadata: { name: 'more' } })
  await server.ask('POST', '/api/v1/namespaces/more/serviceaccounts', { metadata: { name: 'default' } })
  const selections = [
    { namespace: 'test', fieldSelector: 'metadata.name=a' },
    { fieldSelector: 'metadata.name=a' },
    { fieldSelector: 'metadata.namespace=more' },
    { fieldSelector: 'spec.nodeName=n1' },
    { fieldSelector: 'spec.nodeName=' },
    { fieldSelector: 'spec.nodeName!=n1' },
    { namespace: 'test', fieldSelector: 'spec.nodeName=n2' },
    { namespace: 'test', fieldSelector: 'status.phase=Pending,spec.nodeName=n1', labelSelector: 'x=y' },
    { namespace: 'more' },
    {},
  ]
  const { metadata } = await server.client.list(Pod)
  const from = { resourceVersion: metadata.resourceVersion ?? '' }
  const stop = new AbortController()
  const heard = selections.map((): string[] => [])
  const last = Promise.withResolvers<void>()
  const watching = selections.map(async (selection, i) => {
    for await (const { type, object } of server.client.watch(Pod, { ...selection, ...from, signal: stop.signal })) {
      if (type === 'BOOKMARK') continue
      heard[i]?.push(`${type} ${object.metadata.namespace}/${object.metadata.name} ${object.metadata.resourceVersion}`)
      if (i === selections.length - 1 && object.metadata.name === 'end') last.resolve()
    }
  })
  for (const namespace of ['test', 'more']) {
    for (const [i, name] of ['a', 'ab', 'b', 'c'].entries()) {
      const path = `/api/v1/namespaces/${namespace}/pods`
      const made = await server.ask('POST', path, pod(name, i % 2 ? { nodeName: `n${i}` } : {}))
      assert.equal(made.code, 201, made.text)
      if (i % 2 === 0) {
        const binding = { metadata: { name }, target: { kind: 'Node', name: i ? 'n1' : 'n2' } }
        assert.equal((await server.ask('POST', `${path}/${name}/binding`, binding)).code, 201)
      }
      for (const x of ['y', 'z']) await server.client.patch(Pod, { namespace, name }, 'merge', { metadata: { labels: { x } } })
      await server.ask('DELETE', `${path}/${name}?gracePeriodSeconds=0`)
    }
  }
  await server.ask('POST', '/api/v1/namespaces/test/pods', pod('end'))
  await last.promise
  for (const [i, selection] of selections.entries()) {
    // Again, from history and without an index.
    const again: string[] = []
    const until = new AbortController()
    const { resource, ...query } = {
      resource: server.core.resources.of(Pod),
      ...selection,
      ...from,
      signal: until.signal,
      timeoutSeconds: 1,
    }
    const feed = await server.core.watch({ resource, ...query })
    const expected = heard[i] ?? []
    for await (const batch of feed) {
      for (const sent of batch) {
        if (sent.type === 'BOOKMARK') continue
        const { metadata: meta } = sent.item.object
        again.push(`${sent.type} ${meta.namespace}/${meta.name} ${meta.resourceVersion}`)
      }
      if (again.length >= expected.length) until.abort()
    }
    assert.ok(expected.length > 0, JSON.stringify(selection))
    assert.deepEqual(expected, again, JSON.stringify(selection))
  }
  stop.abort()
  await Promise.all(watching)
})

test('what stays of an object holds memory of its own, and nothing of what passed through beside it', async () => {
  const server = await trial()
  const made = Array.from({ length: 50 }, (_, i) => ({ metadata: { name: `c${i}`, namespace: 'default' }, data: { i: String(i) } }))
  for (const object of made) await server.client.create(ConfigMap, object)
  const { items } = await server.core.list({ resource: server.core.resources.of(ConfigMap), namespace: 'default' })
  assert.equal(items.length, made.length)
  for (const { key, bytes } of items) assert.equal(bytes.buffer.byteLength, bytes.length, key)
  await server.close()
})

test('history holds changes, and not what watchers were told of them', { timeout: 60_000 }, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const change = new Change('ADDED', 2, itemOf('a', 'n1', 2), undefined)
  const { promise: freed, resolve } = Promise.withResolvers<boolean>()
  const registry = new FinalizationRegistry(() => resolve(true))
  let encoded = 0
  const telling = (type: string) => {
    encoded += 1
    return Buffer.from(type)
  }
  const tell = () => {
    const told = change.told(telling, 'ADDED')
    assert.equal(change.told(telling, 'ADDED'), told)
    registry.register(told, undefined)
  }
  tell()
  assert.equal(encoded, 1)
  while (!(await Promise.race([freed, new Promise<false>((ok) => setImmediate(ok, false))]))) collect()
  assert.equal(change.told(telling, 'ADDED').toString(), 'ADDED')
  assert.equal(encoded, 2)
})
