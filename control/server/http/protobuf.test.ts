// What Go clients ask for first: answers in Kubernetes' protobuf.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeProtobuf } from '#api/schema/protobuf.ts'
import { WireReader } from '#api/schema/wire.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { admin, configMap, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const protobuf = 'application/vnd.kubernetes.protobuf'
const first = `${protobuf}, application/json;q=0.9`

describe('protobuf', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  const send = async (method: string, path: string, accept: string, body?: Json, type = 'application/json') => {
    const init = { method, headers: { accept, ...(body !== undefined && { 'content-type': type }) } }
    const response = await server.app.request(path, { ...init, ...(body !== undefined && { body: JSON.stringify(body) }) }, { user: admin })
    return { code: response.status, type: response.headers.get('content-type'), bytes: new Uint8Array(await response.arrayBuffer()) }
  }
  /** The same request in both encodings. */
  const both = async (path: string): Promise<[Json, Json]> => {
    const { code, type, bytes } = await send('GET', path, first)
    assert.deepEqual([code, type], [200, protobuf], path)
    return [decodeProtobuf(bytes), (await server.ask('GET', path)).body]
  }

  it('answers every verb, with what JSON would say', async () => {
    const made = await send('POST', maps, first, configMap('a', { x: 'ü€', y: '' }, { on: 'yes' }))
    assert.deepEqual([made.code, made.type], [201, protobuf])
    const [read, plain] = await both(`${maps}/a`)
    assert.deepEqual(read, plain)
    assert.deepEqual(decodeProtobuf(made.bytes), plain)
    const patched = await send('PATCH', `${maps}/a`, first, { data: { x: '2' } }, 'application/merge-patch+json')
    assert.deepEqual((decodeProtobuf(patched.bytes) as Json).data, { x: '2', y: '' })
    const applied = await send('PATCH', `${maps}/b?fieldManager=me`, first, configMap('b'), 'application/apply-patch+yaml')
    assert.deepEqual([applied.code, (decodeProtobuf(applied.bytes) as Json).metadata.name], [201, 'b'])
    const gone = decodeProtobuf((await send('DELETE', `${maps}/b`, first)).bytes) as Json
    assert.deepEqual([gone.kind, gone.status, gone.details.name], ['Status', 'Success', 'b'])
    const deleted = decodeProtobuf((await send('DELETE', `${maps}?labelSelector=on%3Dyes`, first)).bytes) as Json
    assert.deepEqual([deleted.kind, deleted.items.map((item: Json) => item.metadata.name)], ['ConfigMapList', ['a']])
  })

  it('answers lists whole, short and long, and page by page', async () => {
    const path = '/api/v1/namespaces/default/configmaps'
    const text = 'x'.repeat(2000)
    for (let i = 0; i < 80; i += 1) await server.ask('POST', path, configMap(`m-${String(i).padStart(3, '0')}`, { text }))
    const [all, plain] = await both(path)
    assert.deepEqual(
      all.items.map(({ metadata, data }: Json) => ({ metadata, data })),
      plain.items.map(({ metadata, data }: Json) => ({ metadata, data })),
    )
    assert.deepEqual(all.metadata, plain.metadata)
    const [page] = await both(`${path}?limit=2`)
    assert.deepEqual([page.items.length, page.metadata.remainingItemCount], [2, 78])
    const [rest] = await both(`${path}?limit=2&continue=${page.metadata.continue}`)
    assert.deepEqual(
      rest.items.map((item: Json) => item.metadata.name),
      ['m-002', 'm-003'],
    )
  })

  it('is what every kind of this server is read in', async () => {
    await server.ask('POST', '/api/v1/namespaces/test/pods', pod('p'))
    for (const { apiVersion, kind, verbs } of server.core.resources.all()) {
      if (!verbs.includes('list')) continue
      const path = `${apiVersion === 'v1' ? '/api' : '/apis'}/${apiVersion}/${kind.plural}`
      const [read, plain] = await both(path)
      assert.deepEqual([read.kind, read.apiVersion, read.items.length], [plain.kind, plain.apiVersion, plain.items.length], path)
      for (const [i, item] of plain.items.entries()) assert.deepEqual(read.items[i].metadata.name, item.metadata.name, path)
    }
  })

  it('frames watches, bookmarks and their failure', async () => {
    const frames = async (query: string, count: number): Promise<[string, Json][]> => {
      const response = await server.open(`${maps}?watch=true&${query}`, { headers: { accept: first } })
      assert.equal(response.headers.get('content-type'), `${protobuf};stream=watch`)
      const seen: [string, Json][] = []
      let rest = Buffer.alloc(0)
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        rest = Buffer.concat([rest, chunk])
        for (; rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(); rest = rest.subarray(4 + rest.readUInt32BE())) {
          seen.push(eventIn(rest.subarray(4, 4 + rest.readUInt32BE())))
        }
        if (seen.length >= count) break
      }
      return seen
    }
    await server.ask('POST', maps, configMap('watched', { a: '1' }))
    const { resourceVersion } = (await server.ask('GET', maps)).body.metadata
    const initial = await frames('sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan', 2)
    assert.deepEqual(
      initial.map(([type, object]) => [type, object.metadata.name ?? object.metadata.annotations]),
      [
        ['ADDED', 'watched'],
        ['BOOKMARK', { 'k8s.io/initial-events-end': 'true' }],
      ],
    )
    await server.ask('PUT', `${maps}/watched`, configMap('watched', { a: '2' }))
    await server.ask('DELETE', `${maps}/watched`)
    const changes = await frames(`resourceVersion=${resourceVersion}`, 2)
    assert.deepEqual(
      changes.map(([type, object]) => [type, object.kind, object.data]),
      [
        ['MODIFIED', 'ConfigMap', { a: '2' }],
        ['DELETED', 'ConfigMap', { a: '2' }],
      ],
    )
  })

  it('tells failures', async () => {
    const { code, type, bytes } = await send('GET', `${maps}/none`, first)
    const status = decodeProtobuf(bytes) as Json
    assert.deepEqual([code, type, status.reason, status.details.name, status.code], [404, protobuf, 'NotFound', 'none', 404])
    const unlike = await send('GET', `${maps}?fieldSelector=data.a%3D1`, protobuf)
    assert.deepEqual([unlike.code, unlike.type], [400, protobuf])
    const forbidden = await send('GET', maps, 'text/html')
    assert.deepEqual([forbidden.code, forbidden.type], [406, 'application/json'])
  })

  it('is chosen by weight and order, and not for tables', async () => {
    const typeOf = async (accept: string) => (await send('GET', maps, accept)).type
    assert.equal(await typeOf(protobuf), protobuf)
    assert.equal(await typeOf(`${protobuf}, */*`), protobuf)
    assert.equal(await typeOf(`application/json,${protobuf}`), 'application/json')
    assert.equal(await typeOf(`${protobuf};q=0.5,application/json`), 'application/json')
    assert.equal(await typeOf(`${protobuf};q=0,application/json;q=0.1`), 'application/json')
    assert.equal(await typeOf('*/*'), 'application/json')
    const table = `${protobuf};as=Table;g=meta.k8s.io;v=v1`
    assert.equal(await typeOf(`${table},application/json;as=Table;g=meta.k8s.io;v=v1`), 'application/json')
    assert.equal((await send('GET', maps, table)).code, 406)
  })

  it('is what metadata alone is told in, of custom resources as well', async () => {
    await establish(server, definition('parts', { schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }))
    const path = '/apis/example.com/v1/namespaces/test/parts'
    const made = await send('POST', path, first, { apiVersion: 'example.com/v1', kind: 'Part', metadata: { name: 'a' }, size: 1 })
    assert.deepEqual([made.code, made.type], [201, 'application/json'])
    assert.equal((await send('GET', path, protobuf)).code, 406)
    const as = (kind: string) => `${protobuf};as=${kind};g=meta.k8s.io;v=v1`
    const list = decodeProtobuf((await send('GET', path, as('PartialObjectMetadataList'))).bytes) as Json
    assert.deepEqual([list.kind, list.items[0].metadata.name], ['PartialObjectMetadataList', 'a'])
    const one = decodeProtobuf((await send('GET', `${path}/a`, as('PartialObjectMetadata'))).bytes) as Json
    assert.deepEqual([one.kind, one.apiVersion, one.metadata.name], ['PartialObjectMetadata', 'meta.k8s.io/v1', 'a'])
  })
})

/** Of a meta/v1 WatchEvent. */
function eventIn(frame: Uint8Array): [type: string, object: Json] {
  const event = new WireReader(frame)
  assert.equal(event.tag().number, 1)
  const type = event.string()
  assert.equal(event.tag().number, 2)
  const raw = event.message()
  assert.equal(raw.tag().number, 1)
  return [type, decodeProtobuf(raw.bytes())]
}
