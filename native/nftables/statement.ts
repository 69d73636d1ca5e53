// Rules as one reads them in nft: each of these functions is one statement and returns the kernel's
// expressions for it; `rule` puts them together. Where the network header is not known, in tables of the
// family `inet`, a rule asks for it first: `match('meta nfproto', 'ipv4')`.
//
//   rule(match('ip saddr', '!=', '10.42.0.0/16'), setBits('meta mark', 0x4000))
//   rule(dnat('ip', lookup(['ip daddr', 'meta l4proto', 'th dport', 'numgen random mod 3'], 'backends')))

import { type DatatypeName, datatypes, type Value, wordsOf, writeValue } from './datatype.ts'
import { type CompareOp, type Expression, natFlags } from './expression.ts'
import type { Family, Verdict } from './family.ts'
import type { Limit, ObjectKind, Quota } from './object.ts'
import { load, type Selector, type SelectorType, sourceOf } from './selector.ts'
import type { RuleSpec } from './table.ts'

type Statement = readonly Expression[]

export const rule = (...statements: readonly Statement[]): RuleSpec => ({ expressions: statements.flat() })
/** The same rule with a comment (at most 127 bytes), which nft shows. */
export const commented = (comment: string, spec: RuleSpec): RuleSpec => ({ ...spec, comment })

/** Constants that nft has names for: IP_CT_*, IPS_*, IP_CT_DIR_*, RTN_*, NFPROTO_*. */
export const named: Partial<Record<SelectorType, Record<string, number>>> = {
  ct_state: { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 },
  ct_status: { expected: 1, 'seen-reply': 2, assured: 4, confirmed: 8, snat: 16, dnat: 32, dying: 512 },
  ct_dir: { original: 0, reply: 1 },
  nf_proto: { ipv4: 2, ipv6: 10 },
  fib_addrtype: { unspec: 0, unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8 },
}

const isOp = (text: Value): text is CompareOp => typeof text === 'string' && /^(==|!=|<=?|>=?)$/.test(text)

/**
 * `match(selector, value)` or `match(selector, op, value)`. A value is text or a number of the
 * selector's type, a prefix (`10.0.0.0/8`), an interface name with `*` at its end, `@set`, or for
 * `ct state` and `ct status` names with commas, of which any may hold.
 */
export const match = (selector: Selector, ...test: readonly [Value] | readonly [CompareOp, Value]): Statement => {
  const [op, value] = test.length === 2 ? test : (['==', test[0]] as const)
  if (!isOp(op)) throw new TypeError(`no such comparison: ${String(op)}`)
  const { type } = sourceOf(selector)
  const [into, ...more] = load(selector, 0)
  if (!into || more.length > 0) throw new TypeError(`not to be compared: ${selector}`)
  const text = String(value)
  if (text.startsWith('@')) return [into, { name: 'lookup', set: text.slice(1), sreg: 0, ...(op === '!=' && { inverted: true }) }]
  if (type === 'ct_state' || type === 'ct_status') return [into, ...matchBits(type, op, text)]
  if (type === 'ct_dir' || type === 'nf_proto') return [into, { name: 'cmp', op, sreg: 0, data: Uint8Array.of(constant(type, text)) }]
  if (type === 'fib_addrtype') return [into, { name: 'cmp', op, sreg: 0, data: u32(constant(type, text)) }]
  if (type === 'ifname' && text.endsWith('*'))
    return [into, { name: 'cmp', op, sreg: 0, data: bytes(type, text.slice(0, -1), text.length - 1) }]
  const [, network, prefix] = /^(.+)\/(\d+)$/.exec(text) ?? []
  if (network === undefined) return [into, { name: 'cmp', op, sreg: 0, data: bytes(type, value) }]
  return matchPrefix(into, type, op, network, Number(prefix))
}

/** Holds if exactly these bits of the masked ones are set. */
export const matchMasked = (selector: 'meta mark', mask: number, value: number): Statement => [
  ...load(selector, 0),
  { name: 'bitwise', sreg: 0, dreg: 0, mask: u32(mask), xor: u32(0) },
  { name: 'cmp', op: '==', sreg: 0, data: u32(value) },
]

const matchBits = (type: 'ct_state' | 'ct_status', op: CompareOp, text: string): Statement => {
  const bits = text.split(',').reduce((sum, name) => sum | constant(type, name), 0)
  return [
    { name: 'bitwise', sreg: 0, dreg: 0, mask: u32(bits), xor: u32(0) },
    { name: 'cmp', op: op === '!=' ? '==' : '!=', sreg: 0, data: u32(0) },
  ]
}

const constant = (type: SelectorType, name: string): number => {
  const value = named[type]?.[name]
  if (value === undefined) throw new TypeError(`no such ${type}: ${name}`)
  return value
}

/** Prefixes of whole bytes load just those, as nft does. */
const matchPrefix = (load: Expression, type: DatatypeName, op: CompareOp, network: string, prefix: number): Statement => {
  const length = datatypes[type].bytes
  if (load.name !== 'payload' || prefix > length * 8) throw new TypeError(`no prefix here: ${network}/${prefix}`)
  const address = bytes(type, network)
  if (prefix % 8 === 0 && prefix > 0)
    return [
      { ...load, length: prefix / 8 },
      { name: 'cmp', op, sreg: load.dreg, data: address.subarray(0, prefix / 8) },
    ]
  const mask = new Uint8Array(length)
  for (let bit = 0; bit < prefix; bit++) mask[bit >> 3]! |= 0x80 >> (bit & 7)
  const data = address.map((byte, i) => byte & (mask[i] as number))
  return [
    load,
    { name: 'bitwise', sreg: load.dreg, dreg: load.dreg, mask, xor: new Uint8Array(length) },
    { name: 'cmp', op, sreg: load.dreg, data },
  ]
}

/** A concatenation of selectors as the key of a map. */
export type Lookup = { key: readonly Selector[]; map: string }
export const lookup = (key: readonly Selector[], map: string): Lookup => ({ key, map })

/** Loads selectors into consecutive registers, from `first` on. */
const loadKey = (key: readonly Selector[], first = 0): Expression[] => {
  let next = first
  const loads = key.flatMap((selector) => {
    const expressions = load(selector, next)
    next += wordsOfKey([selector])
    return expressions
  })
  if (next > 16) throw new RangeError('the key is longer than all registers')
  return loads
}

const wordsOfKey = (key: readonly Selector[]): number =>
  key.reduce((sum, selector) => {
    const { type } = sourceOf(selector)
    return sum + (type in datatypes ? wordsOf(datatypes[type as DatatypeName].bytes) : 1)
  }, 0)

/** Goes where the map says, on if it says nothing. */
export const vmap = (key: readonly Selector[], map: string): Statement => [
  ...loadKey(key),
  { name: 'lookup', set: map, sreg: 0, dreg: 'verdict' },
]

/** Holds if the set has the concatenation. */
export const contained = (key: readonly Selector[], set: string): Statement => [...loadKey(key), { name: 'lookup', set, sreg: 0 }]
/** Holds if it does not. */
export const missing = (key: readonly Selector[], set: string): Statement => [
  ...loadKey(key),
  { name: 'lookup', set, sreg: 0, inverted: true },
]

/** Rewrites the destination to what the map (address . port) says, or one map of addresses and one of ports; goes on if it says nothing. */
export const dnat = (family: 'ip' | 'ip6', to: Lookup, ports?: Lookup): Statement => {
  const port = family === 'ip' ? 1 : 4
  return [
    ...loadKey(to.key),
    { name: 'lookup', set: to.map, sreg: 0, dreg: 0 },
    ...(ports ? [...loadKey(ports.key, port), { name: 'lookup', set: ports.map, sreg: port, dreg: port } as const] : []),
    { name: 'nat', type: 'dnat', family, address: 0, port, flags: 0 },
  ]
}

/** Notes the key in a dynamic set, in a map with its data, or if it is there starts its timeout anew (the data stays). */
export const update = (set: string, key: readonly Selector[], timeoutMs?: number, data?: readonly Selector[]): Statement => {
  const at = wordsOfKey(key)
  return [
    ...loadKey(key),
    ...(data ? loadKey(data, at) : []),
    { name: 'dynset', op: 'update', set, key: 0, ...(data && { data: at }), ...(timeoutMs && { timeoutMs }) },
  ]
}

export const masquerade = (...flags: (keyof typeof natFlags)[]): Statement => [
  { name: 'masq', flags: flags.reduce((sum, flag) => sum | natFlags[flag], 0) },
]

/** `tcp reset` answers TCP only; the other is ICMP port unreachable, of the table's family or (`inet`) of the packet's. */
export const reject = (family: Family, how: 'tcp reset' | 'port-unreachable' = 'port-unreachable'): Statement => [
  how === 'tcp reset'
    ? { name: 'reject', type: 'tcp reset', code: 0 }
    : family === 'inet'
      ? { name: 'reject', type: 'icmpx', code: 1 }
      : { name: 'reject', type: 'icmp unreachable', code: family === 'ip' ? 3 : 4 },
]

/** Sets these bits of the packet's mark, clears others, leaves the rest. */
export const setMark = (bits: { set?: number; clear?: number }): Statement => {
  const { set = 0, clear = 0 } = bits
  return [
    { name: 'meta', key: 'mark', dreg: 0 },
    { name: 'bitwise', sreg: 0, dreg: 0, mask: u32(~(set | clear) >>> 0), xor: u32(set) },
    { name: 'meta set', key: 'mark', sreg: 0 },
  ]
}

export const counter = (): Statement => [{ name: 'counter', packets: 0n, bytes: 0n }]

/** Holds while packets come no faster (with `over`: for those that come faster). */
export const limit = (limit: Limit): Statement => [{ name: 'limit', ...limit }]
export const quota = (quota: Quota): Statement => [{ name: 'quota', ...quota }]
/** Lets an object of the table act: count, limit, or set the connection's helper or timeouts. */
export const object = (kind: ObjectKind, name: string): Statement => [{ name: 'objref', kind, object: name }]
/** The rest of the packet's flow takes the flowtable's path; in a forward chain, for connections that stand. */
export const flowAdd = (flowtable: string): Statement => [{ name: 'flow offload', flowtable }]
export const notrack: Statement = [{ name: 'notrack' }]

export const verdict = (verdict: Verdict): Statement => [{ name: 'verdict', verdict }]
export const drop = verdict('drop')
export const leave = verdict('return')
export const jump = (chain: string): Statement => verdict(`jump ${chain}`)
export const goto = (chain: string): Statement => verdict(`goto ${chain}`)

const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value >>> 0]).buffer)

const bytes = (type: DatatypeName, value: Value, length: number = datatypes[type].bytes): Uint8Array => {
  const words = new Uint32Array(wordsOf(datatypes[type].bytes))
  writeValue(type, value, words, 0)
  return new Uint8Array(words.buffer).slice(0, length)
}
