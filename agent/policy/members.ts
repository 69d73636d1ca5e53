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

export type ClusterState = {
  /** As `trimPod` leaves them, or whole. */
  pods: Iterable<Pod>
  namespaces: Iterable<Namespace>
  placed: Iterable<Placed>
}

const none: readonly Member[] = []

export class Members {
  readonly #nodeName: string
  #byNamespace = new Map<string, readonly Member[]>()
  #namespaces: readonly Namespace[] = []
  #made = new WeakMap<Pod, { ips: readonly string[] | undefined; member: Member }>()
  #selected = new WeakMap<PodPeers, { from: readonly (readonly Member[])[]; result: readonly Member[] }>()
  /** Members of a namespace by a label's key and value, for the labels that policies ask for. */
  readonly #byLabel = new WeakMap<readonly Member[], Map<string, Map<string | undefined, Member[]>>>()
  #local: readonly Member[] = none

  constructor(nodeName: string) {
    this.#nodeName = nodeName
  }

  get local(): readonly Member[] {
    return this.#local
  }

  /** Takes in the cluster as it is now. */
  update({ pods, namespaces, placed }: ClusterState): void {
    const here = new Map([...placed].map((each) => [each.pod.metadata.uid, each]))
    const found: Member[] = []
    for (const pod of pods) {
      const own = here.get(pod.metadata.uid)
      here.delete(pod.metadata.uid)
      if (isMember(pod, own)) found.push(this.#member(pod, own?.ips))
    }
    // Started here, and not heard of yet.
    for (const { pod, ips } of here.values()) if (isMember(pod, { pod, ips })) found.push(this.#member(pod, ips))

    const groups = Map.groupBy(
      oneByAddress(found, (member) => this.#made.get(member.pod)?.ips !== undefined),
      ({ namespace }) => namespace,
    )
    for (const [namespace, members] of groups) {
      const before = this.#byNamespace.get(namespace)
      if (before && same(before, members)) groups.set(namespace, before as Member[])
    }
    this.#byNamespace = groups
    const listed = [...namespaces]
    if (!same(this.#namespaces, listed)) this.#namespaces = listed
    this.#local = [...groups.values()].flatMap((members) => members.filter(({ local }) => local))
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
    return this.#namespaces
      .filter(({ metadata }) => matchesLabels(selector, metadata.labels))
      .map(({ metadata }) => this.#byNamespace.get(metadata.name) ?? none)
  }

  #member(pod: Pod, ips: readonly string[] | undefined): Member {
    const made = this.#made.get(pod)
    if (made && made.ips === ips) return made.member
    const member = {
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
    this.#made.set(pod, { ips, member })
    return member
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

/**
 * An address belongs to one pod. Where two claim it, one has gone and the server does not know yet: what
 * this node placed counts, then what is younger.
 */
const oneByAddress = (members: readonly Member[], isPlaced: (member: Member) => boolean): Member[] => {
  const holders = new Map<string, Member>()
  const losers = new Map<Member, Set<string>>()
  const rank = (member: Member) => `${isPlaced(member) ? 1 : 0} ${member.pod.metadata.creationTimestamp ?? ''} ${member.pod.metadata.uid}`
  const lose = (member: Member, address: string) => losers.set(member, (losers.get(member) ?? new Set()).add(address))
  for (const member of members)
    for (const address of [...member.addresses.ip, ...member.addresses.ip6]) {
      const holder = holders.get(address)
      const isHolder = !holder || rank(member) > rank(holder)
      if (isHolder) holders.set(address, member)
      if (holder && holder !== member) lose(isHolder ? holder : member, address)
    }
  if (losers.size === 0) return [...members]
  return members.map((member) => {
    const lost = losers.get(member)
    if (!lost) return member
    const left = (family: Family) => member.addresses[family].filter((address) => !lost.has(address))
    return { ...member, addresses: { ip: left('ip'), ip6: left('ip6') } }
  })
}

const same = <T>(a: readonly T[], b: readonly T[]): boolean => a.length === b.length && a.every((each, i) => each === b[i])
