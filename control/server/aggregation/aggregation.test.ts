// A server of somebody else's behind ours, over real sockets.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { systemClock } from '#api/clock.ts'
import { informers as informersOf } from '#api/informer/informers.ts'
import { APIService, ConfigMap, Endpoints, Namespace, Service } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { run } from '#api/queue/run.ts'
import { availability, localApiServices } from '../../controllers/api-services.ts'
import { namespaces } from '../../controllers/namespace.ts'
import { here } from '../testing/dial.fake.ts'
import { type Live, live } from '../testing/live.fake.ts'

let own: Live
let behind: Server
let stop: AbortController
let running: Promise<unknown>
const lamp = { kind: 'Lamp', apiVersion: 'lamps.example.com/v1', metadata: { name: 'a' } }
/** In the namespace `dark`. */
const lamps = new Set(['one', 'two'])
const seen: { path?: string; user?: Record<string, unknown>; by?: string } = {}

function serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
  const path = incoming.url ?? ''
  const json = (value: unknown) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  const { headersDistinct } = incoming
  if (headersDistinct['x-remote-user']?.[0] !== 'system:kube-aggregator') {
    seen.path = `${incoming.method} ${path}`
    seen.user = Object.fromEntries(Object.entries(headersDistinct).filter(([name]) => name.startsWith('x-remote')))
    seen.by = String((incoming.socket as TLSSocket).getPeerCertificate().subject.CN)
  }
  if (path === '/apis/lamps.example.com/v1') {
    const verbs = ['get', 'list', 'watch', 'delete']
    const resources = [
      { name: 'lamps', singularName: 'lamp', namespaced: true, kind: 'Lamp', verbs, shortNames: ['lm'] },
      { name: 'lamps/status', singularName: '', namespaced: true, kind: 'Lamp', verbs: ['get'] },
    ]
    return void json({ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: 'lamps.example.com/v1', resources })
  }
  if (path === '/openapi/v3')
    return void json({ paths: { 'apis/lamps.example.com/v1': { serverRelativeURL: '/openapi/v3/apis/lamps.example.com/v1?hash=AB' } } })
  if (path.startsWith('/openapi/v3/apis/lamps')) return void json({ openapi: '3.0.0', info: { title: 'lamps' } })
  if (path === '/apis/lamps.example.com/v1/namespaces/dark/lamps') {
    return void json({
      kind: 'LampList',
      metadata: { resourceVersion: '7' },
      items: [...lamps].map((name) => ({ ...lamp, metadata: { name, namespace: 'dark', uid: name } })),
    })
  }
  if (incoming.method === 'DELETE') lamps.delete(path.slice(path.lastIndexOf('/') + 1))
  if (path.includes('watch=true')) return void outgoing.write(`${JSON.stringify({ type: 'ADDED', object: lamp })}\n`)
  json(lamp)
}

const ready = async (status: string, reason: string) => {
  for await (const { object } of own.server.client().watch(APIService, { fieldSelector: 'metadata.name=v1.lamps.example.com' })) {
    const [condition] = object.status?.conditions ?? []
    if (condition?.status === status && condition.reason === reason) return condition
  }
  return undefined
}

before(async () => {
  own = await live()
  const proxies = own.pki.frontProxy.authority
  behind = createServer(
    {
      ...(await own.pki.authority.issue({ commonName: 'x', usage: 'server', hosts: ['lamps.default.svc'] })),
      ca: proxies,
      requestCert: true,
    },
    serve,
  )
  behind.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  await once(behind.listen(0, '127.0.0.1'), 'listening')
  stop = new AbortController()
  const client = own.server.client()
  const common = { informers: informersOf({ client, clock: systemClock, log: silent }), clock: systemClock, log: silent }
  const deps = { ...common, client, recorderFor: () => assert.fail() }
  const reconcilers = [localApiServices(deps), availability(deps, (...asked) => own.server.probe(...asked)), namespaces(deps)]
  running = run(reconcilers, { ...common, signal: stop.signal }).then(() => common.informers.close())
})

after(async () => {
  stop.abort()
  await running
  await own[Symbol.asyncDispose]()
  behind.closeAllConnections()
  behind.close()
})

test('groups of this server register themselves', async () => {
  const { body } = await own.ask('GET', '/apis/apiregistration.k8s.io/v1/apiservices?watch=false', {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  })
  assert.deepEqual(
    body.columnDefinitions.map((c: { name: string }) => c.name),
    ['Name', 'Service', 'Available', 'Age'],
  )
  for await (const { object } of own.server.client().watch(APIService, { fieldSelector: 'metadata.name=v1.apps' }))
    if (object.status?.conditions?.[0]?.reason === 'Local') break
  const { spec } = await own.server.client().get(APIService, { name: 'v1.' })
  assert.deepEqual(spec, { version: 'v1', groupPriorityMinimum: 18_000, versionPriority: 15 })
})

test('a service tells why it is not available, and is once it answers', async () => {
  const client = own.server.client()
  const caBundle = Buffer.from(own.pki.authority.cert).toString('base64')
  const spec = {
    group: 'lamps.example.com',
    version: 'v1',
    groupPriorityMinimum: 1000,
    versionPriority: 15,
    caBundle,
    service: { namespace: 'default', name: 'lamps' },
  }
  await client.create(APIService, { metadata: { name: 'v1.lamps.example.com' }, spec })
  assert.equal((await ready('False', 'ServiceNotFound'))?.message, 'service/lamps in "default" is not present')
  const refused = await own.ask('GET', '/apis/lamps.example.com/v1/namespaces/default/lamps/a')
  assert.deepEqual([refused.code, refused.body.kind, refused.body.reason], [503, 'Status', 'ServiceUnavailable'])
  const stale = await own.ask('GET', '/apis', {
    headers: { accept: 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList' },
  })
  const theirs = stale.body.items.find((g: { metadata: { name: string } }) => g.metadata.name === 'lamps.example.com')
  assert.equal(theirs.versions[0].freshness, 'Stale')
  await client.create(Service, { metadata: { namespace: 'default', name: 'lamps' }, spec: { ports: [{ port: 443 }] } })
  assert.ok(await ready('False', 'EndpointsNotFound'))
  const ref = { namespace: 'default', name: 'lamps' }
  const made = await client.create(Endpoints, { metadata: ref })
  assert.ok(await ready('False', 'MissingEndpoints'))
  const at = (port: number) => [{ addresses: [{ ip: here }], ports: [{ port }] }]
  const wrong = await client.update(Endpoints, { ...made, subsets: at(1) })
  assert.match(
    (await ready('False', 'FailedDiscoveryCheck'))?.message ?? '',
    /^failing or missing response from https:\/\/127.0.0.1:1\/apis/,
  )
  await client.update(Endpoints, { ...wrong, subsets: at((behind.address() as AddressInfo).port) })
  assert.ok(await ready('True', 'Passed'))
})

test('its group is discovered among ours, with its documents', async () => {
  const accept = 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList'
  const { body } = await own.ask('GET', '/apis', { headers: { accept } })
  const group = body.items.find((g: { metadata: { name: string } }) => g.metadata.name === 'lamps.example.com')
  assert.equal(group.versions[0].freshness, 'Current')
  assert.deepEqual(group.versions[0].resources[0].subresources[0].subresource, 'status')
  assert.ok((await own.ask('GET', '/apis')).body.groups.some((g: { name: string }) => g.name === 'lamps.example.com'))
  assert.equal((await own.ask('GET', '/apis/lamps.example.com')).body.preferredVersion.version, 'v1')
  assert.equal((await own.ask('GET', '/apis/lamps.example.com/v1')).body.resources.length, 2)
  const index = await own.ask('GET', '/openapi/v3')
  const { serverRelativeURL } = index.body.paths['apis/lamps.example.com/v1']
  assert.equal((await own.ask('GET', serverRelativeURL)).body.info.title, 'lamps')
})

test('requests pass through, and it is told who asks', async () => {
  const path = '/apis/lamps.example.com/v1/namespaces/default/lamps/a/more/b%2Fc?x=y'
  const headers = { 'x-remote-user': 'root', 'x-remote-group': 'system:masters', 'impersonate-user': 'ann', 'impersonate-group': 'people' }
  const denied = await own.ask('GET', path, { headers })
  assert.equal(denied.code, 403, 'they must be allowed here')
  const answer = await own.ask('PUT', path, { headers: { ...headers, 'impersonate-group': 'system:masters' }, body: { a: 1 } })
  assert.deepEqual([answer.code, answer.body], [200, lamp])
  assert.equal(seen.path, `PUT ${path}`)
  assert.deepEqual(seen.user, { 'x-remote-user': ['ann'], 'x-remote-group': ['system:masters', 'system:authenticated'] })
  assert.equal(seen.by, 'front-proxy-client')
  assert.equal(await own.upgrade('/apis/lamps.example.com/v1/namespaces/default/lamps/a/exec', 'ping'), 'ping')
})

test('servers behind learn whom to trust', async () => {
  const { data } = await own.server.client().get(ConfigMap, { namespace: 'kube-system', name: 'extension-apiserver-authentication' })
  assert.equal(data?.['requestheader-allowed-names'], '["front-proxy-client"]')
  assert.equal(data?.['requestheader-client-ca-file'], own.pki.frontProxy.authority)
  assert.notEqual(data?.['client-ca-file'], own.pki.frontProxy.authority)
})

test('a namespace ends there too, and not while nobody can say what it holds', async () => {
  const client = own.server.client()
  const made = (await client.kinds()).find(({ kind }) => kind === 'Lamp')
  assert.deepEqual([made?.plural, made?.namespaced, made?.verbs], ['lamps', true, ['get', 'list', 'delete']])
  await client.create(Namespace, { metadata: { name: 'dark' } })
  const endpoints = await client.get(Endpoints, { namespace: 'default', name: 'lamps' })
  const reachable = endpoints.subsets ?? []
  const away = await client.update(Endpoints, { ...endpoints, subsets: [{ ...reachable[0]!, ports: [{ port: 1 }] }] })
  assert.ok(await ready('False', 'FailedDiscoveryCheck'))
  await client.delete(Namespace, { name: 'dark' })
  for await (const { object } of client.watch(Namespace, { fieldSelector: 'metadata.name=dark' })) {
    const condition = object.status.conditions?.find(({ type }) => type === 'NamespaceDeletionDiscoveryFailure')
    if (condition?.status !== 'True') continue
    assert.equal(condition.reason, 'DiscoveryFailed')
    assert.match(condition.message ?? '', /lamps\.example\.com\/v1: stale GroupVersion discovery: lamps\.example\.com\/v1$/)
    break
  }
  await client.update(Endpoints, { ...away, subsets: reachable })
  for await (const { type } of client.watch(Namespace, { fieldSelector: 'metadata.name=dark' })) if (type === 'DELETED') break
  assert.deepEqual([...lamps], [])
})
