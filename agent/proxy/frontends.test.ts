import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerPort, Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { Desired } from './desired.ts'
import { service, slice, tellWhole } from './fixtures.ts'
import { balancerOf } from './layout.ts'

/** Each frontend in a line: its key, where its chain leads, its backends or the refusal. Then the errors. */
const lines = (services: Service[], slices: EndpointSlice[]): string[] => {
  const desired = new Desired({ nodeName: 'here', families: ['ip', 'ip6'] })
  tellWhole(desired)(services, slices)
  const errors = desired.refresh()
  return [
    ...(['ip', 'ip6'] as const).flatMap((family) =>
      [...desired.of(family).frontends.values()].map(
        (frontend) =>
          `${frontend.key} ${balancerOf(frontend).replace('goto ', '')}: ${
            frontend.backends.map(({ address, port }) => `${address}:${port}`).join(' ') || frontend.refusal
          }`,
      ),
    ),
    ...errors.map(({ object, reason }) => `${object.metadata.name}: ${reason}`),
  ]
}

const here = { nodeName: 'here' }
const dead = { ready: false, serving: false, terminating: true }
const draining = { ready: false, serving: true, terminating: true }
const notReady = { ready: false, serving: false, terminating: false }

test('services that have no address of their own are left alone', () => {
  const services = [
    service('headless', 'None'),
    service('pending', ''),
    service('elsewhere', '', { type: 'ExternalName', externalName: 'example.org' }),
  ]
  assert.deepEqual(lines(services, [slice('headless', ['10.42.0.2'])]), [])
})

test('ready endpoints serve, terminating ones only if none is ready', () => {
  const web = [service('web', '10.43.0.1')]
  const drained = { addresses: ['10.42.0.3'], conditions: draining }
  const gone = { addresses: ['10.42.0.4'], conditions: dead }
  const starting = { addresses: ['10.42.0.5'], conditions: notReady }
  assert.deepEqual(lines(web, [slice('web', ['10.42.0.2', drained, gone, starting])]), ['10.43.0.1 tcp 80 lb-1: 10.42.0.2:8080'])
  assert.deepEqual(lines(web, [slice('web', [drained, gone, starting])]), ['10.43.0.1 tcp 80 lb-1: 10.42.0.3:8080'])
  assert.deepEqual(lines(web, [slice('web', [gone, starting])]), ['10.43.0.1 tcp 80 lb-0: goto reject-chain'])
})

test('an endpoint in several slices is one, in the state that serves', () => {
  const moved = [slice('web', [{ addresses: ['10.42.0.2'], conditions: notReady }]), slice('web', ['10.42.0.9', '10.42.0.2'])]
  assert.deepEqual(lines([service('web', '10.43.0.1')], moved), ['10.43.0.1 tcp 80 lb-2: 10.42.0.2:8080 10.42.0.9:8080'])
})

test("ports are found by name and protocol; the endpoint's own number counts", () => {
  const dns = service('dns', '10.43.0.10', {
    ports: [
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'dns-tcp', port: 53, protocol: 'TCP' },
      { name: 'metrics', port: 9153 },
    ],
  })
  const ports = [
    { name: 'dns', protocol: 'UDP' as const, port: 5353 },
    { name: 'dns-tcp', protocol: 'TCP' as const, port: 5353 },
  ]
  assert.deepEqual(lines([dns], [slice('dns', ['10.42.0.2'], ports)]), [
    '10.43.0.10 udp 53 lb-1: 10.42.0.2:5353',
    '10.43.0.10 tcp 53 lb-1: 10.42.0.2:5353',
    '10.43.0.10 tcp 9153 lb-0: goto reject-chain',
  ])
})

test('traffic policy Local: who is outside reaches endpoints here only, dropped if they are elsewhere, rejected if there are none', () => {
  const outside = {
    type: 'LoadBalancer' as const,
    ports: [{ port: 80, nodePort: 30080 }],
    externalIPs: ['192.0.2.1'],
    externalTrafficPolicy: 'Local' as const,
  }
  const mixed = [slice('web', ['10.42.0.2', { addresses: ['10.42.1.2'], ...here }])]
  assert.deepEqual(lines([service('web', '10.43.0.1', outside)], mixed), [
    '10.43.0.1 tcp 80 lb-2: 10.42.0.2:8080 10.42.1.2:8080',
    '192.0.2.1 tcp 80 local-1-of-2: 10.42.1.2:8080 10.42.0.2:8080',
    '* tcp 30080 node-local-1-of-2: 10.42.1.2:8080 10.42.0.2:8080',
  ])
  assert.deepEqual(lines([service('web', '10.43.0.1', { ...outside, internalTrafficPolicy: 'Local' })], [slice('web', ['10.42.0.2'])]), [
    '10.43.0.1 tcp 80 lb-0: drop',
    '192.0.2.1 tcp 80 local-0-of-1: 10.42.0.2:8080',
    '* tcp 30080 node-local-0-of-1: 10.42.0.2:8080',
  ])
  assert.deepEqual(lines([service('web', '10.43.0.1', { internalTrafficPolicy: 'Local' })], []), [
    '10.43.0.1 tcp 80 lb-0: goto reject-chain',
  ])
})

test('each family has its own addresses and endpoints', () => {
  const dual = service('web', '10.43.0.1', { clusterIPs: ['10.43.0.1', 'FD00::0001'] })
  assert.deepEqual(lines([dual], [slice('web', ['10.42.0.2']), slice('web', ['fd00:42:0::2'])]), [
    '10.43.0.1 tcp 80 lb-1: 10.42.0.2:8080',
    'fd00::1 tcp 80 lb-1: fd00:42::2:8080',
  ])
})

test('of endpoints here that only serve while they terminate, only those outside are left with them', () => {
  const local = service('web', '10.43.0.1', { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }], externalTrafficPolicy: 'Local' })
  const last = { addresses: ['10.42.1.2'], conditions: draining, ...here }
  assert.deepEqual(lines([local], [slice('web', [last, '10.42.0.2', '10.42.0.3'])]), [
    '10.43.0.1 tcp 80 lb-2: 10.42.0.2:8080 10.42.0.3:8080',
    '* tcp 30080 node-local-1-of-3-from-1: 10.42.1.2:8080 10.42.0.2:8080 10.42.0.3:8080',
  ])
})

test('load balancer addresses, except where the balancer proxies; only from where it is allowed', () => {
  const balanced = service('web', '10.43.0.1', { type: 'LoadBalancer', ports: [{ port: 80, nodePort: 30080 }] })
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.9' }, { ip: '192.0.2.10', ipMode: 'Proxy' as const }] } }
  const slices = [slice('web', ['10.42.0.2'])]
  assert.deepEqual(lines([{ ...balanced, status }], slices), [
    '10.43.0.1 tcp 80 lb-1: 10.42.0.2:8080',
    '192.0.2.9 tcp 80 lb-1: 10.42.0.2:8080',
    '* tcp 30080 node-lb-1: 10.42.0.2:8080',
  ])
  const loadBalancerSourceRanges = ['198.51.100.7/24', ' 203.0.113.5/32', '198.51.100.128/25', '2001:db8::/32', 'nonsense']
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  tellWhole(desired)([{ ...balanced, status, spec: { ...balanced.spec, loadBalancerSourceRanges } }], slices)
  assert.deepEqual(
    desired.refresh().map(({ reason }) => reason),
    ['source range nonsense is not a prefix'],
  )
  assert.deepEqual(
    [...desired.of('ip').frontends.values()].map(({ key, sources }) => [key, sources]),
    [
      ['10.43.0.1 tcp 80', undefined],
      ['192.0.2.9 tcp 80', ['198.51.100.0/24', '203.0.113.5']],
      ['* tcp 30080', undefined],
    ],
  )
})

test('endpoints meant for this node, or else its zone, if all say for whom they are meant', () => {
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  const tell = tellWhole(desired)
  const backends = (zone: string | undefined, ...endpoints: Parameters<typeof slice>[1][number][]) => {
    desired.zoneChanged(zone)
    tell([service('web', '10.43.0.1')], [slice('web', endpoints)])
    desired.refresh()
    return desired
      .of('ip')
      .frontends.get('10.43.0.1 tcp 80')
      ?.backends.map(({ address }) => address)
  }
  const inZone = (address: string, zone: string) => ({ addresses: [address], hints: { forZones: [{ name: zone }] } })
  const onNode = (address: string, node: string) => ({
    addresses: [address],
    hints: { forNodes: [{ name: node }], forZones: [{ name: 'a' }] },
  })
  const [a, b] = [inZone('10.42.0.2', 'a'), inZone('10.42.0.3', 'b')]
  assert.deepEqual(backends('a', a, b), ['10.42.0.2'])
  assert.deepEqual(backends('b', a, b), ['10.42.0.3'])
  assert.deepEqual(backends('c', a, b), ['10.42.0.2', '10.42.0.3'])
  assert.deepEqual(backends(undefined, a, b), ['10.42.0.2', '10.42.0.3'])
  assert.deepEqual(backends('a', a, '10.42.0.3'), ['10.42.0.2', '10.42.0.3'])
  assert.deepEqual(backends('a', onNode('10.42.0.2', 'here'), onNode('10.42.0.3', 'there')), ['10.42.0.2'])
  assert.deepEqual(backends('a', onNode('10.42.0.2', 'away'), onNode('10.42.0.3', 'there')), ['10.42.0.2', '10.42.0.3'])
})

test('host ports of the pods that run', () => {
  const desired = new Desired({ nodeName: 'here', families: ['ip', 'ip6'] })
  const told = (name: string, ports: ContainerPort[], more: { phase?: 'Failed'; hostNetwork?: true } = {}) => {
    const { phase = 'Running', hostNetwork } = more
    const pod = {
      kind: 'Pod',
      metadata: { name, namespace: 'default', creationTimestamp: `2026-01-01T00:00:0${name}Z` },
      spec: { containers: [{ name: 'main', ports }], ...(hostNetwork && { hostNetwork }) },
      status: { phase, podIPs: [{ ip: '10.42.1.7' }, { ip: 'fd00:42::7' }] },
    } as unknown as Pod
    desired.podChanged({ namespace: 'default', name }, pod)
    const errors = desired.refresh().map(({ object, reason }) => `${object.metadata.name}: ${reason}`)
    return [
      ...(['ip', 'ip6'] as const).flatMap((family) =>
        [...desired.of(family).frontends.values()].map(
          (frontend) =>
            `${frontend.key} ${balancerOf(frontend)} ${frontend.backends.map(({ address, port }) => `${address} ${port}`).join()}`,
        ),
      ),
      ...errors,
    ]
  }
  assert.deepEqual(told('1', [{ containerPort: 80, hostPort: 8080 }, { containerPort: 81 }]), [
    '* tcp 8080 goto node-local-1-of-1 10.42.1.7 80',
    '* tcp 8080 goto node-local-1-of-1 fd00:42::7 80',
  ])
  assert.deepEqual(told('2', [{ containerPort: 80, hostPort: 8080, hostIP: '0.0.0.0' }]).slice(2), [
    '2: * tcp 8080 is taken by pod default/1',
  ])
  assert.deepEqual(told('2', [{ containerPort: 53, hostPort: 53, hostIP: '192.0.2.1', protocol: 'UDP' }]), [
    '* tcp 8080 goto node-local-1-of-1 10.42.1.7 80',
    '192.0.2.1 udp 53 goto local-1-of-1 10.42.1.7 53',
    '* tcp 8080 goto node-local-1-of-1 fd00:42::7 80',
  ])
  assert.deepEqual(told('2', [{ containerPort: 53, hostPort: 53, hostIP: '127.0.0.1' }]).slice(2), [])
  assert.deepEqual(told('2', [{ containerPort: 53, hostPort: 53, hostIP: '127.0.0.1', protocol: 'UDP' }]).slice(2), [
    '2: host port 53: pods are reached through 127.0.0.1 by TCP only',
  ])
  assert.deepEqual(told('2', [{ containerPort: 53, hostPort: 53 }], { hostNetwork: true }).length, 2)
  assert.deepEqual(told('1', [{ containerPort: 80, hostPort: 8080 }], { phase: 'Failed' }), [])
})

test('what one service gets wrong does not touch the others', () => {
  const services = [
    service('late', '10.43.0.1', {}, '2026-02-01T00:00:00Z'),
    service('early', '10.43.0.1', { externalIPs: ['not an address'] }),
    service('odd', '10.43.0.2', { ports: [{ port: 1, protocol: 'ICMP' as never }, { port: 2 }] }),
  ]
  assert.deepEqual(lines(services, [slice('early', ['10.42.0.2', 'bad'])]), [
    '10.43.0.1 tcp 80 lb-1: 10.42.0.2:8080',
    '10.43.0.2 tcp 2 lb-0: goto reject-chain',
    'early: not an address is not an IP address',
    'early: endpoint address bad is not IPv4',
    'odd: port 1: protocol ICMP cannot be balanced',
    'late: 10.43.0.1 tcp 80 is taken by service default/early',
  ])
})

test('only what changed is worked out again', () => {
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  const tell = tellWhole(desired)
  const { frontends, changed } = desired.of('ip')
  const services = [service('web', '10.43.0.1'), service('db', '10.43.0.2')]
  const db = slice('db', ['10.42.0.3'])
  const next = (...told: Parameters<typeof tell>) => {
    changed.clear()
    tell(...told)
    assert.deepEqual(desired.refresh(), [])
    return [...changed].sort()
  }
  assert.deepEqual(next(services, [slice('web', ['10.42.0.2']), db]), ['10.43.0.1 tcp 80', '10.43.0.2 tcp 80'])
  const kept = frontends.get('10.43.0.2 tcp 80')
  assert.deepEqual(next(services, [slice('web', ['10.42.0.9']), db]), ['10.43.0.1 tcp 80'])
  assert.equal(frontends.get('10.43.0.2 tcp 80'), kept)
  assert.equal(frontends.get('10.43.0.1 tcp 80')?.backends[0]?.address, '10.42.0.9')
  assert.deepEqual(next(services.slice(1), [db]), ['10.43.0.1 tcp 80'])
  assert.deepEqual([...frontends.keys()], ['10.43.0.2 tcp 80'])
  assert.deepEqual(next(services.slice(1), [db]), [])
})

test('a slice that goes to another service leaves the first', () => {
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  const { frontends } = desired.of('ip')
  const backends = () => [...frontends.values()].map(({ key, backends }) => `${key}: ${backends.map(({ address }) => address).join(' ')}`)
  for (const one of [service('web', '10.43.0.1'), service('db', '10.43.0.2')])
    desired.serviceChanged({ namespace: 'default', name: one.metadata.name }, one)
  const name = { namespace: 'default', name: 'some' }
  desired.sliceChanged(name, slice('web', ['10.42.0.2']))
  desired.refresh()
  assert.deepEqual(backends(), ['10.43.0.1 tcp 80: 10.42.0.2', '10.43.0.2 tcp 80: '])
  desired.sliceChanged(name, slice('db', ['10.42.0.2']))
  desired.refresh()
  assert.deepEqual(backends(), ['10.43.0.1 tcp 80: ', '10.43.0.2 tcp 80: 10.42.0.2'])
  desired.sliceChanged(name, undefined)
  desired.refresh()
  assert.deepEqual(backends(), ['10.43.0.1 tcp 80: ', '10.43.0.2 tcp 80: '])
})

test('of those who claim the same the older has it, and when it goes the next', () => {
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  const tell = tellWhole(desired)
  const claim = (name: string, day: number) => service(name, '10.43.0.1', {}, `2026-01-0${day}T00:00:00Z`)
  const [first, second, third] = [claim('c', 1), claim('b', 2), claim('a', 3)]
  const owner = (...services: Service[]) => {
    tell(services, [])
    const errors = desired.refresh().map(({ object, reason }) => `${object.metadata.name}: ${reason}`)
    return [desired.of('ip').frontends.get('10.43.0.1 tcp 80')?.owner.metadata.name, ...errors]
  }
  assert.deepEqual(owner(third), ['a'])
  assert.deepEqual(owner(third, second), ['b', 'a: 10.43.0.1 tcp 80 is taken by service default/b'])
  assert.deepEqual(owner(third, second, first), [
    'c',
    'b: 10.43.0.1 tcp 80 is taken by service default/c',
    'a: 10.43.0.1 tcp 80 is taken by service default/c',
  ])
  assert.deepEqual(owner(third, second), ['b'])
  assert.deepEqual(owner(third), ['a'])
  assert.deepEqual(owner(), [undefined])
})
