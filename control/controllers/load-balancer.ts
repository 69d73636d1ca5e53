// A load balancer out of nothing but the nodes: a service of type LoadBalancer gets the addresses of the
// nodes that are ready, and every node's service proxy answers on them. With traffic policy Local only
// nodes that have endpoints count. Services with a class are another's.

import { isStatus } from '#api/errors.ts'
import { byLabel } from '#api/informer/indexes.ts'
import { EndpointSlice, Node, Service } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { LoadBalancerIngress, Node as NodeObject, Service as ServiceObject } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice as SliceObject } from '#api/types/discovery-v1.gen.ts'
import type { Deps } from './deps.ts'
import { familyOf } from './endpoints/endpoint.ts'
import { serviceLabel } from './endpoints/slices.ts'
import { refOf } from './ownership.ts'
import { canonical } from './template.ts'

const excluded = 'node.kubernetes.io/exclude-from-external-load-balancers'
/** The node's own, which a service on its address would take from it: the API server's and the agent's. */
const reserved = new Set(['TCP 6443', 'TCP 10250'])
/** One key for all services, and so one worker: no two can be given the same port. */
const all = 'all'

export function loadBalancers({ client, informers, recorderFor }: Deps): Reconciler {
  const services = informers.of(Service)
  const nodes = informers.of(Node)
  const slices = informers.of(EndpointSlice)
  const events = recorderFor('service-controller')
  const told = new Map<string, string>()

  /** In the order in which they were made: who came first has a port. */
  const balanced = (): ServiceObject[] =>
    services
      .list()
      .filter(isOurs)
      .toArray()
      .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))

  function obstacle(service: ServiceObject, taken: ReadonlyMap<string, string>): string | undefined {
    for (const id of portsOf(service)) {
      if (reserved.has(id)) return `${id.toLowerCase()} is the node's own: node addresses cannot be given to this service`
      const other = taken.get(id)
      if (other !== undefined) return `${id.toLowerCase()} of the nodes' addresses is taken by service ${other}`
    }
    return undefined
  }

  function complain(service: ServiceObject, reason: string | undefined): void {
    const { uid } = service.metadata
    if (reason !== undefined && told.get(uid) !== reason) events.event(service, 'Warning', 'LoadBalancerPortTaken', reason)
    if (reason === undefined) told.delete(uid)
    else told.set(uid, reason)
  }

  async function write(service: ServiceObject, ingress: LoadBalancerIngress[], signal: AbortSignal): Promise<void> {
    if (canonical(ingress) === canonical(service.status?.loadBalancer?.ingress ?? [])) return
    const status = { ...service.status, loadBalancer: ingress.length > 0 ? { ingress } : {} }
    try {
      await client.update(Service, { ...service, status }, { subresource: 'status', signal })
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error
    }
  }

  return {
    name: 'service-load-balancer',
    watches: [
      mapped(Service, (service, old) => (isOurs(service) || hasIngress(service) || (old && isOurs(old)) ? [all] : [])),
      mapped(Node, (node, old) => (old && canonical(facts(node)) === canonical(facts(old)) ? [] : [all])),
      mapped(EndpointSlice, (slice) => {
        const service = services.get(
          keyOf({ namespace: slice.metadata.namespace ?? '', name: slice.metadata.labels?.[serviceLabel] ?? '' }),
        )
        return service && isOurs(service) && service.spec.externalTrafficPolicy === 'Local' ? [all] : []
      }),
    ],
    async reconcile(_, signal) {
      const taken = new Map<string, string>()
      for (const uid of told.keys()) if (!services.list().some(({ metadata }) => metadata.uid === uid)) told.delete(uid)
      const usable = nodes.list().filter(isUsable).toArray()
      for (const service of balanced()) {
        const reason = obstacle(service, taken)
        complain(service, reason)
        if (reason === undefined) for (const id of portsOf(service)) taken.set(id, keyOf(refOf(service)))
        const near = withEndpoints(slices.by(byLabel(serviceLabel), keyOf(refOf(service))))
        const chosen = service.spec.externalTrafficPolicy === 'Local' ? usable.filter(({ metadata }) => near.has(metadata.name)) : usable
        await write(service, reason === undefined ? ingressOf(service, chosen) : [], signal)
      }
      for (const service of services.list().toArray())
        if (service.spec.type !== 'LoadBalancer' && hasIngress(service)) await write(service, [], signal)
      return done
    },
  }
}

const isOurs = ({ metadata, spec }: ServiceObject): boolean =>
  spec.type === 'LoadBalancer' && spec.loadBalancerClass === undefined && !metadata.deletionTimestamp

const hasIngress = ({ status }: ServiceObject): boolean => (status?.loadBalancer?.ingress?.length ?? 0) > 0

const orderOf = ({ metadata }: ServiceObject): string => `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`

const portsOf = ({ spec }: ServiceObject): string[] => (spec.ports ?? []).map(({ protocol = 'TCP', port }) => `${protocol} ${port}`)

const isReady = ({ status }: NodeObject): boolean =>
  status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false

const isUsable = (node: NodeObject): boolean =>
  isReady(node) && !node.metadata.deletionTimestamp && node.metadata.labels?.[excluded] === undefined

/** What of a node matters here; most of its updates change none of it. */
const facts = (node: NodeObject) => [isUsable(node), node.status?.addresses]

const withEndpoints = (slices: readonly SliceObject[]): Set<string> =>
  new Set(
    slices.flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ conditions, nodeName }) => (conditions?.ready !== false && nodeName ? [nodeName] : [])),
    ),
  )

/** Of each node and family the external address, or else the internal one; of the families that the service has, in its order. */
function ingressOf({ spec }: ServiceObject, nodes: readonly NodeObject[]): LoadBalancerIngress[] {
  const found = new Set<string>()
  for (const family of spec.ipFamilies ?? ['IPv4']) {
    for (const { status } of nodes) {
      const own = (status?.addresses ?? []).filter(({ address }) => familyOf(address) === family)
      const address = ['ExternalIP', 'InternalIP'].map((type) => own.find((each) => each.type === type)).find(Boolean)
      if (address) found.add(address.address)
    }
  }
  const addresses = [...found].sort()
  const wanted = spec.loadBalancerIP ? addresses.filter((address) => address === spec.loadBalancerIP) : addresses
  return wanted.map((ip) => ({ ip, ipMode: 'VIP' }))
}
