// All frontends that a set of services asks for. What a service means is worked out once for the same
// objects (they come frozen from an informer), so that a change of one costs little among thousands.

import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Frontend, frontendsOf, type ServiceError, serviceNameLabel } from './frontends.ts'
import type { ProxyFamily } from './layout.ts'

type Meaning = ReturnType<typeof frontendsOf> & { service: Service; slices: readonly EndpointSlice[] }

/** By family and the frontend's key. Of two services that claim the same, the older has it. */
type Wanted = { frontends: Map<string, Map<string, Frontend>>; errors: ServiceError[] }

export type Desired = (services: readonly Service[], slices: readonly EndpointSlice[]) => Wanted

export const desiredFrontends = (options: { nodeName: string; families: readonly ProxyFamily[] }): Desired => {
  const families = new Set(options.families)
  let known = new Map<string, Meaning>()
  return (services, slices) => {
    const byService = groupByService(slices)
    const meanings = new Map<string, Meaning>()
    const frontends = new Map(options.families.map((family) => [family as string, new Map<string, Frontend>()]))
    const errors: ServiceError[] = []
    for (const service of services) {
      const key = `${service.metadata.namespace}/${service.metadata.name}`
      const own = byService.get(key) ?? none
      let meaning = known.get(key)
      if (meaning?.service !== service || !sameObjects(meaning.slices, own))
        meaning = { service, slices: own, ...frontendsOf(service, own, { nodeName: options.nodeName, families }) }
      meanings.set(key, meaning)
      errors.push(...meaning.errors)
      for (const frontend of meaning.frontends) claim(frontends.get(frontend.family) as Map<string, Frontend>, frontend, errors)
    }
    known = meanings
    return { frontends, errors }
  }
}

const none: readonly EndpointSlice[] = []

const claim = (frontends: Map<string, Frontend>, frontend: Frontend, errors: ServiceError[]): void => {
  const other = frontends.get(frontend.key)
  const [first, second] = other && precedes(other.service, frontend.service) ? [other, frontend] : [frontend, other]
  frontends.set(frontend.key, first)
  if (!second) return
  const { namespace, name } = first.service.metadata
  errors.push({ service: second.service, reason: `${second.key} is taken by service ${namespace}/${name}` })
}

const precedes = (a: Service, b: Service): boolean => {
  const order = (service: Service) => `${service.metadata.creationTimestamp ?? ''} ${service.metadata.namespace}/${service.metadata.name}`
  return order(a) <= order(b)
}

const groupByService = (slices: readonly EndpointSlice[]): Map<string, EndpointSlice[]> => {
  const groups = new Map<string, EndpointSlice[]>()
  for (const slice of slices) {
    const name = slice.metadata.labels?.[serviceNameLabel]
    if (name === undefined) continue
    const key = `${slice.metadata.namespace}/${name}`
    const group = groups.get(key)
    if (group) group.push(slice)
    else groups.set(key, [slice])
  }
  return groups
}

const sameObjects = (a: readonly EndpointSlice[], b: readonly EndpointSlice[]): boolean =>
  a.length === b.length && a.every((slice, i) => slice === b[i])
