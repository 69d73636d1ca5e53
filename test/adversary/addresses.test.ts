// Sending the server, and everybody's traffic, to places that others have no business at: its own loopback, the link's
// metadata service, the cluster's own addresses.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { isStatus } from '#api/errors.ts'
import { APIService, Endpoints, Node, Pod, Service } from '#api/kinds/index.ts'
import { here } from '#control/server/testing/dial.fake.ts'
import { type Live, live } from '#control/server/testing/live.fake.ts'

let server: Live
let web: Server
let visits = 0
const core = '/api/v1/namespaces/default'
const merge = { 'content-type': 'application/merge-patch+json' }
const special: [address: string, why: string][] = [
  ['127.0.0.1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ['::1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ['::ffff:127.0.0.1', 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
  ['169.254.169.254', 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  ['fe80::1', 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
  ['224.0.0.1', 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
  ['239.1.2.3', 'may not be a multicast address (224.0.0.0/4, ff00::/8)'],
  ['0.0.0.0', 'may not be unspecified (0.0.0.0)'],
  ['::', 'may not be unspecified (::)'],
]

before(async () => {
  server = await live()
  web = createServer((_, answer) => {
    visits += 1
    answer.end('a secret of the host')
  })
  await once(web.listen(0, '127.0.0.1'), 'listening')
})
after(async () => {
  await server[Symbol.asyncDispose]()
  web.close().closeAllConnections()
})

const port = () => (web.address() as AddressInfo).port

async function refused(method: string, path: string, body: unknown, field: string, value: string, why: string) {
  const answer = await server.ask(method, path, { body, ...(method === 'PATCH' && { headers: merge }) })
  assert.deepEqual([answer.code, answer.body.reason], [422, 'Invalid'], answer.text)
  const cause = { reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field }
  assert.deepEqual(answer.body.details.causes, [cause])
}

test('endpoints, slices, external addresses and load balancers name no special address', async () => {
  const client = server.server.client()
  await client.create(Service, { metadata: { namespace: 'default', name: 'lb' }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }] } })
  for (const [address, why] of special) {
    const family = address.includes(':') ? 'IPv6' : 'IPv4'
    const at = (field: string) => [field, address, why] as const
    for (const list of ['addresses', 'notReadyAddresses'])
      await refused(
        'POST',
        `${core}/endpoints`,
        { metadata: { name: 'x' }, subsets: [{ [list]: [{ ip: here }, { ip: address }] }] },
        ...at(`subsets[0].${list}[1].ip`),
      )
    const slice = { metadata: { name: 'x' }, addressType: family, endpoints: [{ addresses: [address] }] }
    await refused('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', slice, ...at('endpoints[0].addresses[0]'))
    const service = { metadata: { name: 'x' }, spec: { ports: [{ port: 80 }], externalIPs: [address] } }
    await refused('POST', `${core}/services`, service, ...at('spec.externalIPs[0]'))
    const status = { status: { loadBalancer: { ingress: [{ ip: address }] } } }
    await refused('PATCH', `${core}/services/lb/status`, status, ...at('status.loadBalancer.ingress[0].ip'))
  }
  for (const name of ['endpoints', 'services']) assert.equal((await server.ask('GET', `${core}/${name}/x`)).code, 404, 'nothing half-done')
})

test("external addresses are not the cluster's own", async () => {
  const client = server.server.client()
  const endpoints = {
    metadata: { namespace: 'default', name: 'kubernetes' },
    subsets: [{ addresses: [{ ip: here }], ports: [{ port: 6443 }] }],
  }
  await client.create(Endpoints, endpoints)
  const service = (ip: string, number: number) => ({ metadata: { name: 'thief' }, spec: { ports: [{ port: number }], externalIPs: [ip] } })
  const field = 'spec.externalIPs[0]'
  for (const ip of ['10.43.0.1', '10.43.0.10', '10.43.77.77'])
    await refused('POST', `${core}/services`, service(ip, 80), field, ip, 'may not be in the range of cluster IPs')
  const words = 'may not be the address of the API server together with its port 6443'
  await refused('POST', `${core}/services`, service(here, 6443), field, here, words)
  assert.equal((await server.ask('POST', `${core}/services`, { body: service(here, 80) })).code, 201, 'on one node they are the same')
  await refused(
    'PATCH',
    `${core}/services/thief`,
    { spec: { externalIPs: [here, '10.43.0.10'] } },
    'spec.externalIPs[1]',
    '10.43.0.10',
    'may not be in the range of cluster IPs',
  )
})

test('a pod or node that says it is on loopback is not visited there', async () => {
  const client = server.server.client()
  const spec = { nodeName: 'n1', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: port() }] }] }
  const pod = await client.create(Pod, { metadata: { namespace: 'default', name: 'thief' }, spec })
  const node = await client.create(Node, { metadata: { name: 'n1' } })
  const daemonEndpoints = { kubeletEndpoint: { Port: port() } }
  for (const [address] of [...special, ['localhost'], ['127.1'], ['2130706433'], ['fe80::1%lo']]) {
    const podIP = address as string
    const told = client.patch(Pod, pod.metadata, 'merge', { status: { podIP, podIPs: [{ ip: podIP }] } }, { subresource: 'status' })
    // What is no address is not stored; the pod stays at the one before.
    await told.catch((error: unknown) => assert.ok(isStatus(error, 'Invalid'), String(error)))
    const addresses = [{ type: 'InternalIP' as const, address: podIP }]
    await client.patch(Node, { name: 'n1' }, 'merge', { status: { ...node.status, addresses, daemonEndpoints } }, { subresource: 'status' })
    for (const path of [
      `${core}/pods/thief/proxy/`,
      `${core}/pods/thief:${port()}/proxy/`,
      `${core}/pods/https:thief:${port()}/proxy/`,
      `/api/v1/nodes/n1/proxy/`,
      `/api/v1/nodes/n1:${port()}/proxy/`,
      `${core}/pods/thief/log`,
    ]) {
      const { code, body } = await server.ask('GET', path)
      assert.deepEqual([code, body.reason, body.message], [400, 'BadRequest', 'address not allowed'], `${path} at ${podIP}`)
    }
  }
  assert.equal(visits, 0)
})

test('endpoints that were there before are looked at again when somebody is sent to them', async () => {
  // As an older version, or another API server, may have stored them.
  const subsets = [{ addresses: [{ ip: '127.0.0.1' }], ports: [{ port: port() }] }]
  const client = server.server.client()
  await client.create(Service, { metadata: { namespace: 'default', name: 'old' }, spec: { ports: [{ port: 80 }] } })
  const made = { apiVersion: 'v1', kind: 'Endpoints', metadata: { namespace: 'default', name: 'old', uid: 'x' }, subsets }
  await server.store.put('/registry/core/endpoints/default/old', Buffer.from(JSON.stringify(made)))
  const { code, body } = await server.ask('GET', `${core}/services/old/proxy/`)
  assert.deepEqual([code, body.message, visits], [400, 'address not allowed', 0])
  const service = await client.create(APIService, {
    metadata: { name: 'v1.thief.example.com' },
    spec: {
      group: 'thief.example.com',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      insecureSkipTLSVerify: true,
      service: { namespace: 'default', name: 'old', port: 80 },
    },
  })
  await assert.rejects(server.server.probe(service, AbortSignal.timeout(10_000)), /address not allowed/)
  const hook = (clientConfig: object) => ({
    metadata: { name: 'thief' },
    webhooks: [
      {
        name: 'a.thief.example.com',
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
        clientConfig,
      },
    ],
  })
  const hooks = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  for (const clientConfig of [
    { service: { namespace: 'default', name: 'old', port: 80 } },
    { url: 'https://169.254.169.254/latest' },
    { url: 'https://0.0.0.0/x' },
    { url: 'https://[::ffff:169.254.169.254]/x' },
  ]) {
    assert.equal((await server.ask('POST', hooks, { body: hook(clientConfig) })).code, 201)
    const answer = await server.ask('POST', `${core}/configmaps`, { body: { metadata: { name: 'x' } } })
    assert.deepEqual([answer.code, answer.body.message.endsWith('address not allowed')], [500, true], answer.text)
    assert.equal((await server.ask('DELETE', `${hooks}/thief`)).code, 200)
  }
  assert.equal(visits, 0)
})
