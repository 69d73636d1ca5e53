import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { configMap, eventsOf, type Json, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'

describe('watches', () => {
  let server: Trial
  beforeEach(async () => {
    server = await trial()
  })
  afterEach(() => server.close())

  const change = (method: string, name: string, data = {}, labels?: Record<string, string>) =>
    method === 'POST'
      ? server.ask('POST', maps, configMap(name, data, labels))
      : method === 'PUT'
        ? server.ask('PUT', `${maps}/${name}`, configMap(name, data, labels))
        : server.ask('DELETE', `${maps}/${name}`)
  const next = async (events: AsyncGenerator<Json>): Promise<Json> => {
    const { value } = await events.next()
    return value
  }
  const brief = (event: Json) => `${event.type} ${event.object.metadata.name}`
  const version = async () => (await server.ask('GET', maps)).body.metadata.resourceVersion

  it('tell every change from a revision on, in order, once', async () => {
    await change('POST', 'before')
    const from = await version()
    await change('POST', 'a')
    const events = eventsOf(await server.open(`${maps}?watch=true&resourceVersion=${from}`))
    await change('PUT', 'a', { x: '1' })
    await change('DELETE', 'a')
    const seen = [await next(events), await next(events), await next(events)]
    assert.deepEqual(seen.map(brief), ['ADDED a', 'MODIFIED a', 'DELETED a'])
    const revisions = seen.map((e) => Number(e.object.metadata.resourceVersion))
    assert.deepEqual(
      revisions,
      revisions.toSorted((a, b) => a - b),
    )
    assert.deepEqual(seen[2]?.object.data, { x: '1' }, 'a deletion shows the last state')
    await events.return(undefined)
  })

  it('begin with what is there where no revision is named', async () => {
    await change('POST', 'a')
    const events = eventsOf(await server.open(`${maps}?watch=1`))
    assert.equal(brief(await next(events)), 'ADDED a')
    await change('POST', 'b')
    assert.equal(brief(await next(events)), 'ADDED b')
    await events.return(undefined)
  })

  it('have an old form of path', async () => {
    await change('POST', 'old-form')
    const events = eventsOf(await server.open(maps.replace('/api/v1/', '/api/v1/watch/') + '/old-form'))
    assert.equal(brief(await next(events)), 'ADDED old-form')
    await events.return(undefined)
    await change('DELETE', 'old-form')
  })

  it('see objects come and go as they match', async () => {
    await change('POST', 'a', {}, { on: 'no' })
    const events = eventsOf(await server.open(`${maps}?watch=1&resourceVersion=${await version()}&labelSelector=on%3Dyes`))
    await change('PUT', 'a', { step: '1' }, { on: 'yes' })
    await change('PUT', 'a', { step: '2' }, { on: 'yes' })
    await change('PUT', 'a', { step: '3' }, { on: 'no' })
    await change('PUT', 'a', { step: '4' }, { on: 'no' })
    await change('PUT', 'a', { step: '5' }, { on: 'yes' })
    const seen = [await next(events), await next(events), await next(events), await next(events)]
    assert.deepEqual(
      seen.map((e) => [e.type, e.object.data.step]),
      [
        ['ADDED', '1'],
        ['MODIFIED', '2'],
        ['DELETED', '2'],
        ['ADDED', '5'],
      ],
    )
    assert.ok(Number(seen[2]?.object.metadata.resourceVersion) > Number(seen[1]?.object.metadata.resourceVersion))
    await events.return(undefined)
  })

  it('stream the list, and say where it ends', async () => {
    await change('POST', 'a')
    const query = 'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    const events = eventsOf(await server.open(`${maps}?${query}`))
    assert.equal(brief(await next(events)), 'ADDED a')
    const mark = await next(events)
    assert.deepEqual([mark.type, mark.object.kind], ['BOOKMARK', 'ConfigMap'])
    assert.equal(mark.object.metadata.annotations['k8s.io/initial-events-end'], 'true')
    await events.return(undefined)
    assert.equal((await server.ask('GET', `${maps}?watch=1&sendInitialEvents=true`)).code, 422)
  })

  it('mark how far they are when nothing happens to them', async () => {
    const events = eventsOf(await server.open(`${maps}?watch=1&resourceVersion=${await version()}&allowWatchBookmarks=true`))
    const coming = next(events)
    await server.ask('POST', '/api/v1/namespaces/default/configmaps', configMap('elsewhere'))
    await server.clock.advance(60_000)
    const mark = await coming
    assert.deepEqual([mark.type, mark.object.metadata.resourceVersion], ['BOOKMARK', await version()])
    await events.return(undefined)
  })

  it('mark how far they are before they end', async () => {
    const from = await version()
    const events = eventsOf(await server.open(`${maps}?watch=1&resourceVersion=${from}&allowWatchBookmarks=true&timeoutSeconds=10`))
    const coming = next(events)
    await server.clock.advance(8000)
    assert.deepEqual((await coming).object.metadata.resourceVersion, from)
    await events.return(undefined)
  })

  it('end in time, and leave nothing behind', async () => {
    const events = eventsOf(await server.open(`${maps}?watch=1&timeoutSeconds=5&resourceVersion=${await version()}`))
    const ended = events.next()
    await server.clock.advance(5000)
    assert.equal((await ended).done, true)
    assert.equal(server.clock.pending, 0)
  })

  it('stop when the client goes', async () => {
    const response = await server.open(`${maps}?watch=1&resourceVersion=${await version()}`)
    const reader = response.body?.getReader()
    const reading = reader?.read()
    await reader?.cancel()
    await reading
    assert.match((await server.ask('GET', '/metrics')).text, /apiserver_longrunning_requests\{resource="configmaps"\} 0/)
    assert.equal(server.clock.pending, 0)
  })

  it('resume over a restart from what the store remembers', async () => {
    await change('POST', 'a')
    const from = await version()
    await change('POST', 'b')
    await change('DELETE', 'a')
    const restarted = await trial({ store: server.store })
    const events = eventsOf(await restarted.open(`${maps}?watch=1&resourceVersion=${from}`))
    assert.deepEqual([brief(await next(events)), brief(await next(events))], ['ADDED b', 'DELETED a'])
    await restarted.ask('POST', maps, configMap('c'))
    assert.equal(brief(await next(events)), 'ADDED c')
    await events.return(undefined)
    await restarted.close()
  })

  it('mark how far they are while what happens is not selected, and after a restart too', async () => {
    const from = await version()
    await change('POST', 'a')
    const restarted = await trial({ store: server.store })
    const query = `watch=1&resourceVersion=${from}&allowWatchBookmarks=true&labelSelector=on%3Dyes`
    const events = eventsOf(await restarted.open(`${maps}?${query}`))
    const coming = next(events)
    await restarted.ask('POST', maps, configMap('b'))
    const last = (await restarted.ask('POST', maps, configMap('c'))).body.metadata.resourceVersion
    await restarted.clock.advance(60_000)
    const mark = await coming
    assert.deepEqual([mark.type, mark.object.metadata.resourceVersion], ['BOOKMARK', last])
    await events.return(undefined)
    await restarted.close()
  })

  it('are told together where they are many, all of it and in order', async () => {
    const streams = await Promise.all(Array.from({ length: 50 }, () => server.open(`${maps}?watch=1&resourceVersion=1`)))
    const chunks = streams.map((stream) => stream.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>)
    const read = async (reader: ReadableStreamDefaultReader<Uint8Array>) =>
      Buffer.from((await reader.read()).value ?? [])
        .toString()
        .trim()
        .split('\n')
        .map((line) => brief(JSON.parse(line)))
    const first = Promise.all(chunks.map(read))
    await change('POST', 'a')
    for (const seen of await first) assert.deepEqual(seen, ['ADDED a'], 'the first at once')
    const second = Promise.all(chunks.map(read))
    for (const name of ['b', 'c', 'd']) await change('POST', name)
    await server.clock.advance(10)
    for (const seen of await second) assert.deepEqual(seen, ['ADDED b', 'ADDED c', 'ADDED d'], 'the next in one piece')
    await Promise.all(chunks.map((reader) => reader.cancel()))
  })

  it('are told when the past is gone', async () => {
    const from = await version()
    for (let i = 0; i < 5; i += 1) await change('POST', `m${i}`)
    await server.store.compact(await server.store.revision())
    const restarted = await trial({ store: server.store })
    const event = await next(eventsOf(await restarted.open(`${maps}?watch=1&resourceVersion=${from}`)))
    assert.deepEqual([event.type, event.object.code, event.object.reason], ['ERROR', 410, 'Expired'])
    const leases = await restarted.ask('GET', `/apis/coordination.k8s.io/v1/leases?watch=1&resourceVersion=2`)
    assert.deepEqual([leases.code, leases.body.reason], [410, 'Expired'], 'leases have no past over a restart')
    await restarted.close()
  })

  it('cut off a reader that does not keep up, after what it can still take', async () => {
    const feed = await server.core.watch({
      resource: server.core.resources.of({ group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }),
      resourceVersion: await version(),
      signal: new AbortController().signal,
    })
    const first = feed.next()
    await change('POST', 'a')
    await first
    for (let at = 0; at < 10_500; at += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, i) => server.client.create(kind, { metadata: { name: `n${at + i}`, namespace: 'test' } })),
      )
    }
    let seen = 0
    for await (const batch of feed) seen += batch.length
    assert.equal(seen, 10_000, 'it ends cleanly, and resumes from there')
  })

  it('are tables, too', async () => {
    const response = await server.open(`${maps}?watch=1`, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
    const events = eventsOf(response)
    await change('POST', 'a', { k: 'v' })
    const first = await next(events)
    assert.deepEqual([first.type, first.object.kind, first.object.rows[0].cells], ['ADDED', 'Table', ['a', 1, '0s']])
    assert.equal(first.object.columnDefinitions.length, 3)
    await change('POST', 'b')
    assert.equal((await next(events)).object.columnDefinitions, null)
    await events.return(undefined)
  })
})

const kind = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true } as const
