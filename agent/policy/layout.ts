// How network policies lie in nf_tables: one table per family, of its own, so that what the service proxy
// does to its table never opens a pod. A packet between two addresses is forwarded by this host if a pod of
// it has one of them; then two maps tell by the pod's address which chain knows what its policies allow.
//
//   ingress, egress      pod → chain, for packets in the direction in which their connection was opened
//   ...-replies          pod → chain, for answers: the same, looked at from the other end
//
// A chain is one for all pods with the same policies (`ingress-4f1c...`), and knows what they allow from up to
// four sets, so that a packet's cost does not grow with policies, peers or rules:
//
//   -ports     peers and the port that is open to them        (hash)
//   -peers     peers to whom everything is open               (hash)
//   -blocks    the same, of whole blocks                      (intervals)
//   -ranges    blocks or everyone, and ports or port ranges   (intervals of concatenations)
//
// Every packet is looked up, also of connections that are established: there is nothing to flush when a
// policy changes. What the node itself sends or gets passes neither map: it is not forwarded.

import type { ChainSpec, RuleSpec, Selector, SetSpec, TableRef } from 'nft-js'
import { commented, contained, counter, drop, goto, leave, match, rule, vmap } from 'nft-js/nftables/statement.ts'

export type Family = 'ip' | 'ip6'
export type Direction = 'ingress' | 'egress'

export type GroupSet = 'ports' | 'peers' | 'blocks' | 'ranges'

export type Layout = {
  family: Family
  table: TableRef
  /** By the pod's address. */
  maps: Record<`${Direction}${'' | '-replies'}`, SetSpec>
  /** Each pod with itself: no policy comes between them. */
  selves: SetSpec
  /** The chains that are always there. */
  chains: readonly LaidChain[]
  groupSet: (group: string, set: GroupSet) => SetSpec
  /** Of pods that have these sets; `comment` is for people. */
  groupChains: (group: Group, sets: readonly GroupSet[], comment: string) => LaidChain[]
}

export type LaidChain = { readonly chain: ChainSpec; readonly rules: readonly RuleSpec[] }

/** `name` is that of its chain. */
export type Group = { readonly name: string; readonly direction: Direction }

export const repliesOf = (chain: string): string => `${chain}-replies`

/** The group that a chain or set belongs to. */
export const groupOf = (name: string): string | undefined => /^(in|e)gress-[\da-f]+(?=-|$)/.exec(name)?.[0]

export const layoutOf = (family: Family): Layout => {
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const saddr: Selector = `${family} saddr`
  const daddr: Selector = `${family} daddr`
  const verdicts = (name: string): SetSpec => ({ name, key: [address], data: 'verdict' })

  const maps: Layout['maps'] = {
    ingress: verdicts('ingress'),
    egress: verdicts('egress'),
    'ingress-replies': verdicts('ingress-replies'),
    'egress-replies': verdicts('egress-replies'),
  }
  const selves: SetSpec = { name: 'selves', key: [address, address] }

  const chains: LaidChain[] = [
    {
      chain: { name: 'deny' },
      rules: [
        commented('errors of connections that are allowed', rule(match('ct state', 'related'), leave)),
        commented('a pod to itself through a service', rule(contained([saddr, daddr], selves.name), leave)),
        rule(counter(), drop),
      ],
    },
    { chain: { name: 'replies' }, rules: [rule(vmap([daddr], 'egress-replies')), rule(vmap([saddr], 'ingress-replies'))] },
    {
      chain: { name: 'forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } },
      rules: [rule(match('ct direction', 'reply'), goto('replies')), rule(vmap([saddr], 'egress')), rule(vmap([daddr], 'ingress'))],
    },
  ]

  const keys: Record<GroupSet, SetSpec['key']> = {
    ports: [address, 'inet_proto', 'inet_service'],
    peers: [address],
    blocks: [address],
    ranges: [address, 'inet_proto', 'inet_service'],
  }
  const isInterval = { ports: false, peers: false, blocks: true, ranges: true }
  const groupSet = (group: string, set: GroupSet): SetSpec => ({
    name: `${group}-${set}`,
    key: keys[set],
    ...(isInterval[set] && { flags: ['interval'] }),
  })

  const groupChains = ({ name, direction }: Group, sets: readonly GroupSet[], comment: string): LaidChain[] => {
    const rules = (isReply: boolean): RuleSpec[] => {
      const peer = (direction === 'ingress') === isReply ? daddr : saddr
      const key: Selector[] = [peer, 'meta l4proto', isReply ? 'th sport' : 'th dport']
      return [
        ...sets.map((set) => rule(contained(keys[set].length > 1 ? key : [peer], `${name}-${set}`), leave)),
        commented(comment, rule(goto('deny'))),
      ]
    }
    return [
      { chain: { name }, rules: rules(false) },
      { chain: { name: repliesOf(name) }, rules: rules(true) },
    ]
  }

  return { family, table: { family, name: 'coracle-policy' }, maps, selves, chains, groupSet, groupChains }
}
