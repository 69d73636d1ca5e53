// The kernel's expressions, of which rules consist (include/uapi/linux/netfilter/nf_tables.h), as
// plain data. Registers are counted in 32-bit words from 0 to 15; the verdict register is the one of
// `immediate` and `lookup` that carries `verdict`. What is read back from the kernel decodes to the
// same value as what was sent, so two rules are compared by `describe`.

import type { Verdict } from './family.ts'
import { burstOf, type Limit, type ObjectKind, type Quota } from './object.ts'
import { objectTypes } from './object-codec.ts'

export type CompareOp = '==' | '!=' | '<' | '<=' | '>' | '>='

export type Expression =
  | { name: 'payload'; base: 'link' | 'network' | 'transport'; offset: number; length: number; dreg: number }
  | { name: 'meta'; key: MetaKey; dreg: number }
  | { name: 'meta set'; key: MetaKey; sreg: number }
  | { name: 'ct'; key: CtKey; direction?: 'original' | 'reply'; dreg: number }
  | {
      name: 'fib'
      result: 'oif' | 'oifname' | 'type' /** NFTA_FIB_F_*: 1 saddr, 2 daddr, 4 mark, 8 iif, 16 oif. */
      flags: number
      dreg: number
    }
  | { name: 'numgen'; modulus: number; offset: number; dreg: number }
  /** Jenkins' hash; without `seed`, with one that the kernel makes up. */
  | { name: 'hash'; sreg: number; length: number; modulus: number; seed?: number; dreg: number }
  | { name: 'bitwise'; sreg: number; dreg: number; mask: Uint8Array; xor: Uint8Array }
  | { name: 'cmp'; op: CompareOp; sreg: number; data: Uint8Array }
  | { name: 'lookup'; set: string; sreg: number; inverted?: boolean /** Of a map: where its data goes. */; dreg?: number | 'verdict' }
  | { name: 'immediate'; dreg: number; data: Uint8Array }
  | { name: 'verdict'; verdict: Verdict }
  | { name: 'counter'; packets: bigint; bytes: bigint }
  | { name: 'nat'; type: 'snat' | 'dnat'; family: 'ip' | 'ip6'; address?: number; port?: number; flags: number }
  | { name: 'masq'; flags: number }
  | { name: 'redir'; port?: number; flags: number }
  | { name: 'reject'; type: 'icmp unreachable' | 'tcp reset' | 'icmpx'; code: number }
  | { name: 'dynset'; op: 'add' | 'update' | 'delete'; set: string; key: number; data?: number; timeoutMs?: number }
  | { name: 'notrack' }
  | ({ name: 'limit' } & Limit)
  | ({ name: 'quota' } & Quota)
  /** A stateful object of the table. */
  | { name: 'objref'; kind: ObjectKind; object: string }
  | { name: 'flow offload'; flowtable: string }
  /** One that this code does not know: what the kernel said, byte for byte. */
  | { name: 'other'; kind: string; bytes: Uint8Array }

/** Their places are the kernel's numbers (NFT_META_*). */
export const metaKeys = [
  'len',
  'protocol',
  'priority',
  'mark',
  'iif',
  'oif',
  'iifname',
  'oifname',
  'iiftype',
  'oiftype',
  'skuid',
  'skgid',
  'nftrace',
  'rtclassid',
  'secmark',
  'nfproto',
  'l4proto',
] as const
export type MetaKey = (typeof metaKeys)[number]

/** Their places are the kernel's numbers (NFT_CT_*). */
export const ctKeys = [
  'state',
  'direction',
  'status',
  'mark',
  'secmark',
  'expiration',
  'helper',
  'l3proto',
  'src',
  'dst',
  'protocol',
  'proto-src',
  'proto-dst',
  'label',
  'packets',
  'bytes',
  'avgpkt',
  'zone',
  'event',
  'src-ip',
  'dst-ip',
  'src-ip6',
  'dst-ip6',
] as const
export type CtKey = (typeof ctKeys)[number]

/** NF_NAT_RANGE_*: what `flags` of nat and masq may hold beside the two bits that the kernel derives itself. */
export const natFlags = { random: 4, persistent: 8, 'fully-random': 16 } as const

/** NFT_REG_*: the word-sized registers follow four of 128 bits, which name the same memory. */
export const registerNumber = (word: number): number => (word % 4 === 0 ? 1 + word / 4 : 8 + word)
export const registerWord = (number: number): number => (number < 8 ? (number - 1) * 4 : number - 8)

const hex = (bytes: Uint8Array): string => {
  const words = new Uint32Array((bytes.length + 3) >> 2)
  new Uint8Array(words.buffer).set(bytes)
  return [...words].map((word) => `0x${word.toString(16).padStart(8, '0')}`).join(' ')
}

/** An expression as `nft --debug=netlink` prints it: the text by which rules are compared. A counter's counts are left out. */
export const describe = (e: Expression): string => {
  const reg = (word: number) => `reg ${registerNumber(word)}`
  const flags = (value: number) => (value ? ` flags 0x${value.toString(16)}` : '')
  switch (e.name) {
    case 'payload':
      return `payload load ${e.length}b @ ${e.base} header + ${e.offset} => ${reg(e.dreg)}`
    case 'meta':
      return `meta load ${e.key} => ${reg(e.dreg)}`
    case 'meta set':
      return `meta set ${e.key} with ${reg(e.sreg)}`
    case 'ct':
      return `ct load ${e.key} => ${reg(e.dreg)}${e.direction ? ` , dir ${e.direction}` : ''}`
    case 'fib': {
      const names = ['saddr', 'daddr', 'mark', 'iif', 'oif'].filter((_, i) => e.flags & (1 << i))
      return `fib ${names.join(' . ')} ${e.result} => ${reg(e.dreg)}`
    }
    case 'numgen':
      return `numgen ${reg(e.dreg)} = random mod ${e.modulus}${e.offset ? ` offset ${e.offset}` : ''}`
    case 'hash':
      return `hash ${reg(e.dreg)} = jhash(${reg(e.sreg)}, ${e.length}, 0x${(e.seed ?? 0).toString(16)}) % mod ${e.modulus}`
    case 'bitwise':
      return `bitwise ${reg(e.dreg)} = ( ${reg(e.sreg)} & ${hex(e.mask)} ) ^ ${hex(e.xor)}`
    case 'cmp':
      return `cmp ${compareNames[compareOps.indexOf(e.op)]} ${reg(e.sreg)} ${hex(e.data)}`
    case 'lookup':
      return `lookup ${reg(e.sreg)} set ${e.set}${e.dreg === undefined ? '' : e.dreg === 'verdict' ? ' dreg 0' : ` d${reg(e.dreg)}`}${e.inverted ? ' 0x1' : ''}`
    case 'immediate':
      return `immediate ${reg(e.dreg)} ${hex(e.data)}`
    case 'verdict':
      return `immediate reg 0 ${e.verdict.replace(' ', ' -> ')}`
    case 'counter':
      return 'counter pkts 0 bytes 0'
    case 'nat': {
      const parts = [e.address === undefined ? '' : ` addr_min ${reg(e.address)}`, e.port === undefined ? '' : ` proto_min ${reg(e.port)}`]
      return `nat ${e.type} ${e.family}${parts.join('')}${flags(e.flags)}`
    }
    case 'masq':
      return `masq${flags(e.flags)}`
    case 'redir':
      return `redir${e.port === undefined ? '' : ` proto_min ${reg(e.port)}`}${flags(e.flags)}`
    case 'reject':
      return `reject type ${rejectTypes.indexOf(e.type)} code ${e.code}`
    case 'dynset':
      return `dynset ${e.op} reg_key ${registerNumber(e.key)} set ${e.set}${e.data === undefined ? '' : ` sreg_data ${registerNumber(e.data)}`}${e.timeoutMs ? ` timeout ${e.timeoutMs}ms` : ''}`
    case 'notrack':
      return 'notrack'
    case 'limit':
      return `limit rate ${e.rate}/${e.per} burst ${burstOf(e)} type ${e.unit ?? 'packets'} flags 0x${e.over ? 1 : 0}`
    case 'quota':
      return `quota bytes ${e.bytes} consumed 0 flags ${e.over ? 1 : 0}`
    case 'objref':
      return `objref type ${objectTypes[e.kind]} name ${e.object}`
    case 'flow offload':
      return `flow_offload ${e.flowtable}`
    default:
      return `${e.kind} ${hex(e.bytes)}`
  }
}

export const compareOps = ['==', '!=', '<', '<=', '>', '>='] as const satisfies CompareOp[]
const compareNames = ['eq', 'neq', 'lt', 'lte', 'gt', 'gte']
export const rejectTypes = ['icmp unreachable', 'tcp reset', 'icmpx'] as const

/** The chain that a verdict leads to. */
export const chainOfVerdict = (verdict: string): string | undefined => /^(?:jump|goto) (.+)$/.exec(verdict)?.[1]

/** What of their table expressions name: it must be there. */
export const namesOf = (expressions: readonly Expression[]) => {
  const chains: string[] = []
  const sets: string[] = []
  /** Kind and name. */
  const objects: string[] = []
  const flowtables: string[] = []
  for (const e of expressions) {
    if (e.name === 'verdict') {
      const chain = chainOfVerdict(e.verdict)
      if (chain !== undefined) chains.push(chain)
    }
    if (e.name === 'lookup' || e.name === 'dynset') sets.push(e.set)
    if (e.name === 'objref') objects.push(`${e.kind} ${e.object}`)
    if (e.name === 'flow offload') flowtables.push(e.flowtable)
  }
  return { chains, sets, objects, flowtables }
}
