// From a service's pods to the slices that list them, changing as few slices as it can: who watches
// slices pays for each one that changes.

import type { Family } from '#api/cidr.ts'
import type { New } from '#api/client/client.ts'
import { Service } from '#api/kinds/index.ts'
import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import type { Endpoint, EndpointPort, EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { controllerRef } from '../ownership.ts'
import { canonical } from '../template.ts'
import { addressOf, canServe, endpointOf, familiesOf, isHeadless, portsOf } from './endpoint.ts'

const perSlice = 100
export const serviceLabel = 'kubernetes.io/service-name'
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by'
export const manager = 'endpointslice-controller.k8s.io'

export type SliceStep =
  | { do: 'create'; slice: New<EndpointSlice> }
  | { do: 'update'; slice: EndpointSlice }
  | { do: 'delete'; slice: EndpointSlice }

type Group = { family: Family; ports: EndpointPort[]; endpoints: Map<string, Endpoint> }

const groupId = (family: string, ports: EndpointPort[]): string => canonical([family, ports])
const endpointId = (endpoint: Endpoint): string => endpoint.targetRef?.uid ?? endpoint.addresses.join()

export function planSlices(
  service: Service,
  pods: readonly Pod[],
  existing: readonly EndpointSlice[],
  nodeOf: (name: string) => Node | undefined,
): SliceStep[] {
  const families = familiesOf(service)
  const groups = new Map<string, Group>()
  const groupOf = (family: Family, ports: EndpointPort[]) => {
    const id = groupId(family, ports)
    const group = groups.get(id) ?? { family, ports, endpoints: new Map<string, Endpoint>() }
    groups.set(id, group)
    return group
  }
  for (const pod of pods) {
    if (!canServe(pod)) continue
    for (const family of families) {
      const address = addressOf(pod, family)
      if (!address) continue
      const endpoint = endpointOf(service, pod, address, nodeOf(pod.spec.nodeName ?? ''))
      groupOf(family, portsOf(service, pod)).endpoints.set(endpointId(endpoint), endpoint)
    }
  }
  // One slice stays where there is nobody, so that it is known that there is nobody.
  for (const family of families) if (![...groups.values()].some((group) => group.family === family)) groupOf(family, [])

  const steps: SliceStep[] = []
  const labels = labelsFor(service)
  const mine = new Map<string, EndpointSlice[]>()
  for (const slice of existing) {
    const id = groupId(slice.addressType, slice.ports ?? [])
    if (groups.has(id)) mine.set(id, [...(mine.get(id) ?? []), slice])
    else steps.push({ do: 'delete', slice })
  }
  for (const [id, group] of groups) steps.push(...fill(service, group, mine.get(id) ?? [], labels))
  return reuse(steps)
}

/** Endpoints stay in the slice they are in; new ones fill what room there is, then new slices. */
function fill(service: Service, { family, ports, endpoints }: Group, slices: EndpointSlice[], labels: Record<string, string>): SliceStep[] {
  const left = new Map(endpoints)
  const kept = slices.map((slice) => {
    const list = (slice.endpoints ?? []).flatMap((endpoint) => {
      const wanted = left.get(endpointId(endpoint))
      left.delete(endpointId(endpoint))
      return wanted ? [wanted] : []
    })
    return { slice, list }
  })
  const fresh = [...left.values()]
  // Those that change anyway take the new ones first.
  const changed = ({ slice, list }: (typeof kept)[0]) => canonical(list) !== canonical(slice.endpoints ?? [])
  for (const each of kept.toSorted((a, b) => Number(changed(b)) - Number(changed(a))))
    each.list.push(...fresh.splice(0, perSlice - each.list.length))

  const steps: SliceStep[] = []
  let some = false
  for (const { slice, list } of kept) {
    const last = !some && slice === slices.at(-1) && fresh.length === 0
    if (list.length === 0 && !last) {
      steps.push({ do: 'delete', slice })
      continue
    }
    some = true
    const next = { ...slice, metadata: { ...slice.metadata, labels }, endpoints: list }
    if (canonical(list) !== canonical(slice.endpoints ?? []) || canonical(labels) !== canonical(slice.metadata.labels))
      steps.push({ do: 'update', slice: next })
  }
  while (fresh.length || !some) {
    steps.push({ do: 'create', slice: newSlice(service, family, ports, fresh.splice(0, perSlice), labels) })
    some = true
  }
  return steps
}

/** A slice that would be deleted becomes one that would be created: one change instead of two, and no moment without either. */
export function reuse(steps: SliceStep[]): SliceStep[] {
  const spare = steps.filter((step) => step.do === 'delete')
  return steps
    .map((step): SliceStep => {
      if (step.do !== 'create') return step
      // The family of a slice cannot change.
      const at = spare.findIndex(({ slice }) => slice.addressType === step.slice.addressType)
      const [old] = at < 0 ? [] : spare.splice(at, 1)
      if (!old) return step
      const { endpoints, ports } = step.slice as EndpointSlice
      return {
        do: 'update',
        slice: { ...old.slice, metadata: { ...old.slice.metadata, labels: step.slice.metadata.labels ?? {} }, endpoints, ports },
      }
    })
    .filter((step) => step.do !== 'delete' || spare.includes(step))
}

function labelsFor(service: Service): Record<string, string> {
  const { [managedByLabel]: _, ...own } = service.metadata.labels ?? {}
  return {
    ...own,
    ...(isHeadless(service) && { 'service.kubernetes.io/headless': '' }),
    [serviceLabel]: service.metadata.name,
    [managedByLabel]: manager,
  }
}

const newSlice = (
  service: Service,
  family: Family,
  ports: EndpointPort[],
  endpoints: Endpoint[],
  labels: Record<string, string>,
): New<EndpointSlice> => ({
  metadata: {
    generateName: `${service.metadata.name}-`,
    ...(service.metadata.namespace && { namespace: service.metadata.namespace }),
    labels,
    ownerReferences: [controllerRef(Service, service)],
  },
  addressType: family,
  endpoints,
  ports,
})
