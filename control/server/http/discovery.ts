// What the server offers, for clients that ask first: the legacy documents of each group and version,
// and the aggregated one.

import { compareVersions } from '#api/kinds/rules/version-order.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import type { APIResource } from '#api/types/meta-v1.gen.ts'
import type { Resources } from '../objects/resource.ts'

/** Resources that exist only to be created: an answer comes back and nothing is kept. */
export type VirtualResource = { group: string; version: string; kind: string; plural: string; singular: string; namespaced: boolean }

/** The order in which kubectl prefers groups. */
const groupOrder = [
  '',
  'apps',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'policy',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
]
const statusVerbs = ['get', 'patch', 'update']

type Subresource = { name: string; group: string; version: string; kind: string; verbs: string[] }
type Offer = {
  plural: string
  singular: string
  namespaced: boolean
  kind: string
  verbs: string[]
  shortNames: readonly string[] | undefined
  categories: readonly string[] | undefined
  subresources: Subresource[]
}

/** Group → version → resources, in order of preference. */
type Groups = Map<string, Map<string, Offer[]>>

/** A group version of another server; without resources while it has not told them. */
export type AggregatedVersion = { group: string; version: string; priority: number; resources: readonly APIResource[] | undefined }

export type Aggregated = { readonly revision: number; versions(): readonly AggregatedVersion[] }

export class Discovery {
  readonly #resources: Resources
  readonly #virtual: readonly VirtualResource[]
  readonly #aggregated: Aggregated
  #known: { groups: Groups; stale: ReadonlySet<string>; revision: string } | undefined

  constructor(resources: Resources, virtual: readonly VirtualResource[], aggregated: Aggregated) {
    this.#resources = resources
    this.#virtual = virtual
    this.#aggregated = aggregated
  }

  get #groups(): Groups {
    return this.#current.groups
  }

  get #current() {
    const revision = `${this.#resources.revision} ${this.#aggregated.revision}`
    if (this.#known?.revision !== revision) this.#known = { ...this.#read(), revision }
    return this.#known
  }

  #read(): { groups: Groups; stale: Set<string> } {
    const groups: Groups = new Map()
    const entry = (group: string, version: string): Offer[] => {
      const versions = groups.get(group) ?? new Map<string, Offer[]>()
      groups.set(group, versions)
      const offers = versions.get(version) ?? []
      versions.set(version, offers)
      return offers
    }
    for (const { spec, kind, verbs } of this.#resources.all()) {
      entry(kind.group, kind.version).push({
        plural: kind.plural,
        singular: spec.singular,
        namespaced: kind.namespaced,
        kind: kind.kind,
        verbs: [...verbs],
        shortNames: spec.shortNames,
        categories: spec.categories,
        subresources: subresourcesOf(spec),
      })
    }
    for (const v of this.#virtual) {
      entry(v.group, v.version).push({ ...v, verbs: ['create'], shortNames: undefined, categories: undefined, subresources: [] })
    }
    const stale = new Set<string>()
    const theirs = new Map<string, number>()
    for (const { group, version, priority, resources } of this.#aggregated.versions()) {
      entry(group, version).splice(0, Number.POSITIVE_INFINITY, ...offersIn(resources ?? [], group, version))
      if (!resources) stale.add(`${group}/${version}`)
      theirs.set(group, Math.max(priority, theirs.get(group) ?? 0))
    }
    const rank = (group: string) => (groupOrder.includes(group) ? groupOrder.indexOf(group) : groupOrder.length)
    for (const versions of groups.values()) for (const offers of versions.values()) offers.sort((a, b) => (a.plural < b.plural ? -1 : 1))
    const byPriority = (versions: Map<string, Offer[]>) => new Map([...versions].sort(([a], [b]) => compareVersions(a, b)))
    const sorted = [...groups]
      .sort(([a], [b]) => rank(a) - rank(b) || (theirs.get(b) ?? 0) - (theirs.get(a) ?? 0) || (a < b ? -1 : 1))
      .map(([group, versions]) => [group, byPriority(versions)] as const)
    return { groups: new Map(sorted), stale }
  }

  /** `/api` */
  coreVersions(host: string): object {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: host }],
    }
  }

  /** `/apis` */
  groups(): object {
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: [...this.#groups.keys()].filter(Boolean).map((group) => this.#group(group)) }
  }

  /** `/apis/<group>`; undefined where there is none. */
  group(group: string): object | undefined {
    return group && this.#groups.has(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...this.#group(group) } : undefined
  }

  #group(group: string) {
    const versions = [...(this.#groups.get(group)?.keys() ?? [])].map((version) => ({ groupVersion: `${group}/${version}`, version }))
    return { name: group, versions, preferredVersion: versions[0] }
  }

  /** `/api/v1`, `/apis/<group>/<version>` */
  resources(group: string, version: string): object | undefined {
    const offers = this.#groups.get(group)?.get(version)
    if (!offers) return undefined
    const resources = offers.flatMap((offer) => [
      {
        name: offer.plural,
        singularName: offer.singular,
        namespaced: offer.namespaced,
        kind: offer.kind,
        verbs: offer.verbs,
        ...(offer.shortNames && { shortNames: offer.shortNames }),
        ...(offer.categories && { categories: offer.categories }),
      },
      ...offer.subresources.map((sub) => ({
        name: `${offer.plural}/${sub.name}`,
        singularName: '',
        namespaced: offer.namespaced,
        ...((sub.group !== group || sub.version !== version) && { group: sub.group, version: sub.version }),
        kind: sub.kind,
        verbs: sub.verbs,
      })),
    ])
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: group ? `${group}/${version}` : version, resources }
  }

  /** APIGroupDiscoveryList of `/api` (core) or `/apis` (the rest). */
  aggregated(core: boolean, version: 'v2' | 'v2beta1'): object {
    const { groups, stale } = this.#current
    const items = [...groups]
      .filter(([group]) => (group === '') === core)
      .map(([group, versions]) => ({
        metadata: { name: group, creationTimestamp: null },
        versions: [...versions].map(([name, offers]) => ({
          version: name,
          resources: offers.map((offer) => describe(offer, group, name)),
          freshness: stale.has(`${group}/${name}`) ? 'Stale' : 'Current',
        })),
      }))
    return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
  }
}

/** What an APIResourceList offers. */
function offersIn(resources: readonly APIResource[], group: string, version: string): Offer[] {
  const own = resources.filter(({ name }) => !name.includes('/'))
  return own.map((resource) => ({
    plural: resource.name,
    singular: resource.singularName ?? '',
    namespaced: resource.namespaced,
    kind: resource.kind,
    verbs: resource.verbs,
    shortNames: resource.shortNames,
    categories: resource.categories,
    subresources: resources
      .filter(({ name }) => name.startsWith(`${resource.name}/`))
      .map((sub) => ({
        name: sub.name.slice(resource.name.length + 1),
        group: sub.group ?? group,
        version: sub.version ?? version,
        kind: sub.kind,
        verbs: sub.verbs,
      })),
  }))
}

function describe(offer: Offer, group: string, version: string): object {
  const { plural, singular, kind, verbs, shortNames, categories, subresources } = offer
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: offer.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs,
    ...(shortNames && { shortNames }),
    ...(categories && { categories }),
    ...(subresources.length > 0 && {
      subresources: subresources.map((sub) => ({
        subresource: sub.name,
        responseKind: { group: sub.group, version: sub.version, kind: sub.kind },
        verbs: sub.verbs,
      })),
    }),
  }
}

export function subresourcesOf(spec: KindSpec): Subresource[] {
  const { kind } = spec
  const own = { group: kind.group, version: kind.version, kind: kind.kind }
  return [
    ...(spec.status ? [{ name: 'status', ...own, verbs: statusVerbs }] : []),
    ...(spec.scale ? [{ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: statusVerbs }] : []),
    ...(spec.subresources ?? []).map((sub) => ({ name: sub.name, ...sub.kind, verbs: sub.verbs })),
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
}
