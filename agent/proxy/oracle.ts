// What Kubernetes says of a new connection that meets this node, read from the objects one by one: services
// as plain as they can be written, to hold against what is programmed. For tests.

import { BlockList, isIPv6 } from 'node:net'
import type { Pod, Service, ServicePort } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import type { Networks } from './family.ts'

export type World = {
  services: readonly Service[]
  slices: readonly EndpointSlice[]
  pods: readonly Pod[]
  nodeName: string
  zone: string | undefined
  /** All of the node's own, loopback too. */
  nodeAddresses: readonly string[]
  /** Those on which node ports answer. */
  nodePortAddresses: readonly string[]
  networks: { ip: Networks; ip6: Networks }
}

export type Connection = { from: string; to: string; protocol: 'TCP' | 'UDP' | 'SCTP'; port: number }

/** `backends`: all are as likely. `sticky`: for how many seconds the client keeps the one it gets. */
export type Fate = { fate: 'drop' | 'reject' } | { fate: 'pass'; backends: readonly Destination[]; sticky: number | undefined }

/** `seenAs`: the source address that arrives there. */
export type Destination = { address: string; port: number; seenAs: 'itself' | 'node' }

export const fateOf = (world: World, connection: Connection): Fate => {
  const { from, to } = connection
  const networks = world.networks[isIPv6(to) ? 'ip6' : 'ip']
  const isInside = within([networks.cluster], from)
  const isNode = world.nodeAddresses.includes(from)
  const arrivesAs = (address: string, port: number, masquerade: boolean): Destination => {
    // Everything the node sends is under one of its own addresses; what comes for the node itself is not forwarded.
    const isForwarded = !world.nodeAddresses.includes(address)
    const leaves = within([networks.pods], from) && !within([networks.cluster, '224.0.0.0/4', 'ff00::/8'], address)
    return { address, port, seenAs: isNode || (isForwarded && (masquerade || leaves)) ? 'node' : 'itself' }
  }
  const claim = claimOf(world, connection)
  if (!claim) {
    const isNobodys = within([networks.services], to) && !world.nodeAddresses.includes(to)
    if (isNobodys) return { fate: 'reject' }
    return { fate: 'pass', backends: [arrivesAs(to, connection.port, false)], sticky: undefined }
  }
  if (claim.kind === 'host port') {
    const { address, port } = claim
    return { fate: 'pass', backends: [arrivesAs(address, port, address === from || (isNode && !isInside))], sticky: undefined }
  }
  const { service, port, via } = claim
  const { spec } = service
  if (via === 'load balancer' && spec.loadBalancerSourceRanges?.length && !within(spec.loadBalancerSourceRanges, from))
    return { fate: 'drop' }
  const all = endpointsOf(world, service, port, isIPv6(to))
  const isHere = ({ nodeNames }: Candidate) => nodeNames.has(world.nodeName)
  const isLocal =
    via === 'cluster' ? spec.internalTrafficPolicy === 'Local' : spec.externalTrafficPolicy === 'Local' && !isInside && !isNode
  const anywhere = nearest(world, serving(all))
  const reached = isLocal ? serving(all.filter(isHere)) : anywhere
  if (reached.length === 0) return { fate: anywhere.length > 0 ? 'drop' : 'reject' }
  const keepsSource = isInside || (via !== 'cluster' && isLocal)
  return {
    fate: 'pass',
    backends: reached.map((each) => arrivesAs(each.address, each.port, !keepsSource || (each.address === from && isHere(each)))),
    sticky: spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined,
  }
}

/** Ready endpoints of a service on this node, as a load balancer asks for them. */
export const readyHere = (world: World, service: Service): number =>
  Math.max(
    0,
    ...new Set(service.spec.clusterIPs?.map(isIPv6)).values().map((isV6) => {
      const ports = (service.spec.ports ?? []).flatMap((port) => endpointsOf(world, service, port, isV6))
      return new Set(ports.filter(({ ready, nodeNames }) => ready && nodeNames.has(world.nodeName)).map(({ address }) => address)).size
    }),
  )

type Claim =
  | { kind: 'service'; service: Service; port: ServicePort; via: 'cluster' | 'external' | 'load balancer' | 'node port' }
  | { kind: 'host port'; address: string; port: number }

/** Who has the address and port: one of that very address before a port of all of the node's, and the older before the younger. */
const claimOf = (world: World, connection: Connection): Claim | undefined => {
  const { to, protocol, port } = connection
  const byAge = (a: Service | Pod, b: Service | Pod) => (ageOf(a) < ageOf(b) ? -1 : 1)
  const claims = [...world.services, ...world.pods].sort(byAge).flatMap((object): (Claim & { isExact: boolean })[] => {
    if (object.kind === 'Pod') return hostPortClaims(object as Pod, connection, world.nodePortAddresses)
    const { spec, status } = object as Service
    const clusterIPs = spec.clusterIPs ?? []
    if (spec.type === 'ExternalName' || clusterIPs[0] === 'None') return []
    if (!clusterIPs.some((address) => isIPv6(address) === isIPv6(to))) return []
    const ingress = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []))
    return (spec.ports ?? [])
      .filter((each) => (each.protocol ?? 'TCP') === protocol)
      .flatMap((each) => {
        const vias = [
          ...(each.port === port && clusterIPs.includes(to) ? (['cluster'] as const) : []),
          ...(each.port === port && spec.externalIPs?.includes(to) ? (['external'] as const) : []),
          ...(each.port === port && ingress.includes(to) ? (['load balancer'] as const) : []),
          ...(each.nodePort === port && world.nodePortAddresses.includes(to) ? (['node port'] as const) : []),
        ]
        return vias.map((via) => ({ kind: 'service' as const, service: object as Service, port: each, via, isExact: via !== 'node port' }))
      })
  })
  return claims.find(({ isExact }) => isExact) ?? claims[0]
}

const hostPortClaims = ({ spec, status }: Pod, { to, protocol, port }: Connection, nodePortAddresses: readonly string[]) =>
  spec.containers
    .flatMap(({ ports }) => ports ?? [])
    .filter((each) => each.hostPort === port && (each.protocol ?? 'TCP') === protocol)
    .flatMap(({ hostIP, containerPort }) => {
      const address = status?.podIPs?.find(({ ip }) => isIPv6(ip ?? '') === isIPv6(to))?.ip
      if (address === undefined || (hostIP ? hostIP !== to : !nodePortAddresses.includes(to))) return []
      return [{ kind: 'host port' as const, address, port: containerPort, isExact: hostIP !== undefined }]
    })

const ageOf = ({ metadata }: Service | Pod): string => `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`

type Candidate = {
  address: string
  port: number
  nodeNames: Set<string>
  ready: boolean
  /** Serves while it terminates. */
  fallback: boolean
  zones: Set<string>
  nodes: Set<string>
}

/** All endpoints of a port, whatever their condition; one that two slices have while it moves is one. */
const endpointsOf = ({ slices }: World, service: Service, servicePort: ServicePort, isV6: boolean): Candidate[] => {
  const found = new Map<string, Candidate>()
  for (const slice of slices) {
    const { namespace, labels } = slice.metadata
    if (namespace !== service.metadata.namespace || labels?.['kubernetes.io/service-name'] !== service.metadata.name) continue
    if (slice.addressType !== (isV6 ? 'IPv6' : 'IPv4')) continue
    for (const { name = '', protocol = 'TCP', port } of slice.ports ?? []) {
      if (name !== (servicePort.name ?? '') || protocol !== (servicePort.protocol ?? 'TCP') || port === undefined) continue
      for (const endpoint of slice.endpoints) merge(found, endpoint, port)
    }
  }
  return [...found.values()]
}

const merge = (found: Map<string, Candidate>, { addresses, conditions, nodeName, hints }: Endpoint, port: number): void => {
  const address = addresses[0] as string
  const key = `${address} ${port}`
  const candidate = found.get(key) ?? {
    address,
    port,
    nodeNames: new Set(),
    ready: false,
    fallback: false,
    zones: new Set(),
    nodes: new Set(),
  }
  found.set(key, candidate)
  if (nodeName) candidate.nodeNames.add(nodeName)
  const ready = conditions?.ready !== false
  candidate.ready ||= ready
  candidate.fallback ||= conditions?.terminating === true && (conditions.serving ?? ready)
  for (const { name } of hints?.forZones ?? []) candidate.zones.add(name)
  for (const { name } of hints?.forNodes ?? []) candidate.nodes.add(name)
}

const serving = (all: readonly Candidate[]): readonly Candidate[] => {
  const ready = all.filter((each) => each.ready)
  return ready.length > 0 ? ready : all.filter(({ fallback }) => fallback)
}

/** Hints count if every endpoint has them and some are meant for this node, or for its zone. */
const nearest = ({ nodeName, zone }: World, all: readonly Candidate[]): readonly Candidate[] => {
  const ours = [
    all.every(({ nodes }) => nodes.size > 0) ? all.filter(({ nodes }) => nodes.has(nodeName)) : [],
    all.every(({ zones }) => zones.size > 0) && zone !== undefined ? all.filter(({ zones }) => zones.has(zone)) : [],
  ]
  return ours.find((some) => some.length > 0) ?? all
}

const lists = new Map<string, BlockList>()

const within = (prefixes: readonly string[], address: string): boolean => {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  const id = `${family} ${prefixes.join()}`
  let list = lists.get(id)
  if (!list) {
    list = new BlockList()
    for (const prefix of prefixes) {
      const [network = '', length] = prefix.split('/')
      if (isIPv6(network) === (family === 'ipv6')) list.addSubnet(network, Number(length), family)
    }
    lists.set(id, list)
  }
  return list.check(address, family)
}
