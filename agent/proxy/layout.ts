// How services lie in nf_tables: one table per family with a constant number of rules. New
// connections to a service are found in one map, `services` (or `node-ports`, where the address is
// any of the node's own), whose verdict leads to a chain for the number N of endpoints; that picks a
// slot below N and translates to what `backends` holds for it. So a changed endpoint is a few
// elements, and N only counts chains, not services.
//
//   lb-3           three endpoints anywhere; what comes from outside the cluster is masqueraded
//   local-3        three endpoints on this node, which see the client's own address
//   ...-sticky-3   the slot follows from the client's address (session affinity ClientIP)
//   node-...       reached through a node port
//
// Nothing outside this table is touched, and nothing here accepts what others would drop.

import type { ChainSpec, RuleSpec, Selector, SetSpec, TableRef } from 'nft-js'
import {
  commented,
  contained,
  dnat,
  drop,
  goto,
  jump,
  lookup,
  masquerade,
  match,
  matchMasked,
  reject,
  rule,
  setMark,
  vmap,
} from 'nft-js/nftables/statement.ts'

export type ProxyFamily = 'ip' | 'ip6'

/** Of one family, as prefixes: all pods of the cluster, those of this node, and the services. */
export type Networks = { cluster: string; pods: string; services: string }

export type Layout = {
  family: ProxyFamily
  table: TableRef
  sets: Record<'services' | 'backends' | 'unreachable' | 'nodePorts' | 'nodeBackends' | 'unreachableNodePorts' | 'hairpins', SetSpec>
  /** The chains that are always there. */
  chains: readonly { chain: ChainSpec; rules: readonly RuleSpec[] }[]
  /** The rules of a balancing chain, by its name. */
  balancer: (name: string) => readonly RuleSpec[]
}

const balancerName = /^(node-)?(lb|local)(-sticky)?-(\d+)$/
export const isBalancer = (chain: string): boolean => balancerName.test(chain)

/** `mark` is the bit of the packet mark that says "masquerade this on its way out". */
export const layoutOf = (family: ProxyFamily, networks: Networks, mark: number): Layout => {
  const address = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const saddr: Selector = `${family} saddr`
  const daddr: Selector = `${family} daddr`
  const service: Selector[] = [daddr, 'meta l4proto', 'th dport']
  const nodePort: Selector[] = ['meta l4proto', 'th dport']
  const slot: Selector = 'numgen random mod 1'

  const sets: Layout['sets'] = {
    services: { name: 'services', key: [address, 'inet_proto', 'inet_service'], data: 'verdict' },
    backends: { name: 'backends', key: [...service, slot], data: [daddr, 'th dport'] },
    unreachable: { name: 'unreachable', key: [address, 'inet_proto', 'inet_service'], data: 'verdict' },
    nodePorts: { name: 'node-ports', key: ['inet_proto', 'inet_service'], data: 'verdict' },
    nodeBackends: { name: 'node-backends', key: [...nodePort, slot], data: [daddr, 'th dport'] },
    unreachableNodePorts: { name: 'unreachable-node-ports', key: ['inet_proto', 'inet_service'], data: 'verdict' },
    hairpins: { name: 'hairpins', key: [address, address] },
  }

  // Loopback addresses are local too, but what is sent to them cannot leave for a pod.
  const toThisNode = [...match('fib daddr type', 'local'), ...match(daddr, '!=', family === 'ip' ? '127.0.0.0/8' : '::1')]
  const outbound = masquerade('fully-random')
  const unassigned = [match(daddr, networks.services), match('ct state', 'new'), goto('reject-chain')]

  const chains: Layout['chains'] = [
    { chain: { name: 'reject-chain' }, rules: [rule(match('meta l4proto', 'tcp'), reject(family, 'tcp reset')), rule(reject(family))] },
    {
      chain: { name: 'refuse' },
      rules: [rule(vmap(service, sets.unreachable.name)), rule(toThisNode, vmap(nodePort, sets.unreachableNodePorts.name))],
    },
    {
      chain: { name: 'translate' },
      rules: [rule(vmap(service, sets.services.name)), rule(toThisNode, vmap(nodePort, sets.nodePorts.name))],
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
    {
      chain: { name: 'filter-forward', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } },
      rules: [
        // Out of its connection's window it would go out untranslated, and the client would reset the connection.
        commented('an answer that would not be translated', rule(match(saddr, networks.cluster), match('ct state', 'invalid'), drop)),
        commented('no such service', rule(...unassigned)),
      ],
    },
    {
      chain: { name: 'filter-output', base: { type: 'filter', hook: 'output', priority: 0, policy: 'accept' } },
      // The cluster's name server has its address of that range on the node itself.
      rules: [commented('no such service', rule(match('fib daddr type', '!=', 'local'), ...unassigned))],
    },
  ]

  const balancer = (name: string): RuleSpec[] => {
    const [, node, reach, sticky, count] = balancerName.exec(name) ?? []
    if (count === undefined) throw new TypeError(`no balancing chain: ${name}`)
    const pick: Selector = sticky ? `jhash ${saddr} mod ${Number(count)}` : `numgen random mod ${Number(count)}`
    const from = node ? lookup([...nodePort, pick], sets.nodeBackends.name) : lookup([...service, pick], sets.backends.name)
    const rules = [rule(dnat(family, from))]
    if (reach === 'lb') rules.unshift(rule(match(saddr, '!=', networks.cluster), setMark({ set: mark })))
    return rules
  }

  return { family, table: { family, name: 'coracle' }, sets, chains, balancer }
}
