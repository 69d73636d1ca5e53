// What a Service and its EndpointSlices mean for this node: its frontends (an address or a node port,
// a protocol, a port), each with the backends that serve it from here.

import type { Service, ServicePort } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { canonicalAddress } from './address.ts'
import type { ProxyFamily } from './layout.ts'

export type Backend = { readonly address: string; readonly port: number /** Runs on this node. */; readonly local: boolean }

export type Protocol = 'tcp' | 'udp' | 'sctp'

export type Frontend = {
  /** Tells frontends of one family apart: `10.43.0.1 tcp 443`, of node ports `* tcp 30443`. */
  readonly key: string
  readonly family: ProxyFamily
  /** Undefined: any address of this node. */
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  /** The balancing chain's name without the number of backends. */
  readonly balancer: string
  /** What new connections meet if there are no backends. */
  readonly refusal: 'goto reject-chain' | 'drop'
  readonly backends: readonly Backend[]
  readonly service: Service
}

/** A service, or a part of it, that could not be programmed; `reason` is for people. */
export type ServiceError = { service: Service; reason: string }

export const serviceNameLabel = 'kubernetes.io/service-name'

export const frontendsOf = (
  service: Service,
  slices: readonly EndpointSlice[],
  options: { nodeName: string; families: { has(family: ProxyFamily): boolean } },
): { frontends: Frontend[]; errors: ServiceError[] } => {
  const frontends: Frontend[] = []
  const errors: ServiceError[] = []
  const { spec } = service
  const fail = (reason: string) => errors.push({ service, reason })
  const clusterIPs = (spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? '']).filter((address) => address !== '')
  if (!spec || spec.type === 'ExternalName' || clusterIPs.length === 0 || clusterIPs[0] === 'None') return { frontends, errors }

  const internal = addressesOf(clusterIPs, fail)
  const external = addressesOf([...(spec.externalIPs ?? []), ...loadBalancerIPs(service, fail)], fail)
  const families = new Set(internal.map(({ family }) => family))
  const sticky = spec.sessionAffinity === 'ClientIP' ? '-sticky' : ''
  const internalLocal = spec.internalTrafficPolicy === 'Local'
  const externalLocal = spec.externalTrafficPolicy === 'Local'

  for (const port of spec.ports ?? []) {
    const protocol = protocolOf(port)
    if (!protocol) {
      fail(`port ${port.port}: protocol ${port.protocol} cannot be balanced`)
      continue
    }
    for (const family of families) {
      if (!options.families.has(family)) continue
      const all = endpointsOf(slices, port, family, service, options.nodeName, fail)
      const anywhere = usable(all)
      const here = internalLocal || externalLocal ? usable(all.filter(({ local }) => local)) : []
      const add = (address: string | undefined, number: number, isLocal: boolean, reach: 'lb' | 'local') => {
        const backends = isLocal ? here : anywhere
        frontends.push({
          key: `${address ?? '*'} ${protocol} ${number}`,
          family,
          address,
          protocol,
          port: number,
          balancer: `${address === undefined ? 'node-' : ''}${reach}${sticky}`,
          // Endpoints elsewhere only: the client is to try another node, not to give up.
          refusal: isLocal && anywhere.length > 0 ? 'drop' : 'goto reject-chain',
          backends,
          service,
        })
      }
      for (const address of internal) if (address.family === family) add(address.text, port.port, internalLocal, 'lb')
      for (const address of external)
        if (address.family === family) add(address.text, port.port, externalLocal, externalLocal ? 'local' : 'lb')
      if (port.nodePort) add(undefined, port.nodePort, externalLocal, externalLocal ? 'local' : 'lb')
    }
  }
  return { frontends, errors }
}

const protocolOf = ({ protocol = 'TCP' }: ServicePort): Protocol | undefined => {
  const lower = protocol.toLowerCase()
  return lower === 'tcp' || lower === 'udp' || lower === 'sctp' ? lower : undefined
}

const addressesOf = (addresses: readonly string[], fail: (reason: string) => void): { text: string; family: ProxyFamily }[] => {
  const found = new Map<string, { text: string; family: ProxyFamily }>()
  for (const address of addresses) {
    const canonical = canonicalAddress(address)
    if (canonical) found.set(canonical.text, canonical)
    else fail(`${address} is not an IP address`)
  }
  return [...found.values()]
}

const loadBalancerIPs = (service: Service, fail: (reason: string) => void): string[] => {
  const ips = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, ipMode }) => (ip && ipMode !== 'Proxy' ? [ip] : []))
  // To let everyone in would be worse than to let no one in.
  if (ips.length === 0 || !service.spec?.loadBalancerSourceRanges?.length) return ips
  fail('loadBalancerSourceRanges are not enforced yet: its load balancer addresses are left out')
  return []
}

/** `fallback`: still serves while it terminates. */
type Candidate = Backend & { ready: boolean; readonly fallback: boolean }

/** Ready endpoints; if there are none, those that still serve while they terminate. */
const usable = (candidates: readonly Candidate[]): readonly Backend[] => {
  if (candidates.every(({ ready }) => ready)) return candidates
  const ready = candidates.filter((candidate) => candidate.ready)
  return ready.length > 0 ? ready : candidates.filter(({ fallback }) => fallback)
}

/** Each once, in the order of their addresses, whatever the order of the slices. */
const endpointsOf = (
  slices: readonly EndpointSlice[],
  servicePort: ServicePort,
  family: ProxyFamily,
  service: Service,
  nodeName: string,
  fail: (reason: string) => void,
): Candidate[] => {
  const found: Candidate[] = []
  const type = family === 'ip' ? 'IPv4' : 'IPv6'
  for (const slice of slices) {
    if (slice.addressType !== type) continue
    for (const { name = '', protocol = 'TCP', port } of slice.ports ?? []) {
      if (port === undefined || name !== (servicePort.name ?? '') || protocol !== (servicePort.protocol ?? 'TCP')) continue
      for (const { addresses, conditions, nodeName: runsOn } of slice.endpoints ?? []) {
        const address = addresses[0] ?? ''
        const canonical = canonicalAddress(address)
        if (canonical?.family !== family) {
          fail(`endpoint address ${address} is not ${type}`)
          continue
        }
        const ready = conditions?.ready ?? service.spec?.publishNotReadyAddresses ?? true
        const fallback = conditions?.terminating === true && (conditions.serving ?? ready)
        found.push({ address: canonical.text, port, local: runsOn === nodeName, ready, fallback })
      }
    }
  }
  return withoutTwins(found.sort(byAddress))
}

const byAddress = (a: Backend, b: Backend): number => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port)

/** Of an endpoint that is in two slices while it moves, the state that serves counts. */
const withoutTwins = (sorted: Candidate[]): Candidate[] => {
  let kept = 0
  for (const candidate of sorted) {
    const last = sorted[kept - 1]
    if (kept > 0 && last && byAddress(last, candidate) === 0) last.ready ||= candidate.ready
    else sorted[kept++] = candidate
  }
  sorted.length = kept
  return sorted
}
