// The pods of the cluster as policies see them: who has which labels, addresses and named ports. What
// did not change stays the same object or array, so that whoever worked something out of it knows.

import { matchesLabels, type Selector } from '#api/selector/label.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import { canonicalAddress } from '../proxy/address.ts'
import type { Family } from './layout.ts'
import type { PodPeers } from './meaning.ts'
import { isProtocol, type Protocol } from './ports.ts'

/** A pod that has a sandbox on this node: its addresses are known here before the server knows them. */
export type Placed = { readonly pod: Pod; readonly ips: readonly string[] }

export type Member = {
  readonly pod: Pod
  readonly namespace: string
  readonly addresses: Readonly<Record<Family, readonly string[]>>
  readonly ports: readonly { readonly name: string; readonly protocol: Protocol; readonly port: number }[]
  /** It is this node that must enforce its policies. */
  readonly local: boolean
}

const none: readonly Member[] = []

export class Members {
  readonly #nodeName: string
  readonly #pods = new Map<string, Pod>()
  readonly #placed = new Map<string, Placed>()
  /** By uid, with all addresses that they claim. */
  readonly #claiming = new Map<string, Member>()
  /** By address: the uids of who claims it; seldom more than one. */
  readonly #claims = new Map<string, Set<string>>()
  /** By uid, with the addresses that are theirs; and by namespace and uid. */
  readonly #known = new Map<string, Member>()
  readonly #spaces = new Map<string, Map<string, Member>>()
  readonly #local = new Map<string, Member>()
  readonly #byNamespace = new Map<string, readonly Member[]>()
  readonly #namespaces = new Map<string, Namespace>()
  /** Uids that something was heard of. */
  readonly #changed = new Set<string>()
  #selected = new WeakMap<PodPeers, { from: readonly (readonly Member[])[]; result: readonly Member[] }>()
  /** Members of a namespace by a label's key and value, for the labels that policies ask for. */
  readonly #byLabel = new WeakMap<readonly Member[], Map<string, Map<string | undefined, Member[]>>>()

  constructor(nodeName: string) {
    this.#nodeName = nodeName
  }

  get local(): Iterable<Member> {
    return this.#local.values()
  }

  /** As `trimPod` leaves it, or whole; undefined: it is gone. */
  podChanged(uid: string, pod: Pod | undefined): void {
    if (pod) this.#pods.set(uid, pod)
    else this.#pods.delete(uid)
    this.#changed.add(uid)
  }

  placedChanged(uid: string, placed: Placed | undefined): void {
    if (placed) this.#placed.set(uid, placed)
    else this.#placed.delete(uid)
    this.#changed.add(uid)
  }

  namespaceChanged(name: string, namespace: Namespace | undefined): void {
    if (namespace) this.#namespaces.set(name, namespace)
    else this.#namespaces.delete(name)
  }

  /** Works out what changed since the last time. */
  refresh(): void {
    const doubtful = new Set(this.#changed)
    for (const uid of this.#changed) {
      for (const address of this.#reclaim(uid)) for (const other of this.#claims.get(address) ?? []) doubtful.add(other)
    }
    this.#changed.clear()
    const namespaces = new Set<string>()
    for (const uid of doubtful) {
      const namespace = this.#take(uid)
      if (namespace !== undefined) namespaces.add(namespace)
    }
    for (const namespace of namespaces) {
      const members = this.#spaces.get(namespace)
      if (members?.size) this.#byNamespace.set(namespace, [...members.values()])
      else {
        this.#byNamespace.delete(namespace)
        this.#spaces.delete(namespace)
      }
    }
  }

  /** Who a pod is now, and what it claims. Returns the addresses that it claims, or claimed. */
  #reclaim(uid: string): Set<string> {
    const before = this.#claiming.get(uid)
    const placed = this.#placed.get(uid)
    // What was started here may not have been heard of yet.
    const pod = this.#pods.get(uid) ?? placed?.pod
    const now = pod && isMember(pod, placed) ? this.#member(pod, placed?.ips) : undefined
    if (now) this.#claiming.set(uid, now)
    else this.#claiming.delete(uid)
    for (const address of addressesIn(before)) {
      const claims = this.#claims.get(address)
      claims?.delete(uid)
      if (claims?.size === 0) this.#claims.delete(address)
    }
    for (const address of addressesIn(now)) {
      const claims = this.#claims.get(address)
      if (claims) claims.add(uid)
      else this.#claims.set(address, new Set([uid]))
    }
    return new Set([...addressesIn(before), ...addressesIn(now)])
  }

  /** Gives a pod the addresses that are its own. Returns the namespace of which that changed the members. */
  #take(uid: string): string | undefined {
    const claiming = this.#claiming.get(uid)
    const lost = new Set(addressesIn(claiming).filter((address) => this.#holderOf(address) !== uid))
    const left = (family: Family) => (claiming?.addresses[family] ?? []).filter((address) => !lost.has(address))
    const now = claiming && lost.size > 0 ? { ...claiming, addresses: { ip: left('ip'), ip6: left('ip6') } } : claiming
    const before = this.#known.get(uid)
    if (now === before) return undefined
    const namespace = (now ?? before)?.namespace ?? ''
    const members = this.#spaces.get(namespace) ?? new Map<string, Member>()
    this.#spaces.set(namespace, members)
    if (now) {
      this.#known.set(uid, now)
      members.set(uid, now)
    } else {
      this.#known.delete(uid)
      members.delete(uid)
    }
    if (now?.local) this.#local.set(uid, now)
    else this.#local.delete(uid)
    return namespace
  }

  /**
   * An address belongs to one pod. Where two claim it, one has gone and the server does not know yet: what
   * this node placed counts, then what is younger.
   */
  #holderOf(address: string): string | undefined {
    const rank = (uid: string) => `${this.#placed.has(uid) ? 1 : 0} ${this.#claiming.get(uid)?.pod.metadata.creationTimestamp ?? ''} ${uid}`
    let holder: string | undefined
    for (const uid of this.#claims.get(address) ?? []) if (holder === undefined || rank(uid) > rank(holder)) holder = uid
    return holder
  }

  /** The same array as long as it has the same members. */
  select(namespace: string, peers: PodPeers): readonly Member[] {
    const from = peers.namespaces ? this.#in(peers.namespaces) : [this.#byNamespace.get(namespace) ?? none]
    const before = this.#selected.get(peers)
    if (before && same(before.from, from)) return before.result
    const selected = from.flatMap((members) =>
      this.#candidates(members, peers.pods).filter(({ pod }) => matchesLabels(peers.pods, pod.metadata.labels)),
    )
    const result = before && same(before.result, selected) ? before.result : selected
    this.#selected.set(peers, { from, result })
    return result
  }

  /** All that a selector can match, or more. */
  #candidates(members: readonly Member[], selector: Selector): readonly Member[] {
    const label = selector.find(({ operator }) => operator === 'in')
    if (!label) return members
    let keys = this.#byLabel.get(members)
    if (!keys) this.#byLabel.set(members, (keys = new Map()))
    let values = keys.get(label.key)
    if (!values) keys.set(label.key, (values = Map.groupBy(members, ({ pod }) => pod.metadata.labels?.[label.key])))
    const [value, ...more] = label.values.map((value) => values.get(value) ?? none)
    return more.length === 0 ? (value ?? none) : [value ?? none, ...more].flat()
  }

  #in(selector: Selector): (readonly Member[])[] {
    return [...this.#namespaces.values()]
      .filter(({ metadata }) => matchesLabels(selector, metadata.labels))
      .map(({ metadata }) => this.#byNamespace.get(metadata.name) ?? none)
  }

  #member(pod: Pod, ips: readonly string[] | undefined): Member {
    return {
      pod,
      namespace: pod.metadata.namespace ?? '',
      addresses: addressesOf(ips ?? pod.status?.podIPs?.map(({ ip }) => ip) ?? []),
      ports: pod.spec.containers.flatMap(({ ports = [] }) =>
        ports.flatMap(({ name, protocol = 'TCP', containerPort }) =>
          name && isProtocol(protocol) ? [{ name, protocol, port: containerPort }] : [],
        ),
      ),
      local: pod.spec.nodeName === this.#nodeName,
    }
  }
}

/** One that is over has given its addresses back; one in the host's network has none of its own. */
const isMember = ({ spec, status }: Pod, placed: Placed | undefined): boolean =>
  !spec.hostNetwork && (placed !== undefined || (status?.phase !== 'Succeeded' && status?.phase !== 'Failed'))

const addressesOf = (ips: readonly string[]): Member['addresses'] => {
  const addresses: Record<Family, string[]> = { ip: [], ip6: [] }
  for (const ip of ips) {
    const canonical = canonicalAddress(ip)
    if (canonical) addresses[canonical.family].push(canonical.text)
  }
  return addresses
}

const addressesIn = (member: Member | undefined): string[] => (member ? [...member.addresses.ip, ...member.addresses.ip6] : [])

const same = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((each, i) => each === b[i])
