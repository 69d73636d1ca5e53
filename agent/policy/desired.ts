// The tables that a cluster's policies ask for on one node. Pods that the same policies select share a
// chain; what a chain allows is worked out again only if something of it changed, so that one pod's
// change costs little among thousands.

import { createHash } from 'node:crypto'
import { Elements } from 'nft-js'
import { matchesLabels } from '#api/selector/label.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import { allowsEverything, grants, numbersOf, podPeersOf } from './grants.ts'
import { type Direction, type Family, type GroupSet, type LaidChain, type Layout, repliesOf } from './layout.ts'
import { type Meaning, meaningOf, type PodPeers } from './meaning.ts'
import { type Member, Members } from './members.ts'
import type { Content } from './plan.ts'
import { portsOf } from './ports.ts'

export type ObjectName = { namespace: string; name: string }

/** Pods with the same policies in a direction, and the same numbers for the ports these name. */
export type PodGroup = {
  readonly name: string
  readonly direction: Direction
  readonly meanings: readonly Meaning[]
  readonly members: Member[]
}

/** A group's part of one table. */
type Part = { readonly from: readonly unknown[]; readonly sets: ReadonlyMap<GroupSet, Elements>; readonly chains: readonly LaidChain[] }

export class Desired {
  /** Told of pods, of what has its place here, and of namespaces. */
  readonly members: Members
  readonly #policies = new Map<string, Map<string, NetworkPolicy>>()
  /** Namespaces whose policies changed. */
  readonly #changed = new Set<string>()
  readonly #meanings = new Map<string, readonly Meaning[]>()
  #selecting = new WeakMap<Member, { of: readonly Meaning[]; selecting: readonly Meaning[] }>()
  #groups = new Map<string, PodGroup>()
  readonly #parts: Record<Family, Map<string, Part>> = { ip: new Map(), ip6: new Map() }

  constructor(nodeName: string) {
    this.members = new Members(nodeName)
  }

  /** Undefined: it is gone. */
  policyChanged({ namespace, name }: ObjectName, policy: NetworkPolicy | undefined): void {
    const policies = this.#policies.get(namespace) ?? new Map<string, NetworkPolicy>()
    this.#policies.set(namespace, policies)
    if (policy) policies.set(name, policy)
    else policies.delete(name)
    this.#changed.add(namespace)
  }

  /** Works out what changed since the last time; returns the policies that are not right, of those that matter here. */
  refresh(): Meaning[] {
    this.members.refresh()
    for (const namespace of this.#changed) {
      const policies = [...(this.#policies.get(namespace)?.values() ?? [])]
      if (policies.length > 0) this.#meanings.set(namespace, policies.map(meaningOf))
      else {
        this.#meanings.delete(namespace)
        this.#policies.delete(namespace)
      }
    }
    this.#changed.clear()
    this.#groups = new Map()
    const selected = new Set<Meaning>()
    for (const member of this.members.local) {
      const selecting = this.#policiesOf(member)
      for (const meaning of selecting) selected.add(meaning)
      for (const direction of ['ingress', 'egress'] as const) this.#join(member, direction, selecting)
    }
    return [...this.#meanings.values()].flat().filter((meaning) => meaning.faults.length > 0 && (!meaning.pods || selected.has(meaning)))
  }

  group(name: string): PodGroup | undefined {
    return this.#groups.get(name)
  }

  /** What a table is to hold. Nothing is allowed to the pods of groups that are `closed`. */
  content(layout: Layout, closed: ReadonlySet<string>): Content {
    const { family, maps, selves } = layout
    const sets = new Map([...Object.values(maps), selves].map((spec) => [spec.name, new Elements(spec)]))
    const chains = new Map(layout.chains.map((laid) => [laid.chain.name, laid]))
    const add = (set: string, key: readonly string[], verdict?: `jump ${string}`) => (sets.get(set) as Elements).add(key, verdict)
    const parts = new Map<string, Part>()
    const alone = new Set<string>()
    for (const group of this.#groups.values()) {
      const { name, direction, members } = group
      const addresses = members.flatMap(({ addresses }) => addresses[family])
      if (addresses.length === 0) continue
      for (const address of addresses) {
        add(direction, [address], `jump ${name}`)
        add(repliesOf(direction), [address], `jump ${repliesOf(name)}`)
        if (!alone.has(address)) add(selves.name, [address, address])
        alone.add(address)
      }
      const part = closed.has(name) ? this.#part(layout, group, true) : this.#known(layout, group)
      if (!closed.has(name)) parts.set(name, part)
      for (const [, elements] of part.sets) sets.set(elements.spec.name, elements)
      for (const laid of part.chains) chains.set(laid.chain.name, laid)
    }
    // Packets of a node whose pods are all free pass no chain.
    if (alone.size === 0) for (const { chain } of layout.chains) if (chain.base) chains.delete(chain.name)
    this.#parts[family] = parts
    return { sets, chains }
  }

  #policiesOf(member: Member): readonly Meaning[] {
    const of = this.#meanings.get(member.namespace) ?? none
    const known = this.#selecting.get(member)
    if (known?.of === of) return known.selecting
    const selecting = of.filter(({ pods }) => matchesLabels(pods, member.pod.metadata.labels))
    this.#selecting.set(member, { of, selecting })
    return selecting
  }

  #join(member: Member, direction: Direction, selecting: readonly Meaning[]): void {
    const meanings = selecting.filter(({ rules }) => rules[direction])
    if (meanings.length === 0 || meanings.some(({ rules }) => allowsEverything(rules[direction] ?? []))) return
    const name = nameOf(member, direction, meanings)
    const group = this.#groups.get(name)
    if (group) group.members.push(member)
    else this.#groups.set(name, { name, direction, meanings, members: [member] })
  }

  #known(layout: Layout, group: PodGroup): Part {
    const before = this.#parts[layout.family].get(group.name)
    const from = [...group.meanings, ...this.#peersOf(group)]
    return before && same(before.from, from) ? before : this.#part(layout, group, false, from)
  }

  #part(layout: Layout, group: PodGroup, closed: boolean, from: readonly unknown[] = []): Part {
    const { name, direction, meanings, members } = group
    const select = (namespace: string, peers: PodPeers) => this.members.select(namespace, peers)
    const sets = closed ? new Map() : grants({ layout, group: name, direction, meanings, member: members[0] as Member, select })
    const names = `${direction} of ${meanings.map(({ policy: { metadata } }) => `${metadata.namespace}/${metadata.name}`).join(', ')}`
    return { from, sets, chains: layout.groupChains(group, [...sets.keys()], shortened(names)) }
  }

  /** Everyone whom the group's rules speak of: the same arrays as long as they are the same. */
  #peersOf({ meanings, direction }: PodGroup): (readonly Member[])[] {
    return meanings.flatMap(({ rules, policy }) =>
      (rules[direction] ?? []).flatMap((rule) =>
        podPeersOf(rule, direction).map((each) => this.members.select(policy.metadata.namespace ?? '', each)),
      ),
    )
  }
}

const none: readonly Meaning[] = []

/** The same for the same policies after a restart, so that a change of what they say changes elements and no chains. */
const nameOf = (member: Member, direction: Direction, meanings: readonly Meaning[]): string => {
  const policies = meanings.map(({ policy }) => policy.metadata.name).sort()
  const named = meanings.flatMap(({ rules }) => (rules[direction] ?? []).flatMap(({ ports }) => ports?.names ?? []))
  const numbers =
    direction === 'ingress' ? named.map((port) => `${port.protocol} ${port.name} ${portsOf(numbersOf([port], member)).text}`) : []
  const identity = JSON.stringify([member.namespace, policies, [...new Set(numbers)].sort()])
  return `${direction}-${createHash('sha256').update(identity).digest('hex').slice(0, 16)}`
}

/** nft takes comments of 127 bytes; names of objects are ASCII. */
const shortened = (text: string): string => (text.length > 127 ? `${text.slice(0, 124)}...` : text)

const same = (a: readonly unknown[], b: readonly unknown[]): boolean => a.length === b.length && a.every((each, i) => each === b[i])
