// Slices for Endpoints that somebody wrote by hand, of services that select no pods: proxies look at slices only.

import { type Family, familyOf } from '#api/cidr.ts'
import type { New } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { byLabel } from '#api/informer/indexes.ts'
import { EndpointSlice, Endpoints, Service } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { EndpointAddress } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointPort } from '#api/types/discovery-v1.gen.ts'
import type { Deps } from '../deps.ts'
import { controllerRef, refOf } from '../ownership.ts'
import { canonical } from '../template.ts'
import { managedByLabel, reuse, type SliceStep, serviceLabel } from './slices.ts'

const manager = 'endpointslicemirroring-controller.k8s.io'
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror'
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader'
const notCopied = ['kubectl.kubernetes.io/last-applied-configuration', 'endpoints.kubernetes.io/last-change-trigger-time']
/** Addresses of one subset that are mirrored; a slice holds no more. */
const most = 1000

type Group = { family: Family; ports: EndpointPort[]; endpoints: Map<string, Endpoint> }

/** `skipped`: addresses for which there is no room. */
export function planMirror(endpoints: Endpoints, existing: readonly EndpointSlice[]): { steps: SliceStep[]; skipped: number } {
  const groups = new Map<string, Group>()
  let skipped = 0
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of endpoints.subsets ?? []) {
    const own = ports.map(({ name = '', protocol = 'TCP', port, appProtocol }) => ({
      name,
      protocol,
      port,
      ...(appProtocol && { appProtocol }),
    }))
    const all = [
      ...addresses.map((address) => endpointOf(address, true)),
      ...notReadyAddresses.map((address) => endpointOf(address, false)),
    ]
    skipped += Math.max(0, all.length - most)
    for (const endpoint of all.slice(0, most)) {
      const [ip = ''] = endpoint.addresses
      const family = familyOf(ip)
      const id = canonical([family, own])
      const group = groups.get(id) ?? { family, ports: own, endpoints: new Map<string, Endpoint>() }
      groups.set(id, group)
      // Of subsets with the same ports: who is ready in one is.
      if (group.endpoints.size >= most && !group.endpoints.has(ip)) skipped += 1
      else if (!group.endpoints.get(ip)?.conditions.ready) group.endpoints.set(ip, endpoint)
    }
  }

  const labels = { ...endpoints.metadata.labels, [serviceLabel]: endpoints.metadata.name, [managedByLabel]: manager }
  const annotations = Object.fromEntries(Object.entries(endpoints.metadata.annotations ?? {}).filter(([key]) => !notCopied.includes(key)))
  const steps: SliceStep[] = []
  const left = new Map(groups)
  for (const slice of existing) {
    const id = canonical([slice.addressType, slice.ports ?? []])
    const group = left.get(id)
    left.delete(id)
    if (!group) {
      steps.push({ do: 'delete', slice })
      continue
    }
    const wanted = [...group.endpoints.values()]
    const same =
      canonical([slice.endpoints ?? [], slice.metadata.labels, slice.metadata.annotations]) === canonical([wanted, labels, annotations])
    if (!same) steps.push({ do: 'update', slice: { ...slice, metadata: { ...slice.metadata, labels, annotations }, endpoints: wanted } })
  }
  for (const { family, ports, endpoints: list } of left.values()) {
    const { namespace, name } = endpoints.metadata
    const slice: New<EndpointSlice> = {
      metadata: { generateName: `${name}-`, namespace, labels, annotations, ownerReferences: [controllerRef(Endpoints, endpoints)] },
      addressType: family,
      endpoints: [...list.values()],
      ports,
    }
    steps.push({ do: 'create', slice })
  }
  return { steps: reuse(steps), skipped }
}

const endpointOf = ({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint => ({
  addresses: [ip],
  conditions: { ready },
  ...(hostname && { hostname }),
  ...(nodeName && { nodeName }),
  ...(targetRef && { targetRef }),
})

export function endpointSliceMirroring({ client, informers, recorderFor }: Deps): Reconciler {
  const services = informers.of(Service)
  const all = informers.of(Endpoints)
  const slices = informers.of(EndpointSlice)
  const events = recorderFor('endpoint-slice-mirroring-controller')

  const fromSlice = ({ metadata }: EndpointSlice): string[] => {
    const name = metadata.labels?.[serviceLabel]
    return name && metadata.labels?.[managedByLabel] === manager ? [keyOf({ namespace: metadata.namespace ?? '', name })] : []
  }

  async function run(step: SliceStep, signal: AbortSignal): Promise<void> {
    if (step.do === 'create') await client.create(EndpointSlice, step.slice, { signal })
    else if (step.do === 'update') await client.update(EndpointSlice, step.slice, { signal })
    else {
      const preconditions = { uid: step.slice.metadata.uid }
      await client.delete(EndpointSlice, refOf(step.slice), { preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
    }
  }

  return {
    name: 'endpointslice-mirroring',
    watches: [of(Endpoints), of(Service), mapped(EndpointSlice, fromSlice)],
    workers: 1,
    async reconcile(key, signal) {
      const endpoints = all.get(key)
      const own = slices
        .by(byLabel(serviceLabel), key)
        .filter(({ metadata }) => metadata.labels?.[managedByLabel] === manager && !metadata.deletionTimestamp)
      if (!endpoints || endpoints.metadata.deletionTimestamp || !isMirrored(endpoints, services.get(key))) {
        for (const slice of own) await run({ do: 'delete', slice }, signal)
        return done
      }
      const { steps, skipped } = planMirror(endpoints, own)
      for (const step of steps) await run(step, signal)
      if (skipped && steps.length) {
        const message = `A max of ${most} addresses can be mirrored to EndpointSlices per Endpoints subset. ${skipped} addresses were skipped`
        events.event(endpoints, 'Warning', 'TooManyAddressesToMirror', message)
      }
      return done
    },
  }
}

/** Who elects leaders by Endpoints means no service, and a service that selects pods has slices of its own. */
const isMirrored = ({ metadata }: Endpoints, service: Service | undefined): boolean =>
  service !== undefined &&
  Object.keys(service.spec.selector ?? {}).length === 0 &&
  metadata.labels?.[skipLabel] !== 'true' &&
  metadata.annotations?.[leaderAnnotation] === undefined
