// Addresses for services of type LoadBalancer. Where the ConfigMap kube-system/coracle-load-balancer has
// ranges, a service gets an address of these, which one node announces (agent/announce). Without ranges it
// gets the addresses of the nodes that are ready. Services with a class that is not ours are another's.

import { isStatus } from '#api/errors.ts'
import { byLabel } from '#api/informer/indexes.ts'
import { ConfigMap, EndpointSlice, Node, Service } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { LoadBalancerIngress } from '#api/types/core-v1.gen.ts'
import type { Deps } from '../deps.ts'
import { serviceLabel } from '../endpoints/slices.ts'
import { refOf } from '../ownership.ts'
import { canonical } from '../template.ts'
import { allot } from './allotment.ts'
import { facts, isUsable, nodeAddresses, obstacle, portsOf, withEndpoints } from './nodes.ts'
import { canonicalAddress, parseRanges, type Range } from './ranges.ts'

/** `data.addresses`: ranges; absent: services get the nodes' addresses. */
const settings = { namespace: 'kube-system', name: 'coracle-load-balancer' }
const selected = { namespace: settings.namespace, fieldSelector: `metadata.name=${settings.name}` }

/** Classes of ours: a service may ask for the one or the other by name. */
const nodesClass = 'coracle/nodes'
const rangeClass = 'coracle/range'
/** One key for all services, and so one worker: no two can be given the same. */
const all = 'all'

type Outcome = { ingress: LoadBalancerIngress[]; problem?: { reason: string; message: string } }

export function loadBalancers({ client, informers, recorderFor }: Deps): Reconciler {
  const services = informers.of(Service)
  const nodes = informers.of(Node)
  const slices = informers.of(EndpointSlice)
  const configs = informers.of(ConfigMap, selected)
  const events = recorderFor('service-controller')
  /** By uid, what an object was last told. */
  const told = new Map<string, string>()

  function tell(object: { metadata: { uid: string } } & Parameters<typeof events.event>[0], reason: string, message?: string): void {
    const { uid } = object.metadata
    if (message !== undefined && told.get(uid) !== message) events.event(object, 'Warning', reason, message)
    if (message === undefined) told.delete(uid)
    else told.set(uid, message)
  }

  /** Undefined: none are configured. What cannot be read is told of and left out. */
  function ranges(): Range[] | undefined {
    const config = configs.get(keyOf(settings))
    const text = config?.data?.['addresses']
    const parsed = text === undefined ? undefined : parseRanges(text)
    if (config)
      tell(config, 'InvalidLoadBalancerSettings', parsed?.problems.map((problem) => `addresses: ${problem}`).join('; ') || undefined)
    return parsed?.ranges
  }

  /** In the order in which they were made: who came first has a port, or an address. */
  const balanced = (): Service[] =>
    services
      .list()
      .filter(isOurs)
      .toArray()
      .sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))

  /** One service of a port on the nodes' addresses. */
  function onNodes(list: readonly Service[]): Map<Service, Outcome> {
    if (list.length === 0) return new Map()
    const taken = new Map<string, string>()
    const usable = nodes.list().filter(isUsable).toArray()
    return new Map(
      list.map((service) => {
        const message = obstacle(service, taken)
        if (message !== undefined) return [service, { ingress: [], problem: { reason: 'LoadBalancerPortTaken', message } }]
        for (const id of portsOf(service)) taken.set(id, keyOf(refOf(service)))
        const near = withEndpoints(slices.by(byLabel(serviceLabel), keyOf(refOf(service))))
        const chosen = service.spec.externalTrafficPolicy === 'Local' ? usable.filter(({ metadata }) => near.has(metadata.name)) : usable
        return [service, { ingress: asIngress(nodeAddresses(service, chosen)) }]
      }),
    )
  }

  function ofRanges(list: readonly Service[], from: readonly Range[]): Map<Service, Outcome> {
    if (list.length === 0) return new Map()
    const barred = new Set(
      nodes.list().flatMap(({ status }) => (status?.addresses ?? []).flatMap(({ address }) => canonicalAddress(address) ?? [])),
    )
    return new Map(
      [...allot(list, from, barred)].map(([service, { addresses, problem: message }]) => [
        service,
        { ingress: asIngress(addresses), ...(message !== undefined && { problem: { reason: 'AllocationFailed', message } }) },
      ]),
    )
  }

  async function write(service: Service, ingress: LoadBalancerIngress[], signal: AbortSignal): Promise<boolean> {
    if (canonical(ingress) === canonical(service.status?.loadBalancer?.ingress ?? [])) return false
    const status = { ...service.status, loadBalancer: ingress.length > 0 ? { ingress } : {} }
    try {
      await client.update(Service, { ...service, status }, { subresource: 'status', signal })
    } catch (error) {
      if (!isStatus(error, 'NotFound')) throw error
    }
    return true
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
      mapped(ConfigMap, () => [all], selected),
    ],
    async reconcile(_, signal) {
      const from = ranges()
      const isRanged = ({ spec }: Service) =>
        spec.loadBalancerClass === rangeClass || (from !== undefined && spec.loadBalancerClass !== nodesClass)
      const list = balanced()
      const outcomes = new Map([...onNodes(list.filter((service) => !isRanged(service))), ...ofRanges(list.filter(isRanged), from ?? [])])
      const known = new Set([...services.list(), ...configs.list()].map(({ metadata }) => metadata.uid))
      for (const uid of told.keys()) if (!known.has(uid)) told.delete(uid)
      // First what is taken away: an address is never in two services' status.
      for (const service of services.list().toArray())
        if (service.spec.type !== 'LoadBalancer' && hasIngress(service)) await write(service, [], signal)
      const inTurn = [...outcomes].sort(([, a], [, b]) => a.ingress.length - b.ingress.length)
      for (const [service, { ingress, problem }] of inTurn) {
        tell(service, problem?.reason ?? '', problem?.message)
        if ((await write(service, ingress, signal)) && ingress.length > 0 && isRanged(service))
          events.event(service, 'Normal', 'IPAllocated', `Assigned IP ${ingress.map(({ ip }) => ip).join(', ')}`)
      }
      return done
    },
  }
}

const isOurs = ({ metadata, spec }: Service): boolean =>
  spec.type === 'LoadBalancer' && [undefined, nodesClass, rangeClass].includes(spec.loadBalancerClass) && !metadata.deletionTimestamp

const hasIngress = ({ status }: Service): boolean => (status?.loadBalancer?.ingress?.length ?? 0) > 0

const orderOf = ({ metadata }: Service): string => `${metadata.creationTimestamp} ${metadata.namespace}/${metadata.name}`

/** Packets come as they were sent: the service proxy answers for the address itself. */
const asIngress = (addresses: readonly string[]): LoadBalancerIngress[] => addresses.map((ip) => ({ ip, ipMode: 'VIP' }))
