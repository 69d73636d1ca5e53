// Random services, endpoints and pods for the model test: from small ranges, so that they meet.

import { isIPv6 } from 'node:net'
import type { Pod, Service } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Below, pick } from '../ruleset/random.ts'
import { bothNetworks } from './fixtures.ts'
import { serviceNameLabel } from './frontends.ts'
import type { Connection } from './oracle.ts'

const some = <T>(below: Below, list: readonly T[], odds: number): T[] => list.filter(() => below(odds) === 0)

export const networks = bothNetworks
export const nodePortAddresses = ['192.0.2.1', '2001:db8::1']
/** The second of each family is one on which node ports do not answer. */
export const nodeAddresses = [...nodePortAddresses, '203.0.113.1', '2001:db8:3::1', '127.0.0.1', '::1']
export const nodePortPrefixes = ['192.0.2.0/24', '2001:db8::/64']

const count = 6
const protocols = ['TCP', 'TCP', 'UDP', 'SCTP'] as const
const clusterIPs = (i: number) => [`10.43.0.${i + 1}`, `fd00:43::${i + 1}`]
const outer = ['192.0.2.1', '198.51.100.9', '2001:db8::1', '2001:db8:9::9']
const balanced = ['198.51.100.20', '198.51.100.21', '2001:db8:9::20', '198.51.100.9']
const ranges = ['0.0.0.0/0', '10.0.0.0/8', '198.51.100.0/24', '203.0.113.9/32', '::/0', '2001:db8:9::/48', 'fd00:42::/56']
const endpointAddresses = {
  IPv4: ['10.42.1.2', '10.42.1.3', '10.42.1.4', '10.42.2.2', '10.42.2.3', '10.42.2.4', '192.0.2.1', '192.0.2.77'],
  IPv6: ['fd00:42:0:1::2', 'fd00:42:0:1::3', 'fd00:42:0:1::4', 'fd00:42:0:2::2', 'fd00:42:0:2::3', '2001:db8::1', '2001:db8::77'],
}
const clients = ['198.51.100.7', '203.0.113.9', '192.0.2.1', '203.0.113.1', '2001:db8:9::7', '2001:db8::1', 'fd00:9::1']

/** Which of a few services, and one of a few slices of it. */
export const someService = (below: Below): number => below(count)

export const randomService = (below: Below, i: number): Service => {
  const type = pick(below, ['ClusterIP', 'ClusterIP', 'NodePort', 'NodePort', 'LoadBalancer', 'LoadBalancer', 'ExternalName'] as const)
  const isHeadless = below(10) === 0
  const families = pick(below, [[0], [1], [0, 1], [0, 1]])
  const addresses = isHeadless ? ['None'] : families.map((family) => clusterIPs(i)[family] as string)
  const isOpen = type === 'NodePort' || type === 'LoadBalancer'
  const names = pick(below, [[undefined], ['a'], ['a', 'b']])
  const spec = {
    type,
    ...(type === 'ExternalName' ? { externalName: 'example.com' } : { clusterIP: addresses[0], clusterIPs: addresses }),
    ports: names.map((name, n) => ({
      ...(name && { name }),
      port: 80 + n,
      protocol: pick(below, protocols),
      ...(isOpen && { nodePort: 30_000 + 2 * below(3) + n }),
    })),
    externalIPs: some(below, outer, 4),
    ...(isOpen && { externalTrafficPolicy: pick(below, ['Cluster', 'Local'] as const) }),
    internalTrafficPolicy: pick(below, ['Cluster', 'Cluster', 'Local'] as const),
    ...(type === 'LoadBalancer' && { loadBalancerSourceRanges: below(2) ? some(below, ranges, 3) : [], healthCheckNodePort: 31_000 + i }),
    ...(below(3) === 0 && {
      sessionAffinity: 'ClientIP' as const,
      ...(below(3) && { sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 * (1 + below(3)) } } }),
    }),
    publishNotReadyAddresses: pick(below, [undefined, false, true]),
  }
  const ingress = type === 'LoadBalancer' ? some(below, balanced, 2).filter((ip) => !spec.externalIPs.includes(ip)) : []
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `s${i}`, namespace: 'default', creationTimestamp: `2026-01-01T00:00:0${below(10)}Z` },
    spec,
    status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip, ipMode: pick(below, ['VIP', 'VIP', 'Proxy']) })) } },
  } as unknown as Service
}

export const randomSlice = (below: Below, name: string, i: number): EndpointSlice => {
  const addressType = pick(below, ['IPv4', 'IPv4', 'IPv6'] as const)
  const hinted = pick(below, [[], [], ['forZones'], ['forNodes'], ['forZones', 'forNodes']])
  const endpoints = some(below, endpointAddresses[addressType], 2).map((address) => {
    const hints = {
      ...(hinted.includes('forZones') && below(12) && { forZones: some(below, ['a', 'b'], 2).map((name) => ({ name })) }),
      ...(hinted.includes('forNodes') && below(12) && { forNodes: [{ name: pick(below, ['here', 'elsewhere']) }] }),
    }
    const isPod = address.startsWith('10.42.') || address.startsWith('fd00:42')
    const nodeName = /^10\.42\.1\.|^fd00:42:0:1:|^192\.0\.2\.1$|^2001:db8::1$/.test(address) ? 'here' : isPod ? 'elsewhere' : undefined
    return {
      addresses: [address],
      conditions: randomConditions(below),
      ...(nodeName && { nodeName }),
      ...(below(2) && { hints }),
    } as Endpoint
  })
  const port = 8080 + below(2)
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: below(20) === 0 ? {} : { [serviceNameLabel]: `s${i}` } },
    addressType,
    endpoints,
    ports: ['', 'a', 'b'].flatMap((name) =>
      [...new Set(protocols)].filter(() => below(12)).map((protocol) => ({ name, protocol, port: name === 'b' ? 9090 : port })),
    ),
  } as EndpointSlice
}

const randomConditions = (below: Below): Endpoint['conditions'] | undefined =>
  pick<Endpoint['conditions'] | undefined>(below, [
    { ready: true, serving: true, terminating: false },
    { ready: true, serving: true, terminating: false },
    { ready: true },
    {},
    undefined,
    { ready: false, serving: false, terminating: false },
    { ready: false, serving: true, terminating: true },
    { ready: false, serving: false, terminating: true },
    { ready: true, serving: true, terminating: true },
  ])

export const randomPod = (below: Below, i: number): Pod =>
  ({
    kind: 'Pod',
    metadata: { name: `p${i}`, namespace: 'default', creationTimestamp: `2026-01-01T00:00:0${below(10)}Z` },
    spec: {
      containers: [
        {
          name: 'main',
          ports: [
            {
              containerPort: 8080,
              hostPort: pick(below, [8088, 30_000]),
              protocol: pick(below, protocols),
              ...(below(2) && { hostIP: pick(below, ['192.0.2.1', '203.0.113.1', '2001:db8::1']) }),
            },
          ],
        },
      ],
    },
    status: { phase: 'Running', podIPs: [{ ip: `10.42.1.${20 + i}` }, { ip: `fd00:42:0:1::${20 + i}` }] },
  }) as unknown as Pod

/** Mostly to what some service or pod asks for. */
export const randomConnection = (below: Below): Connection => {
  const i = someService(below)
  const nodes = nodeAddresses.filter((address) => address !== '127.0.0.1' && address !== '::1')
  const to = pick(below, [
    ...Array.from({ length: 6 }, () => pick(below, clusterIPs(i))),
    ...Array.from({ length: 3 }, () => pick(below, nodes)),
    ...Array.from({ length: 3 }, () => pick(below, [...outer, ...balanced])),
    pick(below, ['10.43.0.99', 'fd00:43::99', '10.42.2.9', 'fd00:42:0:2::9', '203.0.113.50', '2001:db8:5::5', '224.0.0.5']),
  ])
  const isSame = (address: string) => isIPv6(address) === isIPv6(to)
  const from = pick(below, [...clients, ...endpointAddresses.IPv4.slice(0, 6), ...endpointAddresses.IPv6.slice(0, 5)].filter(isSame))
  const port = pick(below, [80, 80, 80, 81, 82, 8088, 30_000 + below(6)])
  return { from, to, protocol: pick(below, protocols), port }
}
