// A rule in nft's own syntax, found again from its expressions by following the registers. What this
// code does not know prints as a comment in brackets.

import { type DatatypeName, datatypes, formatValue, wordsOf } from './datatype.ts'
import { duration, shapeOf } from './elements.ts'
import { describe, type Expression, natFlags } from './expression.ts'
import type { Family } from './family.ts'
import { limitText, quotaText } from './object.ts'
import { numgenText, type SelectorType, selectorOf, sourceOf } from './selector.ts'
import { type Sets } from './set.ts'
import { named } from './statement.ts'
import type { RuleSpec } from './table.ts'

/** What a register holds: the text that loads it, and how its constants are written. */
type Held = { text: string; type: SelectorType /** Of a prefix: the bytes loaded. */; bytes?: number; mask?: Uint8Array; xor?: Uint8Array }

export const ruleText = (rule: RuleSpec, family: Family, sets: Sets): string => {
  const held = new Map<number, Held>()
  const parts: string[] = []
  for (const e of rule.expressions) {
    const text = statementText(e, held, family, sets)
    if (text === undefined) continue
    // nft leaves out the test that its own answer implies.
    if (text === 'reject with tcp reset' && parts.at(-1) === 'meta l4proto tcp') parts.pop()
    if (implied[parts.at(-1) ?? '']?.test(text)) parts.pop()
    parts.push(text)
  }
  if (rule.comment !== undefined) parts.push(`comment "${rule.comment}"`)
  return parts.join(' ')
}

/** And the one that the header itself implies. */
const implied: Record<string, RegExp> = { 'meta nfproto ipv4': /^ip /, 'meta nfproto ipv6': /^ip6 / }

const statementText = (e: Expression, held: Map<number, Held>, family: Family, sets: Sets): string | undefined => {
  const unknown = `[ ${describe(e)} ]`
  switch (e.name) {
    case 'payload':
    case 'meta':
    case 'ct':
    case 'fib':
    case 'numgen': {
      const whole = selectorOf(e) ?? (e.name === 'payload' ? wholeOf(e) : undefined)
      if (!whole) return unknown
      held.set(e.dreg, { ...whole, ...(e.name === 'payload' && { bytes: e.length }) })
      return undefined
    }
    case 'hash': {
      const source = held.get(e.sreg)
      if (!source) return unknown
      const seed = e.seed === undefined ? '' : ` seed 0x${e.seed.toString(16)}`
      held.set(e.dreg, { text: `jhash ${source.text} mod ${e.modulus}${seed}`, type: 'integer' })
      return undefined
    }
    case 'bitwise': {
      const source = held.get(e.sreg)
      if (!source || source.mask) return unknown
      held.set(e.dreg, { ...source, mask: e.mask, xor: e.xor })
      return undefined
    }
    case 'cmp': {
      const source = held.get(e.sreg)
      return source && e.data.length <= lengthOf(source.type) ? comparison(source, e.op, e.data) : unknown
    }
    case 'lookup': {
      const spec = sets.get(e.set)
      const key = spec && concatenation(held, e.sreg, shapeOf(spec).key)
      if (!spec || key === undefined) return unknown
      if (e.dreg === undefined) return `${key} ${e.inverted ? '!= ' : ''}@${e.set}`
      if (e.dreg === 'verdict') return `${key} vmap @${e.set}`
      const [first, ...rest] = shapeOf(spec).data
      for (const { at } of rest) held.delete(e.dreg + at)
      held.set(e.dreg, { text: `${key} map @${e.set}`, type: first?.type ?? 'integer' })
      return undefined
    }
    case 'verdict':
      return e.verdict
    case 'counter':
      return `counter packets ${e.packets} bytes ${e.bytes}`
    case 'meta set': {
      const source = held.get(e.sreg)
      return source ? `meta ${e.key} set ${source.text}${changedBits(source)}` : unknown
    }
    case 'nat': {
      const to = held.get(e.address ?? -1)
      if (!to) return unknown
      const port = held.get(e.port ?? -1)
      if (port) return `${e.type} to ${to.text}:${port.text}${flagText(e.flags)}`
      return `${e.type} ${e.port === undefined ? '' : `${e.family} `}to ${to.text}${flagText(e.flags)}`
    }
    case 'masq':
      return `masquerade${flagText(e.flags)}`
    case 'redir':
      return e.port === undefined ? `redirect${flagText(e.flags)}` : unknown
    case 'reject':
      return rejectText(e, family)
    case 'dynset': {
      const spec = sets.get(e.set)
      const key = spec && concatenation(held, e.key, shapeOf(spec).key)
      const data = e.data === undefined ? '' : spec && concatenation(held, e.data, shapeOf(spec).data)
      if (key === undefined || data === undefined) return unknown
      return `${e.op} @${e.set} { ${key}${e.timeoutMs ? ` timeout ${duration(e.timeoutMs)}` : ''}${data && ` : ${data}`} }`
    }
    case 'notrack':
      return 'notrack'
    case 'limit':
      return `limit ${limitText(e)}`
    case 'quota':
      return `quota ${quotaText(e)}`
    case 'objref':
      return e.kind === 'ct helper' || e.kind === 'ct timeout' ? `${e.kind} set "${e.object}"` : `${e.kind} name "${e.object}"`
    case 'flow offload':
      return `flow add @${e.flowtable}`
    case 'other':
      // nft has one before lookups in intervals of concatenations, where what is loaded is in network order already.
      return e.kind === 'byteorder' ? undefined : unknown
    default:
      return unknown
  }
}

/** The selector of which this load takes the first bytes only. */
const wholeOf = (e: Extract<Expression, { name: 'payload' }>) => selectorOf({ ...e, length: 4 }) ?? selectorOf({ ...e, length: 16 })

const concatenation = (held: Map<number, Held>, at: number, fields: readonly { at: number }[]): string | undefined => {
  const texts = fields.map((field) => held.get(at + field.at)?.text)
  return texts.includes(undefined) ? undefined : texts.join(' . ')
}

const flagText = (flags: number): string =>
  Object.entries(natFlags)
    .filter(([, bit]) => flags & bit)
    .map(([name]) => ` ${name}`)
    .join('')

const number = (bytes: Uint8Array): number => {
  const word = new Uint32Array(1)
  new Uint8Array(word.buffer).set(bytes.subarray(0, 4))
  return word[0] as number
}
const mark = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, '0')}`

const changedBits = ({ mask, xor }: Held): string => {
  if (!mask || !xor) return ''
  const kept = number(mask)
  const flipped = number(xor)
  if (kept === ~flipped >>> 0) return ` | ${mark(flipped)}`
  if (kept === 0xffffffff) return ` ^ ${mark(flipped)}`
  return flipped === 0 ? ` & ${mark(kept)}` : ` & ${mark(kept)} ^ ${mark(flipped)}`
}

const comparison = (source: Held, op: string, data: Uint8Array): string => {
  const relation = op === '==' ? ' ' : ` ${op} `
  const names = named[source.type]
  if (names) {
    const value = number(source.mask ?? data)
    const tested = Object.entries(names)
      .filter(([, bit]) => (source.mask ? (value & bit) !== 0 : value === bit))
      .map(([name]) => name)
    // Of a mask, "any bit" is nft's plain match.
    const plain = source.mask ? (op === '!=' ? ' ' : ' ! ') : relation
    return `${source.text}${plain}${tested.join(',')}`
  }
  const type = source.type as DatatypeName
  const { bytes } = datatypes[type]
  if (type === 'ifname') {
    const name = new TextDecoder().decode(data).replace(/\0.*$/s, '')
    return `${source.text}${relation}"${name}${data.length < bytes ? '*' : ''}"`
  }
  const words = new Uint32Array(wordsOf(bytes))
  new Uint8Array(words.buffer).set(data)
  const value = formatValue(type, words, 0)
  if (type === 'mark' && source.mask) return `${source.text} & ${mark(number(source.mask))} ${op} ${value}`
  const prefix = source.mask ? bits(source.mask) : data.length * 8
  return `${source.text}${relation}${value}${prefix < bytes * 8 ? `/${prefix}` : ''}`
}

/** Bytes that a constant of this type has at most. */
const lengthOf = (type: SelectorType): number => (type in datatypes ? datatypes[type as DatatypeName].bytes : 4)

const bits = (mask: Uint8Array): number => mask.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)

const icmpCodes: Record<'ip' | 'ip6', Record<number, string>> = {
  ip: {
    0: 'net-unreachable',
    1: 'host-unreachable',
    2: 'prot-unreachable',
    9: 'net-prohibited',
    10: 'host-prohibited',
    13: 'admin-prohibited',
  },
  ip6: { 0: 'no-route', 1: 'admin-prohibited', 3: 'addr-unreachable', 5: 'policy-fail', 6: 'reject-route' },
}

const rejectText = (e: Extract<Expression, { name: 'reject' }>, family: Family): string => {
  if (e.type === 'tcp reset') return 'reject with tcp reset'
  if (e.type === 'icmpx') return e.code === 1 ? 'reject' : `reject with icmpx ${e.code}`
  const version = family === 'ip6' ? 'ip6' : 'ip'
  // Port unreachable is what nft means by a bare `reject`.
  const code = icmpCodes[version][e.code]
  return code === undefined ? 'reject' : `reject with icmp${version === 'ip6' ? 'v6' : ''} ${code}`
}

/** The note that nft keeps with a set declared by `typeof`, to print it so again. */
export const typeofText = (kind: number, fields: readonly number[]): string | undefined => {
  if (kind === 23) return (fields[1] ?? 0) > 0 ? numgenText(fields[1] as number, fields[2] ?? 0) : undefined
  for (const selector of [
    'ip saddr',
    'ip daddr',
    'ip6 saddr',
    'ip6 daddr',
    'th sport',
    'th dport',
    'meta mark',
    'iifname',
    'oifname',
    'meta l4proto',
  ] as const) {
    const note = sourceOf(selector).note
    if (note && note[0] === kind && note.slice(1).every((field, i) => field === fields[i])) return selector
  }
  return undefined
}
