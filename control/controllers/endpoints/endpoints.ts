// Tells who is behind each service: EndpointSlices, and the Endpoints object for older clients. A service
// without a selector is its owner's business and left alone.

import { isStatus } from '#api/errors.ts'
import { byLabel, byNamespace } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import { EndpointSlice, Endpoints, Node, Pod, Service } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'
import { refOf } from '../ownership.ts'
import { canonical } from '../template.ts'
import { selects } from './endpoint.ts'
import { managedByLabel, manager, planSlices, type SliceStep, serviceLabel } from './slices.ts'
import { overCapacity, planSubsets } from './subsets.ts'

const endpointsManagedBy = 'endpoints.kubernetes.io/managed-by'

const zoneOf = (node: Node): string | undefined => node.metadata.labels?.['topology.kubernetes.io/zone']

export function endpointSlices({ client, informers }: Deps): Reconciler {
  const services = informers.of(Service)
  const pods = informers.of(Pod)
  const slices = informers.of(EndpointSlice)
  const nodes = informers.of(Node)

  const fromSlice = ({ metadata }: EndpointSlice): string[] => {
    const name = metadata.labels?.[serviceLabel]
    return name && metadata.labels?.[managedByLabel] === manager ? [keyOf({ namespace: metadata.namespace ?? '', name })] : []
  }
  /** A node's zone is in the slices; all else about it is not. */
  const fromNode = (node: Node, old?: Node): string[] =>
    old && zoneOf(node) !== zoneOf(old)
      ? services
          .list()
          .map(({ metadata }) => keyOf(metadata))
          .toArray()
      : []

  async function run(step: SliceStep, signal: AbortSignal): Promise<void> {
    if (step.do === 'create') await client.create(EndpointSlice, step.slice, { signal })
    else if (step.do === 'update') await client.update(EndpointSlice, step.slice, { signal })
    else
      await client.delete(EndpointSlice, refOf(step.slice), { preconditions: { uid: step.slice.metadata.uid }, signal }).catch(unlessGone)
  }

  return {
    name: 'endpointslice',
    watches: [
      of(Service),
      mapped(Pod, (pod, old) => servicesOf(services, pod, old)),
      mapped(EndpointSlice, fromSlice),
      mapped(Node, fromNode),
    ],
    async reconcile(key, signal) {
      const service = services.get(key)
      // The slices of a deleted service go with it: it owns them.
      if (!service || service.metadata.deletionTimestamp || !isSelective(service)) return done
      const own = slices
        .by(byLabel(serviceLabel), key)
        .filter(({ metadata }) => metadata.labels?.[managedByLabel] === manager && !metadata.deletionTimestamp)
      const steps = planSlices(service, podsOf(pods, service), own, (name) => nodes.get(name))
      for (const step of steps) await run(step, signal)
      return done
    },
  }
}

export function endpoints({ client, informers }: Deps): Reconciler {
  const services = informers.of(Service)
  const pods = informers.of(Pod)
  const all = informers.of(Endpoints)

  return {
    name: 'endpoints',
    watches: [of(Service), mapped(Pod, (pod, old) => servicesOf(services, pod, old)), of(Endpoints)],
    async reconcile(key, signal) {
      const service = services.get(key)
      const there = all.get(key)
      if (!service) {
        const ours = there?.metadata.labels?.[endpointsManagedBy] === 'endpoint-controller'
        if (there && ours)
          await client.delete(Endpoints, refOf(there), { preconditions: { uid: there.metadata.uid }, signal }).catch(unlessGone)
        return done
      }
      if (!isSelective(service) || service.metadata.deletionTimestamp) return done
      const { subsets, truncated } = planSubsets(service, podsOf(pods, service))
      const labels = { ...service.metadata.labels, [endpointsManagedBy]: 'endpoint-controller' }
      const { [overCapacity]: _, ...annotations } = there?.metadata.annotations ?? {}
      if (truncated) annotations[overCapacity] = 'truncated'
      const same =
        there && canonical([there.subsets, there.metadata.labels, there.metadata.annotations]) === canonical([subsets, labels, annotations])
      if (!there) await client.create(Endpoints, { metadata: { ...refOf(service), labels, annotations }, subsets }, { signal })
      else if (!same)
        await client.update(Endpoints, { ...there, metadata: { ...there.metadata, labels, annotations }, subsets }, { signal })
      return done
    },
  }
}

const isSelective = ({ spec }: Service): boolean => spec.type !== 'ExternalName' && Object.keys(spec.selector ?? {}).length > 0

const podsOf = (pods: Informer<Pod>, service: Service): Pod[] =>
  pods.by(byNamespace, service.metadata.namespace ?? '').filter((pod) => selects(service, pod))

/** Services that select the pod, or did. */
function servicesOf(services: Informer<Service>, pod: Pod, old?: Pod): string[] {
  if (old && facts(old) === facts(pod)) return []
  return services
    .by(byNamespace, pod.metadata.namespace ?? '')
    .filter((service) => selects(service, pod) || (old && selects(service, old)))
    .map(({ metadata }) => keyOf(metadata))
}

/** What of a pod can be seen in an endpoint; most of its updates change none of it. */
function facts({ metadata, spec, status }: Pod): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status
  return JSON.stringify([
    metadata.labels,
    metadata.deletionTimestamp,
    spec.nodeName,
    spec.hostname,
    spec.subdomain,
    status?.podIPs,
    status?.podIP,
    status?.phase,
    ready,
  ])
}

function unlessGone(error: unknown): void {
  if (!isStatus(error, 'NotFound')) throw error
}
