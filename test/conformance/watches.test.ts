// Watches as Kubernetes documents them, over real connections: from where they begin, what they tell,
// bookmarks, streaming lists, and how they end. Restarts and compactions are in informer.test.ts.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { CoreV1Api } from '@kubernetes/client-node'
import { type Json, testServer } from './server.ts'

const { config, ask, watch } = await testServer()
const core = config.makeApiClient(CoreV1Api)
const namespace = 'watched'
const maps = `/api/v1/namespaces/${namespace}/configmaps`
const put = (name: string, labels: Record<string, string> = {}) =>
  core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels } } })
const label = (name: string, labels: Json) =>
  ask('PATCH', `${maps}/${name}`, { metadata: { labels } }, { 'content-type': 'application/merge-patch+json' })
const version = async () => (await core.listNamespacedConfigMap({ namespace })).metadata?.resourceVersion ?? ''
const told = ({ type, object }: Json) => `${type} ${object.metadata?.name ?? object.reason}`
async function take(events: AsyncGenerator<Json>, count: number): Promise<Json[]> {
  const taken: Json[] = []
  for await (const event of events) if (taken.push(event) === count) break
  return taken
}

before(async () => {
  await core.createNamespace({ body: { metadata: { name: namespace } } })
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'there', labels: { a: 'b' } } } })
  // What the controllers put there themselves is there first.
  for await (const { object } of watch(`${maps}?watch=1`)) if (object.metadata.name === 'kube-root-ca.crt') break
})

describe('a watch', () => {
  it('from a version tells every change since, in order, with the object as it was then', async () => {
    const from = await version()
    await put('one')
    await label('one', { step: '1' })
    await label('one', { step: '2' })
    await core.deleteNamespacedConfigMap({ namespace, name: 'one' })
    const events = await take(watch(`${maps}?watch=1&resourceVersion=${from}`), 4)
    assert.deepEqual(events.map(told), ['ADDED one', 'MODIFIED one', 'MODIFIED one', 'DELETED one'])
    assert.deepEqual(
      events.map(({ object }) => object.metadata.labels?.step),
      [undefined, '1', '2', '2'],
    )
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion))
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    )
    assert.equal(new Set(versions).size, 4, 'a deletion has a version of its own')
  })

  it('from nowhere or from 0 begins with what is there', async () => {
    for (const query of ['watch=1', 'watch=true&resourceVersion=0']) {
      const events = await take(watch(`${maps}?${query}`), 2)
      assert.deepEqual(events.map(told).toSorted(), ['ADDED kube-root-ca.crt', 'ADDED there'])
    }
  })

  it('with a selector sees objects come and go as they begin and cease to match', async () => {
    const from = await version()
    await put('moving')
    await label('moving', { seen: 'yes' })
    await label('moving', { more: 'yes' })
    await label('moving', { seen: null })
    const events = await take(watch(`${maps}?watch=1&labelSelector=seen&resourceVersion=${from}`), 3)
    assert.deepEqual(events.map(told), ['ADDED moving', 'MODIFIED moving', 'DELETED moving'])
    await core.deleteNamespacedConfigMap({ namespace, name: 'moving' })
  })

  it('of one object, by field selector and by the old path', async () => {
    for (const path of [`${maps}?watch=1&fieldSelector=metadata.name%3Dthere`, `/api/v1/watch/namespaces/${namespace}/configmaps/there`]) {
      assert.deepEqual((await take(watch(path), 1)).map(told), ['ADDED there'])
    }
  })

  it('over all namespaces', async () => {
    const from = await version()
    await put('wide')
    const [event] = await take(watch(`/api/v1/configmaps?watch=1&resourceVersion=${from}`), 1)
    assert.equal(told(event), 'ADDED wide')
    await core.deleteNamespacedConfigMap({ namespace, name: 'wide' })
  })

  it('ends after timeoutSeconds, cleanly', async () => {
    const began = performance.now()
    const all: Json[] = []
    for await (const event of watch(`${maps}?watch=1&timeoutSeconds=1`)) all.push(event)
    const seconds = (performance.now() - began) / 1000
    assert.ok(seconds > 0.9 && seconds < 4, `${seconds} s`)
    assert.ok(all.every(({ type }) => type === 'ADDED'))
  })

  it('marks how far it is, if asked, before it ends', async () => {
    const all: Json[] = []
    const from = await version()
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: `elsewhere-${from}` } } })
    for await (const event of watch(`${maps}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion=${from}`)) all.push(event)
    const last = all.at(-1)
    assert.equal(last?.type, 'BOOKMARK')
    assert.deepEqual([last.object.kind, last.object.apiVersion, last.object.metadata.name], ['ConfigMap', 'v1', undefined])
    assert.ok(Number(last.object.metadata.resourceVersion) > Number(from), 'past what happened elsewhere')
  })

  it('of a version yet to come is refused, as is one of nonsense', async () => {
    const { code, body } = await ask('GET', `${maps}?watch=1&resourceVersion=999999999&timeoutSeconds=1`)
    assert.deepEqual([code, body.details.causes[0].reason], [504, 'ResourceVersionTooLarge'])
    assert.equal((await ask('GET', `${maps}?watch=1&resourceVersion=x`)).code, 400)
  })

  it('as a table, and of metadata alone', async () => {
    const [row] = await take(watch(`${maps}?watch=1`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }), 1)
    assert.deepEqual([row.type, row.object.kind, row.object.rows.length], ['ADDED', 'Table', 1])
    const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'
    const [partial] = await take(watch(`${maps}?watch=1`, { accept }), 1)
    assert.deepEqual(Object.keys(partial.object).toSorted(), ['apiVersion', 'kind', 'metadata'])
    assert.equal(partial.object.kind, 'PartialObjectMetadata')
  })
})

describe('a streaming list', () => {
  const streaming = `${maps}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`

  it('gives what is there, a bookmark that says so, and then what happens', async () => {
    const events = watch(streaming)
    const initial: Json[] = []
    for (;;) {
      const { value } = await events.next()
      initial.push(value)
      if (value.type === 'BOOKMARK') break
    }
    assert.deepEqual(initial.slice(0, -1).map(told), ['ADDED kube-root-ca.crt', 'ADDED there'])
    const { metadata } = initial.at(-1).object
    assert.equal(metadata.annotations['k8s.io/initial-events-end'], 'true')
    assert.ok(Number(metadata.resourceVersion) > 0)
    await put('after')
    assert.equal(told((await events.next()).value), 'ADDED after')
    await events.return(undefined)
    await core.deleteNamespacedConfigMap({ namespace, name: 'after' })
  })

  it('can go without: sendInitialEvents=false begins with what happens next', async () => {
    const events = watch(streaming.replace('sendInitialEvents=true', 'sendInitialEvents=false'))
    const first = events.next()
    await put('next')
    assert.equal(told((await first).value), 'ADDED next')
    await events.return(undefined)
    await core.deleteNamespacedConfigMap({ namespace, name: 'next' })
  })

  it('must be asked for in full', async () => {
    for (const query of [
      'watch=1&sendInitialEvents=true&allowWatchBookmarks=true',
      'watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=Exact&resourceVersion=1',
      'watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1',
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan',
    ]) {
      const { code, body } = await ask('GET', `${maps}?${query}`)
      assert.deepEqual([query, code, body.reason], [query, 422, 'Invalid'])
    }
  })
})
