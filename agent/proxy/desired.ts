// All frontends that the cluster's services ask for, kept up to date change by change: what one service
// means is worked out again only when it or its slices change, however many others there are.

import type { Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import type { ProxyFamily } from './family.ts'
import { type Frontend, frontendsOf, type HealthCheck, hostPortsOf, type Meaning, type ProxyError, serviceNameLabel } from './frontends.ts'

export type ObjectName = { namespace: string; name: string }

/** Of one family: who has which key now, and the keys of which that may have changed. */
export type Wanted = { readonly frontends: ReadonlyMap<string, Frontend>; readonly changed: Set<string> }

type NamedSlice = { readonly name: string; readonly slice: EndpointSlice }

export class Desired {
  readonly #nodeName: string
  #zone: string | undefined
  readonly #families: ReadonlyMap<ProxyFamily, Claims>
  readonly #services = new Map<string, Service>()
  /** By service; seldom more than one. */
  readonly #slices = new Map<string, readonly NamedSlice[]>()
  /** By slice: the service that it was last of. */
  readonly #serviceOf = new Map<string, string>()
  readonly #pods = new Map<string, Pod>()
  /** What each service was last found to mean; pods after a blank, which no name has. */
  readonly #meanings = new Map<string, Meaning>()
  readonly #healthChecks = new Map<string, HealthCheck>()
  readonly #dirty = new Set<string>()

  constructor(options: { nodeName: string; families: readonly ProxyFamily[] }) {
    this.#nodeName = options.nodeName
    this.#families = new Map(options.families.map((family) => [family, new Claims()]))
  }

  serviceChanged(name: ObjectName, service: Service | undefined): void {
    const id = idOf(name)
    if (service) this.#services.set(id, service)
    else this.#services.delete(id)
    this.#dirty.add(id)
  }

  sliceChanged(name: ObjectName, slice: EndpointSlice | undefined): void {
    const id = idOf(name)
    const label = slice?.metadata.labels?.[serviceNameLabel]
    const before = this.#serviceOf.get(id)
    const service = label === undefined ? undefined : idOf({ namespace: name.namespace, name: label })
    if (before !== undefined && before !== service) {
      const rest = this.#slices.get(before)?.filter((other) => other.name !== name.name)
      if (rest?.length) this.#slices.set(before, rest)
      else this.#slices.delete(before)
      this.#serviceOf.delete(id)
      this.#dirty.add(before)
    }
    if (service === undefined || !slice) return
    const named = { name: name.name, slice }
    const others = this.#slices.get(service)?.filter((other) => other.name !== name.name)
    this.#slices.set(service, others ? [...others, named] : [named])
    this.#serviceOf.set(id, service)
    this.#dirty.add(service)
  }

  /** A pod of this node. False if it has no host ports: few have, and only they are kept. */
  podChanged(name: ObjectName, pod: Pod | undefined): boolean {
    const id = ` ${idOf(name)}`
    if (pod && hasHostPorts(pod)) this.#pods.set(id, pod)
    else if (!this.#pods.delete(id)) return false
    this.#dirty.add(id)
    return true
  }

  /** False if it is as before. */
  zoneChanged(zone: string | undefined): boolean {
    if (zone === this.#zone) return false
    this.#zone = zone
    for (const id of this.#services.keys()) this.#dirty.add(id)
    return true
  }

  /** By `namespace/name` of the service. */
  get healthChecks(): ReadonlyMap<string, HealthCheck> {
    return this.#healthChecks
  }

  of(family: ProxyFamily): Wanted {
    return this.#families.get(family) as Claims
  }

  /** Works out what changed since the last time. Of two services that claim the same, the older has it. */
  refresh(): ProxyError[] {
    const errors: ProxyError[] = []
    for (const id of this.#dirty) {
      const meaning = this.#meaningOf(id)
      if (meaning) for (const error of meaning.errors) errors.push(error)
      for (const frontend of this.#meanings.get(id)?.frontends ?? []) this.#families.get(frontend.family)?.release(frontend)
      for (const frontend of meaning?.frontends ?? []) this.#families.get(frontend.family)?.claim(frontend)
      if (meaning) this.#meanings.set(id, meaning)
      else this.#meanings.delete(id)
      if (meaning?.healthCheck) this.#healthChecks.set(id, meaning.healthCheck)
      else this.#healthChecks.delete(id)
    }
    const conflicts = new Map<Frontend, ProxyError>()
    for (const id of this.#dirty)
      for (const frontend of this.#meanings.get(id)?.frontends ?? []) this.#families.get(frontend.family)?.conflicts(frontend, conflicts)
    this.#dirty.clear()
    for (const error of conflicts.values()) errors.push(error)
    return errors
  }

  #meaningOf(id: string): Meaning | undefined {
    const pod = this.#pods.get(id)
    if (pod) return hostPortsOf(pod, this.#families)
    const service = this.#services.get(id)
    if (!service) return undefined
    const slices = this.#slices.get(id)?.map(({ slice }) => slice) ?? []
    return frontendsOf(service, slices, { nodeName: this.#nodeName, zone: this.#zone, families: this.#families })
  }
}

class Claims implements Wanted {
  readonly frontends = new Map<string, Frontend>()
  readonly changed = new Set<string>()
  /** All claims of a key that has more than one, the one that has it first. */
  readonly #rivals = new Map<string, Frontend[]>()

  claim(frontend: Frontend): void {
    const { key } = frontend
    this.changed.add(key)
    const first = this.frontends.get(key)
    if (!first) {
      this.frontends.set(key, frontend)
      return
    }
    const all = [...(this.#rivals.get(key) ?? [first]), frontend].sort(byAge)
    this.#rivals.set(key, all)
    this.frontends.set(key, all[0] as Frontend)
  }

  release(frontend: Frontend): void {
    const { key } = frontend
    this.changed.add(key)
    const rest = this.#rivals.get(key)?.filter((other) => other !== frontend) ?? []
    if (rest[0]) this.frontends.set(key, rest[0])
    else this.frontends.delete(key)
    if (rest.length > 1) this.#rivals.set(key, rest)
    else this.#rivals.delete(key)
  }

  /** Those who claim the same as this frontend without having it. */
  conflicts({ key }: Frontend, into: Map<Frontend, ProxyError>): void {
    if (this.#rivals.size === 0) return
    const [first, ...others] = this.#rivals.get(key) ?? []
    if (!first) return
    const { kind, metadata } = first.owner
    const reason = `${key} is taken by ${kind.toLowerCase()} ${metadata.namespace}/${metadata.name}`
    for (const other of others) into.set(other, { object: other.owner, reason })
  }
}

const byAge = (a: Frontend, b: Frontend): number => {
  const order = ({ owner: { metadata } }: Frontend) => `${metadata.creationTimestamp ?? ''} ${metadata.namespace}/${metadata.name}`
  const [first, second] = [order(a), order(b)]
  return first < second ? -1 : first > second ? 1 : 0
}

const hasHostPorts = ({ spec }: Pod): boolean =>
  [...spec.containers, ...(spec.initContainers ?? [])].some(({ ports }) => ports?.some(({ hostPort }) => hostPort))

const idOf = ({ namespace, name }: ObjectName): string => `${namespace}/${name}`
