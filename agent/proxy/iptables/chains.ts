// How services lie in iptables, for kernels without nf_tables: one rule for each frontend in a list, and a
// chain for each that picks an endpoint. The list grows with the services; nothing else can be had there.
//
//   nat     CORACLE-SERVICES     address, protocol, port → CORACLE-SVC-…; then node ports
//           CORACLE-SVC-…        an endpoint by chance (traffic policy Local: CORACLE-INS-… for who is inside);
//                                CORACLE-SEP-… notes who went there, where clients keep their endpoint
//           CORACLE-POSTROUTING  what is masqueraded
//   mangle  CORACLE-GUARD        what is dropped before translation: sources that are not let in, traffic
//                                policy Local without endpoints here
//   filter  CORACLE-FORWARD, CORACLE-INPUT, CORACLE-OUTPUT    what is refused
//
// Rules are written as `iptables-save` prints them, so that what is there can be compared. Nothing here
// accepts what others would drop.

import { createHash } from 'node:crypto'
import type { Backend } from '../endpoints.ts'
import type { Networks, ProxyFamily } from '../family.ts'
import type { Frontend } from '../frontends.ts'

export type TableName = 'nat' | 'mangle' | 'filter'
/** `frontend`: whose rule it is, if the kernel refuses it. */
export type Rule = { text: string; frontend?: Frontend }
/** By table, then by chain of ours. */
export type Chains = Record<TableName, Map<string, Rule[]>>

/** What leads into our chains, first in the chains of the kernel. */
export const hooks: Record<TableName, readonly { chain: string; rule: string }[]> = {
  nat: [
    { chain: 'PREROUTING', rule: '-j CORACLE-SERVICES' },
    { chain: 'OUTPUT', rule: '-j CORACLE-SERVICES' },
    { chain: 'POSTROUTING', rule: '-j CORACLE-POSTROUTING' },
  ],
  mangle: ['PREROUTING', 'OUTPUT'].map((chain) => ({ chain, rule: '-m conntrack --ctstate NEW -j CORACLE-GUARD' })),
  filter: ['FORWARD', 'INPUT', 'OUTPUT'].map((chain) => ({ chain, rule: `-j CORACLE-${chain}` })),
}

export type ChainsOptions = {
  mark: number
  /** As prefixes; absent: all but loopback. */
  nodePortAddresses?: readonly string[] | undefined
}

/** A chain has at most 28 characters. */
const hash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16)

export const chainsOf = (
  family: ProxyFamily,
  networks: Networks,
  frontends: Iterable<Frontend>,
  { mark, nodePortAddresses }: ChainsOptions,
): Chains => {
  const chains: Chains = { nat: new Map(), mangle: new Map(), filter: new Map() }
  const add = (table: TableName, chain: string, text: string, frontend?: Frontend) => {
    const rule = { text, ...(frontend && { frontend }) }
    const rules = chains[table].get(chain)
    if (rules) rules.push(rule)
    else chains[table].set(chain, [rule])
  }
  const host = family === 'ip' ? 32 : 128
  const { cluster, pods, services } = networks
  const hex = `0x${mark.toString(16)}`
  const masquerade = '-j MASQUERADE --random-fully'
  const markIt = `-j MARK --set-xmark ${hex}/${hex}`
  const isNew = '-m conntrack --ctstate NEW'
  const toThisNode = (nodePortAddresses?.map((prefix) => `-d ${prefix}`) ?? [family === 'ip' ? '! -d 127.0.0.0/8' : '! -d ::1/128']).map(
    (which) => `${which} -m addrtype --dst-type LOCAL`,
  )
  const local = new Set<string>()

  for (const table of ['nat', 'mangle', 'filter'] as const) for (const chain of constant[table]) chains[table].set(chain, [])

  for (const frontend of frontends) {
    const { key, address, protocol, port, backends, split, refusal, sources } = frontend
    const where = `${address === undefined ? '' : `-d ${address}/${host} `}-p ${protocol} -m ${protocol} --dport ${port}`
    const id = hash(`${family} ${key}`)
    for (const backend of backends) if (backend.local) local.add(backend.address)

    if (sources) {
      add('mangle', 'CORACLE-GUARD', `${where} -j CORACLE-SRC-${id}`, frontend)
      for (const source of sources) add('mangle', `CORACLE-SRC-${id}`, `-s ${prefixed(source, host)} -j RETURN`, frontend)
      add('mangle', `CORACLE-SRC-${id}`, '-j DROP', frontend)
    }
    if (backends.length === 0 || split?.outside === 0) {
      const verdict = { 'goto reject-chain': 'CORACLE-REJECT', 'goto only-inside': 'CORACLE-INSIDE', drop: 'DROP' }[refusal]
      if (address === undefined) add('filter', 'CORACLE-REFUSE-NODE', `${where} -j ${verdict}`, frontend)
      else if (refusal === 'goto reject-chain') add('filter', 'CORACLE-REFUSE', `${where} -j ${verdict}`, frontend)
      else add('mangle', 'CORACLE-GUARD', `${where} -j ${verdict}`, frontend)
    }
    if (backends.length === 0) continue

    const chain = `CORACLE-SVC-${id}`
    add('nat', address === undefined ? 'CORACLE-NODEPORTS' : 'CORACLE-SERVICES', `${where} -j ${chain}`, frontend)
    const pick = (into: string, among: readonly Backend[]) => {
      const destination = ({ address: to, port: number }: Backend) =>
        `-p ${protocol} -j DNAT --to-destination ${family === 'ip' ? to : `[${to}]`}:${number}`
      const targets = among.map((backend) => {
        if (frontend.affinitySeconds === undefined) return { jump: destination(backend), again: undefined }
        const name = `CORACLE-${hash(`${family} ${key} ${backend.address} ${backend.port}`)}`
        const sep = name.replace('CORACLE-', 'CORACLE-SEP-')
        const list = `--name ${name} --mask ${family === 'ip' ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'} --rsource`
        const [, to = ''] = destination(backend).split(' -j ')
        chains.nat.set(sep, [{ text: `-p ${protocol} -m recent --set ${list} -j ${to}`, frontend }])
        return { jump: `-j ${sep}`, again: `-m recent --rcheck --seconds ${frontend.affinitySeconds} --reap ${list} -j ${sep}` }
      })
      for (const { again } of targets) if (again !== undefined) add('nat', into, again, frontend)
      targets.forEach(({ jump }, i) => {
        const rest = targets.length - i
        add('nat', into, rest === 1 ? jump : jump.replace(/(?=-j )/, `${byChance(rest)} `), frontend)
      })
    }
    if (!split) {
      add('nat', chain, `! -s ${cluster} ${markIt}`, frontend)
      pick(chain, backends)
      continue
    }
    const inside = `CORACLE-INS-${id}`
    add('nat', chain, `! -s ${cluster} -m addrtype --src-type LOCAL ${markIt}`, frontend)
    for (const who of [`-s ${cluster}`, '-m addrtype --src-type LOCAL']) add('nat', chain, `${who} -j ${inside}`, frontend)
    chains.nat.set(inside, [])
    pick(inside, backends.slice(split.inside))
    pick(chain, backends.slice(0, split.outside))
  }

  for (const node of toThisNode) add('nat', 'CORACLE-SERVICES', `${node} -j CORACLE-NODEPORTS`)
  add('nat', 'CORACLE-POSTROUTING', `-m mark --mark ${hex}/${hex} -j CORACLE-MASQUERADE`)
  add('nat', 'CORACLE-POSTROUTING', `-s ${pods} -m conntrack --ctstate DNAT -j CORACLE-HAIRPINS`)
  add('nat', 'CORACLE-POSTROUTING', `-s ${pods} -j CORACLE-LEAVE`)
  add('nat', 'CORACLE-MASQUERADE', `-j MARK --set-xmark 0x0/${hex}`)
  add('nat', 'CORACLE-MASQUERADE', masquerade)
  for (const address of local) add('nat', 'CORACLE-HAIRPINS', `-s ${address}/${host} -d ${address}/${host} ${masquerade}`)
  for (const there of [cluster, family === 'ip' ? '224.0.0.0/4' : 'ff00::/8']) add('nat', 'CORACLE-LEAVE', `-d ${there} -j RETURN`)
  add('nat', 'CORACLE-LEAVE', masquerade)

  for (const table of ['mangle', 'filter'] as const) {
    for (const who of [`-s ${cluster}`, '-m addrtype --src-type LOCAL']) add(table, 'CORACLE-INSIDE', `${who} -j RETURN`)
    add(table, 'CORACLE-INSIDE', '-j DROP')
  }
  add('filter', 'CORACLE-REJECT', '-p tcp -j REJECT --reject-with tcp-reset')
  add('filter', 'CORACLE-REJECT', `-j REJECT --reject-with ${family === 'ip' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable'}`)
  for (const chain of ['FORWARD', 'INPUT', 'OUTPUT']) add('filter', `CORACLE-${chain}`, `${isNew} -j CORACLE-REFUSE`)
  for (const node of toThisNode) add('filter', 'CORACLE-INPUT', `${node} ${isNew} -j CORACLE-REFUSE-NODE`)
  // Out of its connection's window it would go out untranslated, and the client would reset the connection.
  add('filter', 'CORACLE-FORWARD', `-s ${cluster} -m conntrack --ctstate INVALID -j DROP`)
  add('filter', 'CORACLE-FORWARD', `-d ${services} ${isNew} -j CORACLE-REJECT`)
  // The cluster's name server has its address of that range on the node itself.
  add('filter', 'CORACLE-OUTPUT', `-d ${services} -m addrtype ! --dst-type LOCAL ${isNew} -j CORACLE-REJECT`)
  return chains
}

/** Chains that others lead to, whether or not a rule is in them. */
const constant: Record<TableName, readonly string[]> = {
  nat: ['CORACLE-SERVICES', 'CORACLE-NODEPORTS', 'CORACLE-POSTROUTING', 'CORACLE-MASQUERADE', 'CORACLE-HAIRPINS', 'CORACLE-LEAVE'],
  mangle: ['CORACLE-GUARD', 'CORACLE-INSIDE'],
  filter: ['FORWARD', 'INPUT', 'OUTPUT', 'REFUSE', 'REFUSE-NODE', 'INSIDE', 'REJECT'].map((name) => `CORACLE-${name}`),
}

/** One of so many, as the kernel counts: in parts of 2^31. */
const byChance = (one: number): string =>
  `-m statistic --mode random --probability ${(Math.round(0x8000_0000 / one) / 0x8000_0000).toFixed(11)}`

const prefixed = (prefix: string, host: number): string => (prefix.includes('/') ? prefix : `${prefix}/${host}`)
