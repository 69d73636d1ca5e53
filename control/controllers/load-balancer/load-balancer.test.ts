import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigMap, EndpointSlice, Event, Node, Service } from '#api/kinds/index.ts'
import type { ServiceSpec } from '#api/types/core-v1.gen.ts'
import { type Harness, harness } from '../harness.fake.ts'

const namespace = 'default'

async function setup() {
  const h = await harness()
  const addresses = (node: string, ...list: [type: string, address: string][]) => {
    const status = { addresses: list.map(([type, address]) => ({ type, address })) }
    return h.client.patch(Node, { name: node }, 'merge', { status }, { subresource: 'status' })
  }
  for (const [i, name] of ['node-1', 'node-2'].entries()) {
    await h.addNode(name)
    await addresses(name, ['InternalIP', `192.0.2.${i + 1}`], ['Hostname', name])
  }
  const balanced = (name: string, spec: Partial<ServiceSpec> = {}) =>
    h.client.create(Service, { metadata: { name, namespace }, spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec } })
  return { ...h, h, addresses, balanced }
}

const ingress = async ({ client }: Harness, name: string) =>
  (await client.find(Service, { name, namespace }))?.status?.loadBalancer?.ingress?.map(({ ip }) => ip)

test('a service gets the addresses of the nodes that are ready, and gives them back', async () => {
  const { h, addresses, balanced } = await setup()
  await using _ = h
  await balanced('web')
  await balanced('other-class', { loadBalancerClass: 'example.com/lb', ports: [{ port: 81 }] })
  await h.settle()
  assert.deepEqual([await ingress(h, 'web'), await ingress(h, 'other-class')], [['192.0.2.1', '192.0.2.2'], undefined])

  await addresses('node-2', ['InternalIP', '192.0.2.2'], ['ExternalIP', '198.51.100.2'], ['InternalIP', 'fd00::2'])
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.1', '198.51.100.2'])
  await h.client.patch(Service, { name: 'web', namespace }, 'merge', { spec: { ipFamilies: ['IPv4', 'IPv6'] } })
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.1', '198.51.100.2', 'fd00::2'])

  await h.client.patch(Node, { name: 'node-2' }, 'merge', {
    metadata: { labels: { 'node.kubernetes.io/exclude-from-external-load-balancers': '' } },
  })
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.1'])
  const conditions = [{ type: 'Ready', status: 'False' }]
  await h.client.patch(Node, { name: 'node-1' }, 'merge', { status: { conditions } }, { subresource: 'status' })
  await h.settle()
  assert.equal(await ingress(h, 'web'), undefined)
})

test('a service that is no load balancer any more has no addresses', async () => {
  const { h, balanced } = await setup()
  await using _ = h
  await balanced('web')
  await h.settle()
  assert.equal((await ingress(h, 'web'))?.length, 2)
  await h.client.patch(Service, { name: 'web', namespace }, 'merge', { spec: { type: 'ClusterIP' } })
  await h.settle()
  assert.equal(await ingress(h, 'web'), undefined)
})

test('with traffic policy Local only nodes with endpoints count', async () => {
  const { h, balanced } = await setup()
  await using _ = h
  await balanced('web', { externalTrafficPolicy: 'Local' })
  const put = (...endpoints: { nodeName: string; conditions: { ready: boolean } }[]) =>
    h.client.put(EndpointSlice, {
      metadata: { name: 'web-1', namespace, labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: endpoints.map((endpoint) => ({ ...endpoint, addresses: ['10.42.0.1'] })),
      ports: [],
    })
  await h.settle()
  assert.equal(await ingress(h, 'web'), undefined)
  put({ nodeName: 'node-2', conditions: { ready: true } }, { nodeName: 'node-1', conditions: { ready: false } })
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.2'])
  put()
  await h.settle()
  assert.equal(await ingress(h, 'web'), undefined)
})

test('one service a port; the next gets it when the first goes; the node keeps its own', async () => {
  const { h, balanced } = await setup()
  await using _ = h
  const at = (second: number) => ({ creationTimestamp: `2026-01-01T00:00:0${second}Z` })
  const put = (name: string, second: number) =>
    h.client.put(Service, {
      metadata: { name, namespace, ...at(second) },
      spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
      status: {},
    })
  put('second', 2)
  put('first', 1)
  await balanced('agent', { ports: [{ port: 10_250 }] })
  await balanced('udp', { ports: [{ port: 80, protocol: 'UDP' }] })
  await h.settle()
  const all = async () => Promise.all(['first', 'second', 'agent', 'udp'].map(async (name) => (await ingress(h, name))?.length ?? 0))
  assert.deepEqual(await all(), [2, 0, 0, 2])
  const events = (await h.client.list(Event, { namespace })).items.filter(({ reason }) => reason === 'LoadBalancerPortTaken')
  assert.deepEqual(events.map(({ involvedObject, message }) => `${involvedObject.name}: ${message}`).sort(), [
    "agent: tcp 10250 is the node's own: node addresses cannot be given to this service",
    "second: tcp 80 of the nodes' addresses is taken by service default/first",
  ])
  await h.client.delete(Service, { name: 'first', namespace })
  await h.settle()
  assert.deepEqual(await all(), [0, 2, 0, 2])
})

test('with ranges configured a service gets an address of these; exhaustion and nonsense are events', async () => {
  const { h, balanced } = await setup()
  await using _ = h
  const settings = { namespace: 'kube-system', name: 'coracle-load-balancer' }
  await balanced('web')
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.1', '192.0.2.2'])
  const config = await h.client.create(ConfigMap, { metadata: settings, data: { addresses: '192.0.2.2-192.0.2.3, so many' } })
  await h.settle()
  assert.deepEqual(await ingress(h, 'web'), ['192.0.2.3'])
  assert.deepEqual((await h.client.get(Service, { name: 'web', namespace })).status?.loadBalancer?.ingress, [
    { ip: '192.0.2.3', ipMode: 'VIP' },
  ])
  await balanced('more', { ports: [{ port: 81 }] })
  await balanced('on-nodes', { loadBalancerClass: 'coracle/nodes' })
  await balanced('of-others', { loadBalancerClass: 'example.com/lb' })
  await h.settle()
  const all = async () => [await ingress(h, 'web'), await ingress(h, 'more'), await ingress(h, 'on-nodes'), await ingress(h, 'of-others')]
  assert.deepEqual(await all(), [['192.0.2.3'], undefined, ['192.0.2.1', '192.0.2.2'], undefined])
  const events = async () =>
    [
      ...(await h.client.list(Event, { namespace })).items,
      ...(await h.client.list(Event, { namespace: config.metadata.namespace! })).items,
    ].map(({ type, reason, involvedObject, message }) => `${type} ${reason} ${involvedObject.name}: ${message}`)
  assert.deepEqual((await events()).sort(), [
    'Normal IPAllocated web: Assigned IP 192.0.2.3',
    'Warning AllocationFailed more: no IPv4 address is left in the ranges',
    'Warning InvalidLoadBalancerSettings coracle-load-balancer: addresses: so is no address, range or network; addresses: many is no address, range or network',
  ])
  await h.client.delete(Service, { name: 'web', namespace })
  await h.settle()
  assert.deepEqual(await ingress(h, 'more'), ['192.0.2.3'])
  await h.client.delete(ConfigMap, settings)
  await h.settle()
  assert.deepEqual(await ingress(h, 'more'), ['192.0.2.1', '192.0.2.2'])
})
