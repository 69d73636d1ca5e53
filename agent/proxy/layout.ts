// How services lie in nf_tables: one table per family with a constant number of rules. New
// connections to a service are found in one map, `services` (or `node-ports`, where the address is
// any of the node's own), whose verdict leads to a chain for the number N of endpoints; that picks a
// slot below N and translates to what `backends` holds for it. So a changed endpoint is a few
// elements, and N only counts chains, not services.
//
//   lb-3            three endpoints anywhere; who comes from outside the cluster is masqueraded
//   local-2-of-5    traffic policy Local: five endpoints, of which two are on this node; those from
//                   outside the cluster reach the two alone, which see the client's own address
//   ...-sticky-...  the client goes where it went before, which `clients` remembers (session affinity)
//   remember-600    notes in `clients` where a connection went, for 600 seconds
//   node-...        reached through a node port
//
// Nothing outside this table is touched, and nothing here accepts what others would drop.

import { addressBytes, type ChainSpec, type RuleSpec, type Selector, type SetSpec, type TableRef, type Verdict } from 'nft-js'
import { chainOfVerdict } from 'nft-js/nftables/expression.ts'
import {
  commented,
  contained,
  dnat,
  drop,
  goto,
  jump,
  leave,
  lookup,
  masquerade,
  match,
  matchMasked,
  missing,
  reject,
  rule,
  setMark,
  update,
  vmap,
} from 'nft-js/nftables/statement.ts'
import { jhash } from '../ruleset/jhash.ts'
import type { Networks, ProxyFamily } from './family.ts'
import type { Frontend, Split } from './frontends.ts'

const setNames = [
  'services',
  'backends',
  'unreachable',
  'nodePorts',
  'nodeBackends',
  'unreachableNodePorts',
  'hairpins',
  'sticky',
  'stickyNodePorts',
  'clients',
  'clientPorts',
  'guarded',
  'sources',
] as const

export type Layout = {
  family: ProxyFamily
  table: TableRef
  sets: Record<(typeof setNames)[number], SetSpec>
  /** The chains that are always there. */
  chains: readonly { chain: ChainSpec; rules: readonly RuleSpec[] }[]
  /** The rules of a chain that some services need, by its name. */
  madeFor: (name: string) => readonly RuleSpec[]
}

const balancerName = /^(node-)?(?:lb|local)(-sticky)?-(\d+)(?:-of-(\d+))?(?:-from-(\d+))?$/
const memoryName = /^remember-(\d+)$/
/** A chain that is there for as long as a service needs it. */
export const isMade = (chain: string): boolean => balancerName.test(chain) || memoryName.test(chain)

type Balanced = Pick<Frontend, 'address' | 'affinitySeconds' | 'split'> & { backends: readonly unknown[] }

/** Where new connections to a frontend go that has backends. */
export const balancerOf = ({ address, affinitySeconds, split, backends }: Balanced): Verdict => {
  const name = `${address === undefined ? 'node-' : ''}${split ? 'local' : 'lb'}${affinitySeconds === undefined ? '' : '-sticky'}`
  const count = backends.length
  if (!split) return `goto ${name}-${count}`
  return `goto ${name}-${split.outside}-of-${count}${split.inside > 0 ? `-from-${split.inside}` : ''}`
}

/** Who reaches which of the backends that a verdict leads to; undefined: all reach all. */
export const splitOf = (verdict: Verdict): Split | undefined => {
  const [, , , outside, all, inside = '0'] = balancerName.exec(chainOfVerdict(verdict) ?? '') ?? []
  return all === undefined ? undefined : { outside: Number(outside), inside: Number(inside) }
}

export const memoryOf = ({ affinitySeconds }: Balanced): Verdict | undefined =>
  affinitySeconds === undefined ? undefined : `jump remember-${affinitySeconds}`

/** The most clients that session affinity remembers, of all services together; those beyond are balanced anew each time. */
const mostClients = 65_536

export type LayoutOptions = {
  /** The bit of the packet mark that says "masquerade this on its way out". */
  mark: number
  /** The node's addresses on which node ports answer, as prefixes; absent: all but loopback. */
  nodePortAddresses?: readonly string[] | undefined
}

export const layoutOf = (family: ProxyFamily, networks: Networks, { mark, nodePortAddresses }: LayoutOptions): Layout => {
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const saddr: Selector = `${family} saddr`
  const daddr: Selector = `${family} daddr`
  const service: Selector[] = [daddr, 'meta l4proto', 'th dport']
  const nodePort: Selector[] = ['meta l4proto', 'th dport']
  const slot: Selector = 'numgen random mod 1'
  const client = clientOf(family)
  const filled = { flags: ['dynamic', 'timeout'], size: mostClients } as const
  const tuple = { address: `ct original ${family} daddr`, port: 'ct original proto-dst' } as const

  const sets: Layout['sets'] = {
    services: { name: 'services', key: [address, 'inet_proto', 'inet_service'], data: 'verdict' },
    backends: { name: 'backends', key: [...service, slot], data: [daddr, 'th dport'] },
    unreachable: { name: 'unreachable', key: [address, 'inet_proto', 'inet_service'], data: 'verdict' },
    nodePorts: { name: 'node-ports', key: ['inet_proto', 'inet_service'], data: 'verdict' },
    nodeBackends: { name: 'node-backends', key: [...nodePort, slot], data: [daddr, 'th dport'] },
    unreachableNodePorts: { name: 'unreachable-node-ports', key: ['inet_proto', 'inet_service'], data: 'verdict' },
    hairpins: { name: 'hairpins', key: [address, address] },
    sticky: { name: 'sticky', key: [address, 'inet_proto', 'inet_service'], data: 'verdict' },
    stickyNodePorts: { name: 'sticky-node-ports', key: ['inet_proto', 'inet_service'], data: 'verdict' },
    clients: { name: 'clients', key: client.field, data: family === 'ip' ? [daddr, 'th dport'] : [daddr], ...filled },
    clientPorts: { name: 'client-ports', key: client.field, data: ['th dport'], ...filled },
    guarded: { name: 'guarded', key: [address, 'inet_proto', 'inet_service'] },
    sources: { name: 'sources', key: [address, 'inet_proto', 'inet_service', address], flags: ['interval'] },
  }

  // Loopback addresses are local too, but what is sent to them cannot leave for a pod.
  const nodes = nodePortAddresses?.map((prefix) => match(daddr, prefix)) ?? [match(daddr, '!=', family === 'ip' ? '127.0.0.0/8' : '::1')]
  const toThisNode = nodes.map((which) => [...match('fib daddr type', 'local'), ...which])
  const outbound = masquerade('fully-random')
  const newToServices = [match(daddr, networks.services), match('ct state', 'new')]

  const chains: Layout['chains'] = [
    { chain: { name: 'reject-chain' }, rules: [rule(match('meta l4proto', 'tcp'), reject(family, 'tcp reset')), rule(reject(family))] },
    {
      chain: { name: 'refuse' },
      rules: [
        commented(
          'only from where the service allows',
          rule(contained(service, sets.guarded.name), missing([...service, saddr], sets.sources.name), drop),
        ),
        rule(vmap(service, sets.unreachable.name)),
      ],
    },
    {
      chain: { name: 'only-inside' },
      rules: [rule(match(saddr, networks.cluster), leave), rule(match('fib saddr type', 'local'), leave), rule(drop)],
    },
    {
      chain: { name: 'remember' },
      rules: protocols.flatMap((protocol) => [
        rule(match('ct protocol', protocol), vmap([tuple.address, 'meta l4proto', tuple.port], sets.sticky.name)),
        rule(match('ct protocol', protocol), vmap(['meta l4proto', tuple.port], sets.stickyNodePorts.name)),
      ]),
    },
    {
      chain: { name: 'translate' },
      rules: [rule(vmap(service, sets.services.name)), ...toThisNode.map((node) => rule(node, vmap(nodePort, sets.nodePorts.name)))],
    },
    // A service without endpoints is refused before routing, so also where its address has no route.
    {
      chain: { name: 'refuse-prerouting', base: { type: 'filter', hook: 'prerouting', priority: -110, policy: 'accept' } },
      rules: [rule(match('ct state', 'new'), jump('refuse'))],
    },
    {
      chain: { name: 'refuse-output', base: { type: 'filter', hook: 'output', priority: -110, policy: 'accept' } },
      rules: [rule(match('ct state', 'new'), jump('refuse'))],
    },
    {
      chain: { name: 'nat-prerouting', base: { type: 'nat', hook: 'prerouting', priority: -100, policy: 'accept' } },
      rules: [rule(jump('translate'))],
    },
    {
      chain: { name: 'nat-output', base: { type: 'nat', hook: 'output', priority: -100, policy: 'accept' } },
      rules: [rule(jump('translate'))],
    },
    {
      chain: { name: 'nat-postrouting', base: { type: 'nat', hook: 'postrouting', priority: 100, policy: 'accept' } },
      rules: [
        rule(match('ct status', 'dnat'), jump('remember')),
        commented('from outside to a service', rule(matchMasked('meta mark', mark, mark), setMark({ clear: mark }), outbound)),
        commented(
          'a pod to itself through its service',
          rule(match('ct status', 'dnat'), contained([saddr, daddr], sets.hairpins.name), outbound),
        ),
        commented(
          'from a pod out of the cluster',
          rule(
            match(saddr, networks.pods),
            match(daddr, '!=', networks.cluster),
            match(daddr, '!=', family === 'ip' ? '224.0.0.0/4' : 'ff00::/8'),
            outbound,
          ),
        ),
      ],
    },
    // Node ports after translation: what someone has at this very address is translated by now.
    {
      chain: { name: 'refuse-input', base: { type: 'filter', hook: 'input', priority: 0, policy: 'accept' } },
      rules: toThisNode.map((node) => rule(match('ct state', 'new'), node, vmap(nodePort, sets.unreachableNodePorts.name))),
    },
    {
      chain: { name: 'nat-input', base: { type: 'nat', hook: 'input', priority: 100, policy: 'accept' } },
      rules: [commented('to an endpoint on the node itself', rule(match('ct status', 'dnat'), jump('remember')))],
    },
    {
      chain: { name: 'filter-forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } },
      rules: [
        // Out of its connection's window it would go out untranslated, and the client would reset the connection.
        commented('an answer that would not be translated', rule(match(saddr, networks.cluster), match('ct state', 'invalid'), drop)),
        commented('no such service', rule(...newToServices, goto('reject-chain'))),
      ],
    },
    {
      chain: { name: 'filter-output', base: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' } },
      // The cluster's name server has its address of that range on the node itself.
      rules: [commented('no such service', rule(...newToServices, match('fib daddr type', '!=', 'local'), goto('reject-chain')))],
    },
  ]

  const masqueraded = setMark({ set: mark })
  const madeFor = (name: string): RuleSpec[] => {
    const [, seconds] = memoryName.exec(name) ?? []
    if (seconds !== undefined) return remember(Number(seconds) * 1000)
    const [, node, sticky, first, all, from = '0'] = balancerName.exec(name) ?? []
    if (first === undefined) throw new TypeError(`no chain that services need: ${name}`)
    const to = (pick: Selector): RuleSpec['expressions'] =>
      dnat(family, node ? lookup([...nodePort, pick], sets.nodeBackends.name) : lookup([...service, pick], sets.backends.name))
    const before = family === 'ip6' ? lookup(client.asks, sets.clientPorts.name) : undefined
    const again = sticky ? [rule(dnat(family, lookup(client.asks, sets.clients.name), before))] : []
    if (all === undefined)
      return [rule(match(saddr, '!=', networks.cluster), masqueraded), ...again, rule(to(`numgen random mod ${Number(first)}`))]
    const inside = Number(all) - Number(from)
    const pick: Selector = from === '0' ? `numgen random mod ${inside}` : `numgen random mod ${inside} offset ${Number(from)}`
    return [
      rule(match('fib saddr type', 'local'), match(saddr, '!=', networks.cluster), masqueraded),
      ...again,
      rule(match(saddr, networks.cluster), to(pick)),
      rule(match('fib saddr type', 'local'), to(pick)),
      ...(Number(first) > 0 ? [rule(to(`numgen random mod ${Number(first)}`))] : []),
    ]
  }

  /** What the client asked for and what answers it, from the connection: its first packet is translated by then. */
  const remember = (timeoutMs: number): RuleSpec[] =>
    protocols.flatMap((protocol) => {
      const note = (set: SetSpec, data: Selector[]) => rule(match('ct protocol', protocol), update(set.name, client.asked, timeoutMs, data))
      if (family === 'ip') return [note(sets.clients, ['ct reply ip saddr', 'ct reply proto-src'])]
      return [note(sets.clients, ['ct reply ip6 saddr']), note(sets.clientPorts, ['ct reply proto-src'])]
    })

  return { family, table: { family, name: 'coracle' }, sets, chains, madeFor }
}

const hash = { modulus: 4_294_967_295, seed: 1 } as const

/** An address as it stands in the keys of `clients`. */
export const addressInKey = (address: string): string =>
  address.includes(':') ? String(jhash(addressBytes(address), hash.seed, hash.modulus)) : address

/**
 * A client of a service as the key of `clients`: its fields, and how they are found in a packet that asks for
 * the service, and in the connection once it was asked for. nft 1.0.6 takes rules that fill maps only with
 * keys and data of four words each. For IPv6, therefore, addresses are hashed (clients with the same hash
 * share a backend), and there is another map for the port.
 */
const clientOf = (family: ProxyFamily): Record<'field' | 'asks' | 'asked', Selector[]> => {
  const number: Selector = 'numgen random mod 1'
  const hashed = `mod ${hash.modulus} seed 0x${hash.seed}` as const
  if (family === 'ip')
    return {
      field: ['ip saddr', 'ip daddr', 'meta l4proto', 'th dport'],
      asks: ['ip saddr', 'ip daddr', 'meta l4proto', 'th dport'],
      asked: ['ip saddr', 'ct original ip daddr', 'meta l4proto', 'ct original proto-dst'],
    }
  return {
    field: [number, number, 'meta l4proto', 'th dport'],
    asks: [`jhash ip6 saddr ${hashed}`, `jhash ip6 daddr ${hashed}`, 'meta l4proto', 'th dport'],
    asked: [`jhash ip6 saddr ${hashed}`, `jhash ct original ip6 daddr ${hashed}`, 'meta l4proto', 'ct original proto-dst'],
  }
}

/** nft prints a connection's port only in rules that ask for its protocol. */
const protocols = ['tcp', 'udp', 'sctp'] as const
