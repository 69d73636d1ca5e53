// What a group of pods is allowed, as the four sets of its chain.

import { Elements } from 'nft-js'
import type { Direction, Family, GroupSet, Layout } from './layout.ts'
import type { Meaning, NamedPort, PodPeers, Rule } from './meaning.ts'
import type { Member } from './members.ts'
import { type PortRange, type Ports, portCode, portsOf, wireName } from './ports.ts'
import { disjoint, everything, isWithin, type Opening, type Range, rangeOf, rangeText, unionOfRanges } from './ranges.ts'

/** Nothing that the chain would have to look for: whoever has it needs no chain. */
export const allowsEverything = (rules: readonly Rule[]): boolean => rules.some(({ peers, ports }) => !peers && !ports)

export type GrantsOptions = {
  layout: Layout
  group: string
  direction: Direction
  meanings: readonly Meaning[]
  /** A pod of the group: all of them have the same numbers for the ports that the policies name. */
  member: Member
  select: (namespace: string, peers: PodPeers) => readonly Member[]
}

/** The group's sets that are not empty. */
export const grants = ({ layout, group, direction, meanings, member, select }: GrantsOptions): Map<GroupSet, Elements> => {
  const { family } = layout
  const found = new Found(layout, group)
  for (const { rules, policy } of meanings)
    for (const { peers, ports } of rules[direction] ?? []) {
      // The ports are those of whom is connected to: of this pod, or of each peer.
      const named = ports?.names ?? []
      const own = direction === 'ingress' ? numbersOf(named, member) : []
      const fixed = ports && portsOf([...ports.numbers, ...own])
      const perPeer = direction === 'egress' && named.length > 0
      const blocks = peers ? peers.blocks[family] : [everything(family)]
      for (const range of blocks) found.block(range, fixed)
      for (const each of podPeersOf({ peers, ports }, direction))
        for (const peer of select(policy.metadata.namespace ?? '', each)) {
          const theirs = perPeer && ports ? portsOf([...ports.numbers, ...numbersOf(named, peer)]) : fixed
          // Of everyone, only who is in a block that the rule names, where it names peers.
          const isPeer = (address: string) => each !== everyone || !peers || isWithin(rangeOf(address), blocks)
          for (const address of peer.addresses[family]) if (isPeer(address)) found.peer(address, theirs)
        }
    }
  return found.sets()
}

/** The pods that a rule is about: where it lets out to blocks or to everyone on a named port, all that may have it. */
export const podPeersOf = ({ peers, ports }: Rule, direction: Direction): readonly PodPeers[] => {
  const isNamed = direction === 'egress' && ports !== undefined && ports.names.length > 0
  const hasBlocks = !peers || peers.blocks.ip.length + peers.blocks.ip6.length > 0
  return [...(peers?.pods ?? []), ...(isNamed && hasBlocks ? [everyone] : [])]
}

const everyone: PodPeers = { namespaces: [], pods: [] }

/** The numbers that a pod has for named ports. */
export const numbersOf = (names: readonly NamedPort[], { ports }: Member): PortRange[] =>
  names.flatMap(({ protocol, name }) =>
    ports.flatMap((port) => (port.name === name && port.protocol === protocol ? [{ protocol, first: port.port, last: port.port }] : [])),
  )

class Found {
  readonly #family: Family
  readonly #sets: Record<GroupSet, Elements>
  readonly #blocks: Range[] = []
  readonly #openings: Opening[] = []
  /** Peers that have an element already, by port (0: for everything): many rules may say the same. */
  readonly #seen = new Map<number, Set<string>>()

  constructor(layout: Layout, group: string) {
    const set = (name: GroupSet) => new Elements(layout.groupSet(group, name))
    this.#family = layout.family
    this.#sets = { ports: set('ports'), peers: set('peers'), blocks: set('blocks'), ranges: set('ranges') }
  }

  block(range: Range, ports: Ports | undefined): void {
    if (ports) this.#open(range, ports)
    else this.#blocks.push(range)
  }

  peer(address: string, ports: Ports | undefined): void {
    if (!ports) {
      if (this.#isNew(address, 0)) this.#sets.peers.add([address])
      return
    }
    let isRange = false
    for (const { protocol, first, last } of ports.ranges) {
      if (first !== last) isRange = true
      else if (this.#isNew(address, portCode(protocol, first))) this.#sets.ports.add([address, wireName(protocol), first])
    }
    if (isRange) this.#open(rangeOf(address), ports)
  }

  sets(): Map<GroupSet, Elements> {
    for (const range of unionOfRanges(this.#blocks)) this.#sets.blocks.add([rangeText(this.#family, range)])
    for (const { range, ports } of disjoint(this.#openings))
      for (const { protocol, first, last } of ports.ranges)
        this.#sets.ranges.add([rangeText(this.#family, range), wireName(protocol), first === last ? first : `${first}-${last}`])
    const kinds: GroupSet[] = ['ports', 'peers', 'blocks', 'ranges']
    return new Map(kinds.flatMap((kind) => (this.#sets[kind].count > 0 ? [[kind, this.#sets[kind]] as const] : [])))
  }

  #open(range: Range, ports: Ports): void {
    if (ports.ranges.length > 0) this.#openings.push({ range, ports })
  }

  #isNew(address: string, port: number): boolean {
    let peers = this.#seen.get(port)
    if (!peers) this.#seen.set(port, (peers = new Set()))
    const { size } = peers
    return peers.add(address).size > size
  }
}
