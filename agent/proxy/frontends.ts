// What a Service and its EndpointSlices mean for this node: its frontends (an address or a node port,
// a protocol, a port), each with the backends that serve it from here.

import type { Service, ServicePort } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
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
  options: { nodeName: string; families: ReadonlySet<ProxyFamily> },
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
      const here = internalLocal || externalLocal ? usable(all.filter(({ backend }) => backend.local)) : []
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

type Candidate = { backend: Backend; ready: boolean; fallback: boolean }

/** Ready endpoints; if there are none, those that still serve while they terminate. */
const usable = (candidates: readonly Candidate[]): Backend[] => {
  const ready = candidates.filter((candidate) => candidate.ready)
  return (ready.length > 0 ? ready : candidates.filter((candidate) => candidate.fallback)).map(({ backend }) => backend)
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
  const found = new Map<string, Candidate>()
  for (const slice of slices) {
    if (slice.addressType !== (family === 'ip' ? 'IPv4' : 'IPv6')) continue
    for (const { name = '', protocol = 'TCP', port } of slice.ports ?? []) {
      if (port === undefined || name !== (servicePort.name ?? '') || protocol !== (servicePort.protocol ?? 'TCP')) continue
      for (const endpoint of slice.endpoints ?? []) {
        const [address] = endpoint.addresses
        const canonical = address === undefined ? undefined : canonicalAddress(address)
        if (canonical?.family !== family) {
          fail(`endpoint address ${address} is not ${slice.addressType}`)
          continue
        }
        const candidate = {
          backend: { address: canonical.text, port, local: endpoint.nodeName === nodeName },
          ...stateOf(endpoint, service),
        }
        const key = `${canonical.text} ${port}`
        const other = found.get(key)
        // Of an endpoint that moves between slices, the state that serves counts.
        if (!other || (!other.ready && candidate.ready)) found.set(key, candidate)
      }
    }
  }
  if (found.size < 2) return [...found.values()]
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, candidate]) => candidate)
}

const stateOf = ({ conditions }: Endpoint, service: Service): { ready: boolean; fallback: boolean } => {
  const serving = conditions?.serving ?? conditions?.ready ?? true
  return {
    ready: conditions?.ready ?? service.spec?.publishNotReadyAddresses ?? true,
    fallback: serving && conditions?.terminating === true,
  }
}
