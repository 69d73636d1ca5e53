// What a Service and its EndpointSlices mean for this node: its frontends (an address or a node port,
// a protocol, a port), each with the backends that serve it from here.

import { isTerminal } from '#api/pods.ts'
import type { Pod, Service, ServicePort } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { canonicalAddress, distinctPrefixes } from './address.ts'
import { type Backend, type Endpoints, endpointsOf, type Here } from './endpoints.ts'
import type { ProxyFamily } from './family.ts'

export type Protocol = 'tcp' | 'udp' | 'sctp'

/** What asked for a frontend: a pod asks for its host ports. */
export type Owner = Service | Pod

export type Frontend = {
  /** Tells frontends of one family apart: `10.43.0.1 tcp 443`, of node ports `* tcp 30443`. */
  readonly key: string
  readonly family: ProxyFamily
  /** Undefined: any address of this node. */
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  readonly backends: readonly Backend[]
  /** Traffic policy Local: who reaches which of them. Undefined: all reach all. */
  readonly split: Split | undefined
  /** Where new connections go that have no backend. */
  readonly refusal: 'goto reject-chain' | 'goto only-inside' | 'drop'
  /** For how long after its last connection a client keeps its backend; undefined: it does not. */
  readonly affinitySeconds: number | undefined
  /** Prefixes of those who are let in; undefined: everyone. */
  readonly sources: readonly string[] | undefined
  readonly owner: Owner
}

/**
 * The first `outside` backends run on this node; those from outside the cluster reach them alone, under
 * their own address. Pods and this node reach all from the place `inside` on: before it are those that
 * terminate and serve only because no other on this node does.
 */
export type Split = { readonly outside: number; readonly inside: number }

/** A service, a pod or a part of one that could not be programmed; `reason` is for people. */
export type ProxyError = { object: Owner; reason: string }

/** What a load balancer in front of the nodes asks each about a service. */
export type HealthCheck = { port: number; readyHere: number }

export type Meaning = { frontends: Frontend[]; errors: ProxyError[]; healthCheck?: HealthCheck }

export const serviceNameLabel = 'kubernetes.io/service-name'

/** Of a service that asks for affinity without a time, in seconds. */
const defaultAffinity = 10_800

export type Families = { has(family: ProxyFamily): boolean }

export const frontendsOf = (service: Service, slices: readonly EndpointSlice[], options: Here & { families: Families }): Meaning => {
  const frontends: Frontend[] = []
  const errors: ProxyError[] = []
  const meaning: Meaning = { frontends, errors }
  const { spec } = service
  const fail = (reason: string) => errors.push({ object: service, reason })
  const clusterIPs = (spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? '']).filter((address) => address !== '')
  if (!spec || spec.type === 'ExternalName' || clusterIPs.length === 0 || clusterIPs[0] === 'None') return meaning

  const internal = addressesOf(clusterIPs, fail)
  const external = addressesOf(spec.externalIPs ?? [], fail)
  const balanced = addressesOf(loadBalancerIPs(service), fail)
  const sources = spec.loadBalancerSourceRanges?.length
    ? distinctPrefixes(spec.loadBalancerSourceRanges, (range) => fail(`source range ${range} is not a prefix`))
    : undefined
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinity) : undefined
  const internalLocal = spec.internalTrafficPolicy === 'Local'
  const externalLocal = spec.externalTrafficPolicy === 'Local'
  const readyHere = { ip: none, ip6: none } as Record<ProxyFamily, ReadonlySet<string>>

  for (const port of spec.ports ?? []) {
    const protocol = protocolOf(port)
    if (!protocol) {
      fail(`port ${port.port}: protocol ${port.protocol} cannot be balanced`)
      continue
    }
    for (const family of bothFamilies) {
      if (!options.families.has(family) || internal.every((address) => address.family !== family)) continue
      const endpoints = endpointsOf(slices, port, family, options, fail)
      if (endpoints.readyHere.length > 0) readyHere[family] = new Set([...readyHere[family], ...endpoints.readyHere])
      const toOutside = externalLocal ? outsideLocal(endpoints) : cluster(endpoints)
      const add = (address: string | undefined, number: number, reach: Reach, only?: readonly string[]) =>
        frontends.push({
          key: `${address ?? '*'} ${protocol} ${number}`,
          family,
          address,
          protocol,
          port: number,
          ...reach,
          affinitySeconds,
          sources: only,
          owner: service,
        })
      for (const { text } of of(family, internal)) add(text, port.port, internalLocal ? insideLocal(endpoints) : cluster(endpoints))
      for (const { text } of of(family, external)) add(text, port.port, toOutside)
      for (const { text } of of(family, balanced))
        if (external.every((other) => other.text !== text)) add(text, port.port, toOutside, sources?.[family])
      if (port.nodePort) add(undefined, port.nodePort, toOutside)
    }
  }
  const healthPort = spec.type === 'LoadBalancer' && externalLocal ? spec.healthCheckNodePort : undefined
  return healthPort
    ? { ...meaning, healthCheck: { port: healthPort, readyHere: Math.max(readyHere.ip.size, readyHere.ip6.size) } }
    : meaning
}

type Reach = Pick<Frontend, 'backends' | 'split' | 'refusal'>

const cluster = ({ anywhere }: Endpoints): Reach => ({ backends: anywhere, split: undefined, refusal: 'goto reject-chain' })

/** Endpoints elsewhere only: the client is to try another node, not to give up. */
const insideLocal = ({ anywhere, here }: Endpoints): Reach => ({
  backends: here,
  split: undefined,
  refusal: anywhere.length > 0 ? 'drop' : 'goto reject-chain',
})

const outsideLocal = ({ anywhere, here }: Endpoints): Reach => {
  const reachedInside = new Set(anywhere)
  const reachedOutside = new Set(here)
  const last = here.filter((backend) => !reachedInside.has(backend))
  const shared = here.filter((backend) => reachedInside.has(backend))
  return {
    backends: [...last, ...shared, ...anywhere.filter((backend) => !reachedOutside.has(backend))],
    split: { outside: here.length, inside: last.length },
    refusal: anywhere.length > 0 ? 'goto only-inside' : 'goto reject-chain',
  }
}

const protocolOf = ({ protocol = 'TCP' }: Pick<ServicePort, 'protocol'>): Protocol | undefined => {
  const lower = protocol.toLowerCase()
  return lower === 'tcp' || lower === 'udp' || lower === 'sctp' ? lower : undefined
}

type Address = { text: string; family: ProxyFamily }

const bothFamilies = ['ip', 'ip6'] as const
const none: ReadonlySet<string> = new Set()

const of = (family: ProxyFamily, addresses: readonly Address[]): readonly Address[] =>
  addresses.every((address) => address.family === family) ? addresses : addresses.filter((address) => address.family === family)

/** Each once. */
const addressesOf = (addresses: readonly string[], fail: (reason: string) => void): Address[] => {
  const found: Address[] = []
  for (const address of addresses) {
    const canonical = canonicalAddress(address)
    if (!canonical) fail(`${address} is not an IP address`)
    else if (found.every(({ text }) => text !== canonical.text)) found.push(canonical)
  }
  return found
}

/** Those to which packets come as they were sent. */
const loadBalancerIPs = (service: Service): string[] =>
  (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []))

/** The host ports of a pod that runs on this node: seen by its own address, like traffic policy Local with one endpoint. */
export const hostPortsOf = (pod: Pod, families: Families): Meaning => {
  const frontends: Frontend[] = []
  const errors: ProxyError[] = []
  const fail = (reason: string) => errors.push({ object: pod, reason })
  const { spec, status } = pod
  if (spec.hostNetwork || isTerminal(pod)) return { frontends, errors }
  const podIPs = addressesOf(
    (status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []),
    fail,
  )
  const sidecars = spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? []
  for (const { hostPort, hostIP = '', containerPort, ...rest } of [...sidecars, ...spec.containers].flatMap(({ ports }) => ports ?? [])) {
    const protocol = protocolOf(rest)
    if (!hostPort || !protocol) continue
    const bound = hostIP === '' ? undefined : canonicalAddress(hostIP)
    if (hostIP !== '' && !bound) {
      fail(`host port ${hostPort}: ${hostIP} is not an IP address`)
      continue
    }
    // No rule leads from these to a pod: agent/network/loopback.ts does.
    if (bound && /^127\.|^::1$/.test(bound.text)) {
      if (protocol !== 'tcp') fail(`host port ${hostPort}: pods are reached through ${hostIP} by TCP only`)
      continue
    }
    const address = bound && /^(0\.0\.0\.0|::)$/.test(bound.text) ? undefined : bound?.text
    for (const { text, family } of podIPs) {
      if (!families.has(family) || (bound && bound.family !== family)) continue
      frontends.push({
        key: `${address ?? '*'} ${protocol} ${hostPort}`,
        family,
        address,
        protocol,
        port: hostPort,
        backends: [{ address: text, port: containerPort, local: true }],
        split: { outside: 1, inside: 0 },
        refusal: 'goto reject-chain',
        affinitySeconds: undefined,
        sources: undefined,
        owner: pod,
      })
    }
  }
  return { frontends, errors }
}
