// All frontends that a set of services asks for. What a service means is worked out once for the same
// objects (they come frozen from an informer), so that a change of one costs little among thousands.

import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { type Frontend, frontendsOf, type ServiceError, serviceNameLabel } from './frontends.ts'
import type { ProxyFamily } from './layout.ts'

type Meaning = ReturnType<typeof frontendsOf> & { slices: readonly EndpointSlice[] }

/** By family and the frontend's key. Of two services that claim the same, the older has it. */
type Wanted = { frontends: Map<string, Map<string, Frontend>>; errors: ServiceError[] }

export type Desired = (services: readonly Service[], slices: readonly EndpointSlice[]) => Wanted

export const desiredFrontends = (options: { nodeName: string; families: readonly ProxyFamily[] }): Desired => {
  const families = new Set(options.families)
  let known = new Map<Service, Meaning>()
  return (services, slices) => {
    const byService = groupByService(slices)
    const meanings = new Map<Service, Meaning>()
    const frontends = new Map(options.families.map((family) => [family as string, new Map<string, Frontend>()]))
    const errors: ServiceError[] = []
    for (const service of services) {
      const { namespace = '', name } = service.metadata
      const own = byService.get(namespace)?.get(name) ?? none
      let meaning = known.get(service)
      if (!meaning || !sameObjects(meaning.slices, own))
        meaning = { slices: own, ...frontendsOf(service, own, { nodeName: options.nodeName, families }) }
      meanings.set(service, meaning)
      for (const error of meaning.errors) errors.push(error)
      for (const frontend of meaning.frontends) claim(frontends.get(frontend.family) as Map<string, Frontend>, frontend, errors)
    }
    known = meanings
    return { frontends, errors }
  }
}

const none: readonly EndpointSlice[] = []

const claim = (frontends: Map<string, Frontend>, frontend: Frontend, errors: ServiceError[]): void => {
  const other = frontends.get(frontend.key)
  if (!other) {
    frontends.set(frontend.key, frontend)
    return
  }
  const [first, second] = precedes(other.service, frontend.service) ? [other, frontend] : [frontend, other]
  frontends.set(frontend.key, first)
  const { namespace, name } = first.service.metadata
  errors.push({ service: second.service, reason: `${second.key} is taken by service ${namespace}/${name}` })
}

const precedes = (a: Service, b: Service): boolean => {
  const order = (service: Service) => `${service.metadata.creationTimestamp ?? ''} ${service.metadata.namespace}/${service.metadata.name}`
  return order(a) <= order(b)
}

/** By namespace and name: strings that exist, so that none is made for each of thousands. */
const groupByService = (slices: readonly EndpointSlice[]): Map<string, Map<string, EndpointSlice[]>> => {
  const groups = new Map<string, Map<string, EndpointSlice[]>>()
  for (const slice of slices) {
    const { namespace = '', labels } = slice.metadata
    const name = labels?.[serviceNameLabel]
    if (name === undefined) continue
    let group = groups.get(namespace)
    if (!group) groups.set(namespace, (group = new Map()))
    const own = group.get(name)
    if (own) own.push(slice)
    else group.set(name, [slice])
  }
  return groups
}

const sameObjects = (a: readonly EndpointSlice[], b: readonly EndpointSlice[]): boolean =>
  a.length === b.length && a.every((slice, i) => slice === b[i])
