// What a rule can look at, by nft's own names: where it comes from in the packet or its state and of
// which type it is.

import { type DatatypeName, datatypes } from './datatype.ts'
import type { CtKey, Expression } from './expression.ts'

/** Types that only rules know: bit sets, a packet's direction in its connection, and the kind of an address. */
export type SelectorType = DatatypeName | 'ct_state' | 'ct_status' | 'ct_dir' | 'fib_addrtype' | 'nf_proto'

type Source = {
  type: SelectorType
  /** The loading expression, but for its register. */
  load: Readonly<Record<string, unknown>>
  /** How nft notes the selector in a set declared with `typeof`: expression kind, then its fields (nft's include/expression.h, proto.h). */
  note?: readonly [kind: number, ...fields: number[]]
}

const payload = (type: DatatypeName, base: 'network' | 'transport', offset: number, length: number, note: [number, number]): Source => ({
  type,
  load: { name: 'payload', base, offset, length },
  note: [7, ...note],
})
const meta = (type: DatatypeName, key: 'mark' | 'iifname' | 'oifname' | 'l4proto', number: number): Source => ({
  type,
  load: { name: 'meta', key },
  note: [9, number],
})
/** Of the connection rather than of the packet. nft knows a port's type only where the rule has asked for `ct protocol`. */
const tuple = (type: DatatypeName, key: CtKey, direction: 'original' | 'reply'): Source => ({
  type,
  load: { name: 'ct', key, direction },
})

const sources = {
  'ip saddr': payload('ipv4_addr', 'network', 12, 4, [12, 11]),
  'ip daddr': payload('ipv4_addr', 'network', 16, 4, [12, 12]),
  'ip6 saddr': payload('ipv6_addr', 'network', 8, 16, [13, 8]),
  'ip6 daddr': payload('ipv6_addr', 'network', 24, 16, [13, 9]),
  'th sport': payload('inet_service', 'transport', 0, 2, [11, 1]),
  'th dport': payload('inet_service', 'transport', 2, 2, [11, 2]),
  'meta mark': meta('mark', 'mark', 3),
  iifname: meta('ifname', 'iifname', 6),
  oifname: meta('ifname', 'oifname', 7),
  'meta l4proto': meta('inet_proto', 'l4proto', 16),
  'meta nfproto': { type: 'nf_proto', load: { name: 'meta', key: 'nfproto' } },
  'ct state': { type: 'ct_state', load: { name: 'ct', key: 'state' } },
  'ct status': { type: 'ct_status', load: { name: 'ct', key: 'status' } },
  'ct direction': { type: 'ct_dir', load: { name: 'ct', key: 'direction' } },
  'ct protocol': { type: 'inet_proto', load: { name: 'ct', key: 'protocol' } },
  'ct original ip daddr': tuple('ipv4_addr', 'dst-ip', 'original'),
  'ct original ip6 daddr': tuple('ipv6_addr', 'dst-ip6', 'original'),
  'ct original proto-dst': tuple('inet_service', 'proto-dst', 'original'),
  'ct reply ip saddr': tuple('ipv4_addr', 'src-ip', 'reply'),
  'ct reply ip6 saddr': tuple('ipv6_addr', 'src-ip6', 'reply'),
  'ct reply proto-src': tuple('inet_service', 'proto-src', 'reply'),
  'fib saddr type': { type: 'fib_addrtype', load: { name: 'fib', result: 'type', flags: 1 } },
  'fib daddr type': { type: 'fib_addrtype', load: { name: 'fib', result: 'type', flags: 2 } },
} satisfies Record<string, Source>

/** `numgen` is another number each time, counted from `offset`; `jhash` the same for the same address, with a `seed` in every rule. */
export type Selector =
  | keyof typeof sources
  | `numgen random mod ${number}${'' | ` offset ${number}`}`
  | `jhash ${Address} mod ${number}${'' | ` seed 0x${string}`}`
type Address = 'ip saddr' | 'ip6 saddr' | 'ip6 daddr' | 'ct original ip6 daddr'

/** A field of a set: a type's name, or a selector, whose type it takes (the set is then declared with `typeof`). */
export type Field = DatatypeName | Selector

const random = /^numgen random mod (\d+)(?: offset (\d+))?$/
const hashed = /^jhash (ip6? [sd]addr|ct original ip6 daddr) mod (\d+)(?: seed 0x([\da-f]+))?$/

export const sourceOf = (selector: Selector): Source => {
  const fixed = sources[selector as keyof typeof sources] as Source | undefined
  if (fixed) return fixed
  const [, count, first = '0'] = random.exec(selector) ?? []
  const [modulus, offset] = [Number(count), Number(first)]
  if (modulus > 0) return { type: 'integer', load: { name: 'numgen', modulus, offset }, note: [23, 1, modulus, offset] }
  if (hashed.test(selector)) return { type: 'integer', load: { name: 'hash' } }
  throw new TypeError(`no such selector: ${selector}`)
}

/** The expressions that load a selector into the registers from `dreg` on. */
export const load = (selector: Selector, dreg: number): Expression[] => {
  const [, address, modulus, seed] = hashed.exec(selector) ?? []
  if (address === undefined) return [{ ...sourceOf(selector).load, dreg } as Expression]
  // The address itself goes into registers beyond those that any key of ours takes.
  const length = sourceOf(address as Address).type === 'ipv6_addr' ? 16 : 4
  const hash = { name: 'hash', sreg: hashRegister, length, modulus: Number(modulus), dreg } as const
  return [...load(address as Address, hashRegister), seed === undefined ? hash : { ...hash, seed: Number.parseInt(seed, 16) }]
}
const hashRegister = 12

export const numgenText = (modulus: number, offset: number): Selector =>
  offset > 0 ? `numgen random mod ${modulus} offset ${offset}` : `numgen random mod ${modulus}`

/** The selector that an expression loads, and its type; undefined if it is none of ours. */
export const selectorOf = (expression: Expression): { text: Selector; type: SelectorType } | undefined => {
  if (expression.name === 'numgen') return { text: numgenText(expression.modulus, expression.offset), type: 'integer' }
  for (const [text, source] of Object.entries(sources)) {
    if (Object.entries(source.load).every(([key, value]) => expression[key as keyof Expression] === value))
      return { text: text as Selector, type: source.type }
  }
  return undefined
}

export const isDatatype = (field: Field): field is DatatypeName => Object.hasOwn(datatypes, field)

export const typeOfField = (field: Field): DatatypeName => (isDatatype(field) ? field : (sourceOf(field).type as DatatypeName))
