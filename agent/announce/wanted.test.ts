import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Service, ServiceSpec } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { wanted } from './wanted.ts'

const node = (name: string, { ready = 'True', labels = {} }: { ready?: string; labels?: Record<string, string> } = {}): Node =>
  ({
    metadata: { name, labels },
    status: {
      conditions: [{ type: 'Ready', status: ready }],
      addresses: [{ type: 'InternalIP', address: `192.0.2.${name.charCodeAt(0)}` }],
    },
  }) as unknown as Node

const service = (name: string, ingress: object[], spec: Partial<ServiceSpec> = {}): Service =>
  ({
    metadata: { name, namespace: 'default' },
    spec: { type: 'LoadBalancer', ...spec },
    status: { loadBalancer: { ingress } },
  }) as unknown as Service

const endpoints: Record<string, { nodeName: string; conditions?: object }[]> = {}
const slicesOf = ({ metadata }: Service) => [{ endpoints: endpoints[metadata.name] }] as unknown as EndpointSlice[]

/** By address: the nodes that may announce it, the first in rank first. */
const order = (services: Service[], nodes: Node[]): Record<string, string> => {
  const ranks = new Map(nodes.map(({ metadata: { name } }) => [name, wanted({ nodeName: name, services, nodes, slicesOf })]))
  const addresses = [...(ranks.values().next().value?.keys() ?? [])]
  return Object.fromEntries(
    addresses.map((address) => {
      const may = [...ranks].filter(([, all]) => all.get(address)?.rank !== undefined)
      const sorted = may.sort(([, a], [, b]) => (a.get(address)?.rank ?? 0) - (b.get(address)?.rank ?? 0))
      assert.deepEqual(
        sorted.map(([, all]) => all.get(address)?.rank),
        sorted.map((_, i) => i),
      )
      return [address, sorted.map(([name]) => name).join('')]
    }),
  )
}

test('what is announced: addresses of load balancers of ours that are no node’s', () => {
  const nodes = [node('a')]
  const ip = (address: string, ipMode = 'VIP') => [{ ip: address, ipMode }]
  const services = [
    service('web', [{ ip: '198.51.100.1' }, { ip: '2001:db8::1' }]),
    service('range', ip('198.51.100.2'), { loadBalancerClass: 'coracle/range' }),
    service('nodes', ip('198.51.100.3'), { loadBalancerClass: 'coracle/nodes' }),
    service('others', ip('198.51.100.4'), { loadBalancerClass: 'example.com/lb' }),
    service('proxied', ip('198.51.100.5', 'Proxy')),
    service('on-node', ip('192.0.2.97')),
    service('named', [{ hostname: 'lb.example.com' }]),
    service('inside', ip('198.51.100.6'), { type: 'ClusterIP' }),
  ]
  assert.deepEqual(order(services, nodes), { '198.51.100.1': 'a', '2001:db8::1': 'a', '198.51.100.2': 'a' })
})

test('who may: nodes that are ready and not excluded; with traffic policy Local those with ready endpoints of every service', () => {
  const excluded = { 'node.kubernetes.io/exclude-from-external-load-balancers': '' }
  const nodes = [node('a'), node('b'), node('c', { ready: 'False' }), node('d', { labels: excluded }), node('e')]
  const at = (address: string) => [{ ip: address }]
  const local = { externalTrafficPolicy: 'Local' } as const
  endpoints['near'] = [{ nodeName: 'a' }, { nodeName: 'c' }, { nodeName: 'e', conditions: { ready: false } }]
  endpoints['shared'] = [{ nodeName: 'a' }, { nodeName: 'b' }]
  const { all, near, ...others } = Object.fromEntries(
    Object.entries(
      order(
        [
          service('x', at('all')),
          service('near', at('near'), local),
          service('shared', at('near'), local),
          service('none', at('none'), local),
        ],
        nodes,
      ),
    ).map(([address, names]) => [address, names.split('').sort().join('')]),
  )
  assert.deepEqual([all, near, others], ['abe', 'a', { none: '' }])
})

test('addresses are spread over the nodes, and most stay in rank when a node goes', () => {
  const addresses = Array.from({ length: 60 }, (_, i) => `198.51.100.${i}`)
  const services = addresses.map((ip, i) => service(`s${i}`, [{ ip }]))
  const before = order(services, [node('a'), node('b'), node('c')])
  const first = Map.groupBy(Object.values(before), (names) => names[0])
  for (const name of ['a', 'b', 'c']) assert((first.get(name)?.length ?? 0) > 8, `${name}: ${first.get(name)?.length}`)
  const after = order(services, [node('a'), node('b')])
  for (const address of addresses) assert.equal(after[address], before[address]?.replace('c', ''))
})
