// Expressions to and from netlink attributes.

import type { AttributeReader, MessageWriter } from '../netlink/message.ts'
import { type CompareOp, compareOps, ctKeys, type Expression, metaKeys, registerNumber, registerWord, rejectTypes } from './expression.ts'
import type { Verdict } from './family.ts'
import { limitOf, objectKind, objectTypes, writeLimit, writeQuota } from './object-codec.ts'

// NFTA_DATA_*, NFTA_VERDICT_*
const DATA = { VALUE: 1, VERDICT: 2 }
const VERDICT = { CODE: 1, CHAIN: 2 }
/** NF_DROP, NF_ACCEPT and the codes of enum nft_verdicts. */
const codes = { drop: 0, accept: 1, continue: -1, jump: -3, goto: -4, return: -5 }
const bases = ['link', 'network', 'transport'] as const
const fibResults = ['', 'oif', 'oifname', 'type'] as const
const dynsetOps = ['add', 'update', 'delete'] as const
const families = { ip: 2, ip6: 10 }
/** NF_NAT_RANGE_MAP_IPS and PROTO_SPECIFIED, which the kernel sets itself and shows. */
const derivedNatFlags = 3

/** Writes NFTA_VERDICT_* into a data attribute of this type. */
export const writeVerdict = (w: MessageWriter, type: number, verdict: Verdict): void => {
  const [word, chain] = verdict.split(' ') as [keyof typeof codes, string?]
  const data = w.nest(type)
  const inner = w.nest(DATA.VERDICT)
  w.attrU32be(VERDICT.CODE, codes[word] >>> 0)
  if (chain !== undefined) w.attrString(VERDICT.CHAIN, chain)
  w.unnest(inner)
  w.unnest(data)
}

/** Reads what a data attribute nests: bytes, or a verdict. */
export const readData = (data: AttributeReader): { bytes?: Uint8Array; verdict?: Verdict } => {
  while (data.next()) {
    if (data.type === DATA.VALUE) return { bytes: data.bytes() }
    if (data.type !== DATA.VERDICT) continue
    let code = 0
    let chain = ''
    const verdict = data.nested()
    while (verdict.next()) {
      if (verdict.type === VERDICT.CODE) code = verdict.u32be() | 0
      if (verdict.type === VERDICT.CHAIN) chain = verdict.string()
    }
    const word = Object.entries(codes).find(([, value]) => value === code)?.[0] ?? 'continue'
    return { verdict: (chain ? `${word} ${chain}` : word) as Verdict }
  }
  return {}
}

/** The number that a set was given in the same transaction. */
export type SetId = (set: string) => number | undefined

export const writeExpressions = (w: MessageWriter, type: number, expressions: readonly Expression[], setId: SetId): void => {
  const list = w.nest(type)
  for (const e of expressions) {
    const element = w.nest(1)
    w.attrString(1, kernelName(e))
    const data = w.nest(2)
    if (e.name === 'other') w.raw(e.bytes)
    else writeFields(w, e, setId)
    w.unnest(data)
    w.unnest(element)
  }
  w.unnest(list)
}

const kernelName = (e: Expression): string => {
  if (e.name === 'verdict') return 'immediate'
  if (e.name === 'meta set') return 'meta'
  if (e.name === 'flow offload') return 'flow_offload'
  return e.name === 'other' ? e.kind : e.name
}

const writeFields = (w: MessageWriter, e: Exclude<Expression, { name: 'other' }>, setId: SetId): void => {
  const u32 = (type: number, value: number) => w.attrU32be(type, value)
  const register = (type: number, word: number | undefined) => word !== undefined && u32(type, registerNumber(word))
  const id = (type: number, set: string) => {
    const number = setId(set)
    if (number !== undefined) u32(type, number)
  }
  const value = (type: number, bytes: Uint8Array) => {
    const data = w.nest(type)
    w.attrBytes(DATA.VALUE, bytes)
    w.unnest(data)
  }
  switch (e.name) {
    case 'payload':
      register(1, e.dreg)
      u32(2, bases.indexOf(e.base))
      u32(3, e.offset)
      u32(4, e.length)
      return
    case 'meta':
      u32(2, metaKeys.indexOf(e.key))
      register(1, e.dreg)
      return
    case 'meta set':
      u32(2, metaKeys.indexOf(e.key))
      register(3, e.sreg)
      return
    case 'ct':
      u32(2, ctKeys.indexOf(e.key))
      register(1, e.dreg)
      if (e.direction) w.attrU8(3, e.direction === 'original' ? 0 : 1)
      return
    case 'fib':
      u32(3, e.flags)
      u32(2, fibResults.indexOf(e.result))
      register(1, e.dreg)
      return
    case 'numgen':
      register(1, e.dreg)
      u32(2, e.modulus)
      u32(3, 1)
      u32(4, e.offset)
      return
    case 'hash':
      register(1, e.sreg)
      register(2, e.dreg)
      u32(3, e.length)
      u32(4, e.modulus)
      if (e.seed !== undefined) u32(5, e.seed)
      u32(7, 0)
      return
    case 'bitwise':
      register(1, e.sreg)
      register(2, e.dreg)
      u32(3, e.mask.length)
      value(4, e.mask)
      value(5, e.xor)
      return
    case 'cmp':
      register(1, e.sreg)
      u32(2, compareOps.indexOf(e.op))
      value(3, e.data)
      return
    case 'lookup':
      register(2, e.sreg)
      if (e.dreg === 'verdict') u32(3, 0)
      else register(3, e.dreg)
      w.attrString(1, e.set)
      id(4, e.set)
      if (e.inverted) u32(5, 1)
      return
    case 'immediate':
      register(1, e.dreg)
      value(2, e.data)
      return
    case 'verdict':
      u32(1, 0)
      writeVerdict(w, 2, e.verdict)
      return
    case 'counter':
      if (e.bytes) w.attrU64be(1, e.bytes)
      if (e.packets) w.attrU64be(2, e.packets)
      return
    case 'nat':
      u32(1, e.type === 'snat' ? 0 : 1)
      u32(2, families[e.family])
      register(3, e.address)
      register(5, e.port)
      if (e.flags) u32(7, e.flags)
      return
    case 'masq':
      if (e.flags) u32(1, e.flags)
      return
    case 'redir':
      register(1, e.port)
      if (e.flags) u32(3, e.flags)
      return
    case 'reject':
      u32(1, rejectTypes.indexOf(e.type))
      w.attrU8(2, e.code)
      return
    case 'dynset':
      register(4, e.key)
      register(5, e.data)
      u32(3, dynsetOps.indexOf(e.op))
      if (e.timeoutMs) w.attrU64be(6, BigInt(e.timeoutMs))
      w.attrString(1, e.set)
      id(2, e.set)
      return
    case 'limit':
      writeLimit(w, e)
      return
    case 'quota':
      writeQuota(w, e)
      return
    case 'objref':
      u32(1, objectTypes[e.kind])
      // Without a closing NUL, as nft has it.
      w.attrBytes(2, new TextEncoder().encode(e.object))
      return
    case 'flow offload':
      w.attrString(1, e.flowtable)
      return
    case 'notrack':
      return
  }
}

export const readExpressions = (list: AttributeReader): Expression[] => {
  const expressions: Expression[] = []
  while (list.next()) {
    let kind = ''
    let bytes: Uint8Array = new Uint8Array()
    let fields = new Map<number, Field>()
    const element = list.nested()
    while (element.next()) {
      if (element.type === 1) kind = element.string()
      if (element.type === 2) {
        bytes = element.bytes()
        fields = readFields(element.nested())
      }
    }
    expressions.push(decode(kind, fields) ?? { name: 'other', kind, bytes: bytes.slice() })
  }
  return expressions
}

/** An attribute as whatever its expression takes it for. */
type Field = { number: number; text: string; data: () => ReturnType<typeof readData> }

const readFields = (attrs: AttributeReader): Map<number, Field> => {
  const fields = new Map<number, Field>()
  while (attrs.next()) {
    const { length } = attrs
    const number = length === 1 ? attrs.u8() : length === 8 ? Number(attrs.u64be()) : length >= 4 ? attrs.u32be() : 0
    const nested = attrs.nested()
    fields.set(attrs.type, { number, text: attrs.string(), data: () => readData(nested) })
  }
  return fields
}

const decode = (kind: string, f: Map<number, Field>): Expression | undefined => {
  const number = (type: number) => f.get(type)?.number ?? 0
  const register = (type: number) => (f.has(type) ? registerWord(number(type)) : undefined)
  const dreg = register(1) ?? 0
  const value = (type: number) => f.get(type)?.data().bytes?.slice() ?? new Uint8Array()
  switch (kind) {
    case 'payload': {
      const base = bases[number(2)]
      return f.has(1) && base ? { name: 'payload', base, offset: number(3), length: number(4), dreg } : undefined
    }
    case 'meta': {
      const key = metaKeys[number(2)]
      if (!key) return undefined
      return f.has(3) ? { name: 'meta set', key, sreg: register(3) ?? 0 } : { name: 'meta', key, dreg }
    }
    case 'ct': {
      const key = ctKeys[number(2)]
      if (!key || !f.has(1)) return undefined
      return { name: 'ct', key, dreg, ...(f.has(3) && { direction: number(3) === 0 ? 'original' : 'reply' }) }
    }
    case 'fib': {
      const result = fibResults[number(2)]
      return result ? { name: 'fib', result, flags: number(3), dreg } : undefined
    }
    case 'numgen':
      return number(3) === 1 ? { name: 'numgen', modulus: number(2), offset: number(4), dreg } : undefined
    case 'hash':
      if (number(7) !== 0 || number(6) !== 0) return undefined
      return {
        name: 'hash',
        sreg: dreg,
        dreg: register(2) ?? 0,
        length: number(3),
        modulus: number(4),
        ...(f.has(5) && { seed: number(5) }),
      }
    case 'bitwise':
      return number(6) === 0 ? { name: 'bitwise', sreg: dreg, dreg: register(2) ?? 0, mask: value(4), xor: value(5) } : undefined
    case 'cmp':
      return { name: 'cmp', op: compareOps[number(2)] as CompareOp, sreg: dreg, data: value(3) }
    case 'lookup': {
      const target = f.has(3) ? { dreg: number(3) === 0 ? ('verdict' as const) : (register(3) ?? 0) } : {}
      return { name: 'lookup', set: f.get(1)?.text ?? '', sreg: register(2) ?? 0, ...target, ...(number(5) & 1 && { inverted: true }) }
    }
    case 'immediate': {
      const { verdict, bytes } = f.get(2)?.data() ?? {}
      return verdict ? { name: 'verdict', verdict } : { name: 'immediate', dreg, data: bytes?.slice() ?? new Uint8Array() }
    }
    case 'counter':
      return { name: 'counter', bytes: BigInt(number(1)), packets: BigInt(number(2)) }
    case 'nat': {
      // The kernel repeats the lower end of a range as its upper one; a real range is not ours.
      if ((f.has(4) && number(4) !== number(3)) || (f.has(6) && number(6) !== number(5))) return undefined
      const family = number(2) === families.ip6 ? 'ip6' : 'ip'
      const flags = number(7) & ~derivedNatFlags
      return { name: 'nat', type: number(1) === 0 ? 'snat' : 'dnat', family, address: register(3), port: register(5), flags }
    }
    case 'masq':
      return f.has(2) ? undefined : { name: 'masq', flags: number(1) & ~derivedNatFlags }
    case 'redir':
      return { name: 'redir', port: register(1), flags: number(3) & ~derivedNatFlags }
    case 'reject':
      return { name: 'reject', type: rejectTypes[number(1)] ?? 'icmpx', code: number(2) }
    case 'dynset': {
      const op = dynsetOps[number(3)]
      if (!op || f.has(7) || f.has(10)) return undefined
      const timeoutMs = f.has(6) && number(6) > 0 ? { timeoutMs: number(6) } : {}
      return { name: 'dynset', op, set: f.get(1)?.text ?? '', key: register(4) ?? 0, data: register(5), ...timeoutMs }
    }
    case 'notrack':
      return { name: 'notrack' }
    case 'limit':
      return { name: 'limit', ...limitOf(number) }
    case 'quota':
      return { name: 'quota', bytes: BigInt(number(1)), used: BigInt(number(4)), over: (number(2) & 1) !== 0 }
    case 'objref': {
      const kind = objectKind(number(1))
      return kind && f.has(2) ? { name: 'objref', kind, object: f.get(2)?.text ?? '' } : undefined
    }
    case 'flow_offload':
      return { name: 'flow offload', flowtable: f.get(1)?.text ?? '' }
    default:
      return undefined
  }
}
