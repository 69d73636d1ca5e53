import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { CustomResourceDefinition, Endpoints, Service } from '#api/kinds/index.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../../store/memory.ts'
import { here } from '../testing/dial.fake.ts'
import { eventsOf, type Json, type Trial, trial } from '../testing/trial.fake.ts'
import { definition, definitions, establish, until } from './resources.fake.ts'

const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } }
const at = (version: string, plural: string) => `/apis/example.com/${version}/namespaces/test/${plural}`
const spec = (properties: Json) => ({ openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } })
const version = (name: string, storage: boolean, properties: Json, rest: Json = {}) => ({
  name,
  served: true,
  storage,
  schema: spec(properties),
  ...rest,
})
const text = { type: 'string' }

describe('versions of custom resources', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  it('are one object, seen by each in its own way', async () => {
    const versions = [
      version('v1', true, { name: text, size: { type: 'integer', default: 1 } }, { subresources: { status: {} } }),
      version('v1beta1', false, { name: text, size: { type: 'integer', default: 9, maximum: 10 } }, { deprecated: true }),
    ]
    await establish(server, definition('boxes', { versions }))
    const made = await server.ask('POST', at('v1beta1', 'boxes'), {
      apiVersion: 'example.com/v1beta1',
      kind: 'Boxe',
      metadata: { name: 'a' },
      spec: { name: 'x' },
    })
    assert.deepEqual([made.code, made.body.apiVersion, made.body.spec], [201, 'example.com/v1beta1', { name: 'x', size: 9 }])
    assert.equal(made.headers.get('warning'), '299 - "example.com/v1beta1 Boxe is deprecated"')
    const { body } = await server.ask('GET', `${at('v1', 'boxes')}/a`)
    assert.deepEqual([body.apiVersion, body.spec, body.metadata.uid], ['example.com/v1', { name: 'x', size: 9 }, made.body.metadata.uid])
    const list = await server.ask('GET', at('v1beta1', 'boxes'))
    assert.deepEqual([list.body.apiVersion, list.body.items[0].apiVersion], ['example.com/v1beta1', 'example.com/v1beta1'])
    const large = { spec: { size: 20 } }
    assert.equal((await server.ask('PATCH', `${at('v1beta1', 'boxes')}/a`, large, merge)).code, 422, 'judged by the version it comes in')
    assert.equal((await server.ask('PATCH', `${at('v1', 'boxes')}/a`, large, merge)).code, 200)
    const config = { apiVersion: 'example.com/v1beta1', kind: 'Boxe', metadata: { name: 'a' }, spec: { name: 'y' } }
    const applied = await server.ask('PATCH', `${at('v1beta1', 'boxes')}/a?fieldManager=me&force=true`, config, apply)
    assert.deepEqual([applied.code, applied.body.spec.name], [200, 'y'])
    const groups = await server.ask('GET', '/apis/example.com')
    assert.equal(groups.body.preferredVersion.version, 'v1')
  })

  it('are watched each in its own way', async () => {
    const stop = new AbortController()
    const events = eventsOf(await server.open(`${at('v1beta1', 'boxes')}?watch=true`, { signal: stop.signal }))
    await server.ask('PATCH', `${at('v1', 'boxes')}/a`, { spec: { size: 3 } }, merge)
    const seen: Json[] = []
    for await (const event of events) if (seen.push(event) === 2) break
    stop.abort()
    assert.deepEqual(
      seen.map(({ type, object }) => [type, object.apiVersion, object.spec.size]),
      [
        ['ADDED', 'example.com/v1beta1', 20],
        ['MODIFIED', 'example.com/v1beta1', 3],
      ],
    )
  })

  it('outlive a change of the one that is kept', async () => {
    await establish(server, definition('crates', { versions: [version('v1', true, { a: text })] }))
    await server.ask('POST', at('v1', 'crates'), { metadata: { name: 'old' }, spec: { a: 'x' } })
    const watch = await server.open(`${at('v1', 'crates')}?watch=true&resourceVersion=0`)
    const moved = definition('crates', {
      versions: [version('v1', false, { a: text }), version('v2', true, { a: text, b: { type: 'string', default: 'new' } })],
    })
    await establish(server, moved)
    const types: string[] = []
    for await (const { type } of eventsOf(watch)) types.push(type)
    assert.deepEqual(types, ['ADDED'], 'a watch ends: its reader comes back to see what is new')
    const { body } = await server.ask('GET', `${at('v2', 'crates')}/old`)
    assert.deepEqual([body.apiVersion, body.spec], ['example.com/v2', { a: 'x', b: 'new' }])
    assert.deepEqual((await server.ask('GET', `${at('v1', 'crates')}/old`)).body.spec, { a: 'x' })
    const stored = (await server.ask('GET', `${definitions}/crates.example.com`)).body.status.storedVersions
    assert.deepEqual(stored, ['v1', 'v2'])
    const dropped = await server.ask(
      'PATCH',
      `${definitions}/crates.example.com`,
      { spec: { versions: [version('v2', true, { a: text })] } },
      merge,
    )
    assert.match(
      dropped.body.message,
      /status\.storedVersions\[0\]: Invalid value: "v1": missing from spec\.versions; v1 was previously a storage version/,
    )
    // Writing it back, unchanged as it is, moves it to the new version.
    const before = await server.store.revision()
    assert.equal((await server.ask('PUT', `${at('v2', 'crates')}/old`, body)).code, 200)
    assert.equal(await server.store.revision(), before + 1)
    assert.equal((await server.ask('PUT', `${at('v2', 'crates')}/old`, body)).code, 409)
  })

  it('end when they are served no more', async () => {
    await establish(
      server,
      definition('crates', { versions: [version('v1', false, { a: text }, { served: false }), version('v2', true, { a: text })] }),
    )
    assert.equal((await server.ask('GET', at('v1', 'crates'))).code, 404)
    assert.equal((await server.ask('GET', at('v2', 'crates'))).code, 200)
  })

  it('come back with the server', async () => {
    const store = await memoryStore()
    const first = await trial({ store })
    await establish(first, definition('boxes', { versions: [version('v1', true, { name: text })] }))
    const { body } = await first.ask('POST', at('v1', 'boxes'), { metadata: { name: 'a' }, spec: { name: 'x' } })
    await first.close()
    const second = await trial({ store })
    assert.equal((await second.ask('GET', `${at('v1', 'boxes')}/a`)).body.metadata.uid, body.metadata.uid)
    await second.close()
    await store.close()
  })
})

describe('names of custom resources', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  it('belong to who had them first, until that one goes', async () => {
    await establish(server, definition('cats', { spec: { names: { plural: 'cats', kind: 'Cat', shortNames: ['c'] } } }))
    const late = definition('cows', { spec: { names: { plural: 'cows', kind: 'Cow', shortNames: ['c'] } } })
    await establish(server, late)
    const { body } = await server.ask('GET', `${definitions}/cows.example.com`)
    const [names, established] = body.status.conditions
    assert.deepEqual(
      [names.type, names.status, names.reason, names.message],
      ['NamesAccepted', 'False', 'ShortNamesConflict', '"c" is already in use'],
    )
    assert.deepEqual([established.type, established.status, established.reason], ['Established', 'False', 'NotAccepted'])
    assert.equal((await server.ask('GET', at('v1', 'cows'))).code, 404)
    await server.ask('DELETE', `${definitions}/cats.example.com`)
    await until(server, 'cows.example.com', (definition) => definition?.status.conditions[1]?.status === 'True')
    assert.equal((await server.ask('GET', at('v1', 'cows'))).code, 200)
  })

  it('may not be those of kinds that are built in', async () => {
    const ingress = definition('ingresses', { group: 'networking.k8s.io', spec: { names: { plural: 'ingresses', kind: 'Ingress' } } })
    const made = await server.client.create(CustomResourceDefinition, {
      ...ingress,
      metadata: { ...ingress.metadata, annotations: { 'api-approved.kubernetes.io': 'unapproved, a test' } },
    })
    await until(server, made.metadata.name, (definition) => definition?.status.conditions[0]?.reason === 'KindConflict')
    assert.equal((await server.ask('GET', '/apis/networking.k8s.io/v1/ingresses')).body.kind, 'IngressList')
    await server.ask('DELETE', `${definitions}/ingresses.networking.k8s.io`)
    await until(server, made.metadata.name, (definition) => definition === undefined)
    assert.equal((await server.ask('GET', '/apis/networking.k8s.io/v1/ingresses')).code, 200)
  })
})

describe('conversion by webhook', () => {
  let server: Trial
  let dir: string
  let pki: Pki
  let webhook: Server
  let port: number
  const asked: Json[] = []
  let answer: (review: Json) => Json

  /** v1 has a name, v2 its two words. */
  const convert = (object: Json, to: string): Json => {
    const { name = '', first = '', last = '' } = object.spec
    return {
      ...object,
      apiVersion: to,
      spec: to.endsWith('v1') ? { name: `${first} ${last}` } : { first: name.split(' ')[0], last: name.split(' ')[1] },
    }
  }
  const converted = ({ request }: Json) => ({
    uid: request.uid,
    result: { status: 'Success' },
    convertedObjects: request.objects.map((object: Json) => convert(object, request.desiredAPIVersion)),
  })

  before(async () => {
    server = await trial()
    dir = await mkdtemp(join(tmpdir(), 'coracle-webhook-'))
    pki = await openPki({ dir, hosts: ['127.0.0.1', 'convert.test.svc'], now: Date.now })
    const serve = async (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = []
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
      const review: Json = JSON.parse(Buffer.concat(chunks).toString())
      asked.push(review)
      response.end(JSON.stringify({ kind: 'ConversionReview', apiVersion: review.apiVersion, response: answer(review) }))
    }
    const { cert, key } = pki.serving
    webhook = createServer({ cert, key }, (request, response) => void serve(request, response)).listen(0, '127.0.0.1')
    await once(webhook, 'listening')
    port = (webhook.address() as AddressInfo).port
    answer = converted
    const metadata = { name: 'convert', namespace: 'test' }
    await server.client.create(Service, { metadata, spec: { ports: [{ port: 443, targetPort: port }] } })
    await server.client.create(Endpoints, { metadata, subsets: [{ addresses: [{ ip: here }], ports: [{ port }] }] })
    const clientConfig = {
      service: { name: 'convert', namespace: 'test', path: '/convert' },
      caBundle: Buffer.from(pki.authority.cert).toString('base64'),
    }
    const conversion = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig } }
    const versions = [version('v1', false, { name: text }), version('v2', true, { first: text, last: { type: 'string', minLength: 2 } })]
    await establish(server, definition('people', { versions, spec: { conversion } }))
  })
  after(async () => {
    await server?.close()
    webhook?.close()
    webhook?.closeAllConnections()
    if (dir) await rm(dir, { recursive: true })
  })

  it('goes both ways', async () => {
    const made = await server.ask('POST', at('v1', 'people'), { metadata: { name: 'ann' }, spec: { name: 'Ann Smith' } })
    assert.deepEqual([made.code, made.body.apiVersion, made.body.spec], [201, 'example.com/v1', { name: 'Ann Smith' }])
    assert.deepEqual((await server.ask('GET', `${at('v2', 'people')}/ann`)).body.spec, { first: 'Ann', last: 'Smith' })
    const patched = await server.ask('PATCH', `${at('v1', 'people')}/ann`, { spec: { name: 'Ann Jones' } }, merge)
    assert.deepEqual(patched.body.spec, { name: 'Ann Jones' })
    assert.deepEqual((await server.ask('GET', `${at('v2', 'people')}/ann`)).body.spec, { first: 'Ann', last: 'Jones' })
    const config = { apiVersion: 'example.com/v1', kind: 'People', metadata: { name: 'ann' }, spec: { name: 'Ann Brown' } }
    const applied = await server.ask('PATCH', `${at('v1', 'people')}/ann?fieldManager=me&force=true`, config, apply)
    assert.deepEqual([applied.code, applied.body.spec], [200, { name: 'Ann Brown' }])
  })

  it('is asked once for a list, and not again for what it has told', async () => {
    await server.ask('POST', at('v2', 'people'), { metadata: { name: 'bob' }, spec: { first: 'Bob', last: 'Hill' } })
    await server.ask('POST', at('v2', 'people'), { metadata: { name: 'eve' }, spec: { first: 'Eve', last: 'Lake' } })
    asked.length = 0
    const { body } = await server.ask('GET', at('v1', 'people'))
    assert.deepEqual(
      body.items.map((item: Json) => item.spec.name),
      ['Ann Brown', 'Bob Hill', 'Eve Lake'],
    )
    assert.deepEqual(
      asked.map(({ request }) => request.objects.length),
      [2],
    )
    await server.ask('GET', at('v1', 'people'))
    assert.equal(asked.length, 1)
  })

  it('fails in so many words', async () => {
    const failure = async (response: (review: Json) => Json) => {
      answer = response
      const { code, body } = await server.ask('POST', at('v1', 'people'), { metadata: { name: 'x' }, spec: { name: 'X Y' } })
      answer = converted
      assert.equal(code, 500)
      return body.message
    }
    const prefix = 'conversion webhook for example.com/v1, Kind=People failed: '
    assert.equal(await failure(() => ({})), `${prefix}expected response.uid="${asked.at(-1).request.uid}", got ""`)
    assert.equal(await failure((review) => ({ ...converted(review), result: { status: 'Failed', message: 'no' } })), `${prefix}no`)
    assert.equal(await failure((review) => ({ ...converted(review), convertedObjects: [] })), `${prefix}it returned 0 objects, expected 1`)
    const renamed = (review: Json) => ({
      ...converted(review),
      convertedObjects: converted(review).convertedObjects.map((o: Json) => ({ ...o, metadata: { ...o.metadata, name: 'z' } })),
    })
    assert.equal(await failure(renamed), `${prefix}it changed metadata.name of "x"`)
    assert.equal((await server.ask('GET', `${at('v2', 'people')}/x`)).code, 404)
  })

  it('does not keep a definition from going', async () => {
    webhook.close()
    webhook.closeAllConnections()
    assert.equal((await server.ask('GET', `${at('v2', 'people')}/bob`)).code, 200, 'the kept version needs nobody')
    await server.ask('DELETE', `${definitions}/people.example.com`)
    await until(server, 'people.example.com', (definition) => definition === undefined)
  })
})
