// What the kernel would do with a packet, read from a table alone: the expressions of its rules, one after
// the other, as nf_tables runs them. For tests; knows the expressions that the agent's rules are made of.

import { addressBytes, type Elements, type Table, type Verdict } from 'nft-js'
import { addressText } from 'nft-js/netlink/address.ts'
import type { Expression } from 'nft-js/nftables/expression.ts'
import type { Hook } from 'nft-js/nftables/table.ts'
import { jhash } from './jhash.ts'

/** Changed on its way, as the kernel changes it. */
export type Packet = {
  source: string
  destination: string
  protocol: 'tcp' | 'udp' | 'sctp' | 'icmp'
  sourcePort: number
  destinationPort: number
  /** Of its connection; `invalid`: it is part of none. */
  state: 'new' | 'established' | 'related' | 'invalid'
  direction?: 'original' | 'reply'
  mark?: number
  /** What it was sent to, once that is translated. */
  translated?: { from: { address: string; port: number } }
  masqueraded?: boolean
}

/** The host that a packet passes. */
export type Host = {
  isLocal: (address: string) => boolean
  /** A number below the limit. */
  random: (limit: number) => number
  /** What rules have noted in dynamic sets. */
  memory: Memory
}

/** By set, then by key as bytes in hex. */
export interface Memory {
  find(set: string, key: string): Uint8Array | undefined
  note(set: string, key: string, data: Uint8Array, timeoutMs: number): void
}

type Fate = 'accept' | 'drop' | 'reject'

const protocols = { icmp: 1, tcp: 6, udp: 17, sctp: 132 }
const states = { invalid: 1, established: 2, related: 4, new: 8 }
const statusDnat = 32
const fromSource = 1
const [unicast, local] = [1, 2]

/** A packet that this host has nothing to do with but to pass it on. */
export const forwarded = (table: Table, packet: Packet): Fate => through(table, 'forward', packet, stranger)

const stranger: Host = {
  isLocal: () => false,
  random: () => 0,
  memory: { find: () => undefined, note: () => {} },
}

/** All chains of a hook, in the order of their priorities. Translation is for the first packet of a connection. */
export const through = (table: Table, hook: Hook, packet: Packet, host: Host): Fate => {
  const chains = table.chains.filter(({ base }) => base?.hook === hook && (base.type !== 'nat' || packet.state === 'new'))
  for (const { name } of chains.sort((a, b) => (a.base?.priority ?? 0) - (b.base?.priority ?? 0))) {
    const fate = new Run(table, packet, host).chain(name)
    if (fate === 'drop' || fate === 'reject') return fate
  }
  return 'accept'
}

class Run {
  readonly #table: Table
  readonly #packet: Packet
  readonly #host: Host
  readonly #registers = new Uint8Array(64)

  constructor(table: Table, packet: Packet, host: Host) {
    this.#table = table
    this.#packet = packet
    this.#host = host
  }

  /** `return` where no rule decides. */
  chain(name: string): Fate | 'return' {
    const chain = this.#table.chains.find((each) => each.name === name)
    if (!chain) throw new Error(`no chain ${name}`)
    for (const { expressions } of chain.rules) {
      const verdict = this.#rule(expressions)
      const [does = '', target = ''] = verdict?.split(' ') ?? []
      if (verdict === 'accept' || verdict === 'drop' || verdict === 'reject' || verdict === 'return') return verdict
      if (does === 'goto') return this.chain(target)
      if (does !== 'jump') continue
      const inner = this.chain(target)
      if (inner !== 'return') return inner
    }
    return 'return'
  }

  /** Undefined where the packet does not match, or matches and goes on. */
  #rule(expressions: readonly Expression[]): Verdict | 'reject' | undefined {
    const packet = this.#packet
    for (const e of expressions) {
      switch (e.name) {
        case 'payload':
          this.#load(e.dreg, this.#header(e.base).subarray(e.offset, e.offset + e.length))
          break
        case 'meta':
          if (e.key === 'l4proto') this.#load(e.dreg, Uint8Array.of(protocols[packet.protocol]))
          else if (e.key === 'mark') this.#number(e.dreg, packet.mark ?? 0)
          else throw new Error(`meta ${e.key}`)
          break
        case 'meta set':
          if (e.key !== 'mark') throw new Error(`meta ${e.key} set`)
          packet.mark = this.#bytes(e.sreg, 4).readUInt32LE()
          break
        case 'ct': {
          const value = this.#connection(e)
          if (!value) return undefined
          this.#load(e.dreg, value)
          break
        }
        case 'fib':
          if (e.result !== 'type') throw new Error(`fib ${e.result}`)
          this.#number(e.dreg, this.#host.isLocal(e.flags === fromSource ? packet.source : packet.destination) ? local : unicast)
          break
        case 'numgen':
          this.#number(e.dreg, this.#host.random(e.modulus) + e.offset)
          break
        case 'hash':
          this.#number(e.dreg, jhash(this.#bytes(e.sreg, e.length), e.seed ?? 0, e.modulus))
          break
        case 'bitwise':
          this.#load(
            e.dreg,
            e.mask.map((mask, i) => ((this.#registers[e.sreg * 4 + i] as number) & mask) ^ (e.xor[i] as number)),
          )
          break
        case 'cmp':
          if (e.data.every((byte, i) => byte === this.#registers[e.sreg * 4 + i]) !== (e.op === '==')) return undefined
          break
        case 'lookup': {
          const found = this.#lookup(e)
          if ((found !== undefined) === (e.inverted ?? false)) return undefined
          if (e.dreg === 'verdict') return found as Verdict
          if (e.dreg !== undefined) this.#load(e.dreg, found as Uint8Array)
          break
        }
        case 'dynset': {
          const { keyWords, dataWords } = this.#elements(e.set).shape
          const data = e.data === undefined ? Buffer.alloc(0) : this.#bytes(e.data, dataWords * 4)
          this.#host.memory.note(e.set, this.#bytes(e.key, keyWords * 4).toString('hex'), data, e.timeoutMs ?? 0)
          break
        }
        case 'nat':
          if (e.type !== 'dnat' || e.address === undefined || e.port === undefined) throw new Error(`nat ${e.type}`)
          packet.translated ??= { from: { address: packet.destination, port: packet.destinationPort } }
          packet.destination = addressText(this.#bytes(e.address, e.family === 'ip' ? 4 : 16))
          packet.destinationPort = this.#bytes(e.port, 2).readUInt16BE()
          return 'accept'
        case 'masq':
          packet.masqueraded = true
          return 'accept'
        case 'reject':
          return 'reject'
        case 'counter':
          break
        case 'verdict':
          return e.verdict
        default:
          throw new Error(`not simulated: ${e.name}`)
      }
    }
    return undefined
  }

  /** Undefined where there is nothing to be known. */
  #connection({ key, direction: of }: Extract<Expression, { name: 'ct' }>): Uint8Array | undefined {
    const { state, direction = 'original', translated, protocol, destination, destinationPort } = this.#packet
    if (key === 'state') return u32(states[state])
    if (state === 'invalid') return undefined
    if (key === 'direction') return Uint8Array.of(direction === 'reply' ? 1 : 0)
    if (key === 'status') return u32(translated ? statusDnat : 0)
    if (key === 'protocol') return Uint8Array.of(protocols[protocol])
    const asked = translated?.from ?? { address: destination, port: destinationPort }
    if (of === 'original' && key === 'proto-dst') return u16(asked.port)
    if (of === 'original' && (key === 'dst-ip' || key === 'dst-ip6')) return addressBytes(asked.address)
    if (of === 'reply' && key === 'proto-src') return u16(destinationPort)
    if (of === 'reply' && (key === 'src-ip' || key === 'src-ip6')) return addressBytes(destination)
    throw new Error(`ct ${of} ${key}`)
  }

  #bytes(word: number, length: number): Buffer {
    return Buffer.from(this.#registers.subarray(word * 4, word * 4 + length))
  }

  #number(word: number, value: number): void {
    this.#load(word, u32(value))
  }

  #load(word: number, bytes: Uint8Array): void {
    this.#registers.fill(0, word * 4, word * 4 + ((bytes.length + 3) & ~3))
    this.#registers.set(bytes, word * 4)
  }

  #header(base: 'link' | 'network' | 'transport'): Uint8Array {
    const { source, destination, sourcePort, destinationPort, protocol } = this.#packet
    if (base === 'transport') {
      // Of ICMP, what is there instead: type, code, checksum.
      if (protocol === 'icmp') return Uint8Array.of(8, 0, 0x1f, 0x90)
      return Uint8Array.of(sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255)
    }
    const addresses = [...addressBytes(source), ...addressBytes(destination)]
    return Uint8Array.of(...Array.from({ length: addresses.length === 8 ? 12 : 8 }, () => 0), ...addresses)
  }

  #elements(set: string): Elements {
    const elements = this.#table.sets.find(({ spec }) => spec.name === set)?.elements
    if (!elements) throw new Error(`no set ${set}`)
    return elements
  }

  /** What the set says of a key, nothing of one that it only has. */
  #lookup({ set, sreg }: Extract<Expression, { name: 'lookup' }>): Verdict | Uint8Array | undefined {
    const elements = this.#elements(set)
    const { shape, words } = elements
    if (elements.spec.flags?.includes('dynamic')) return this.#host.memory.find(set, this.#bytes(sreg, shape.keyWords * 4).toString('hex'))
    const row = shape.interval ? this.#between(elements, sreg) : rowsOf(elements).get(this.#bytes(sreg, shape.keyWords * 4).toString('hex'))
    if (row === undefined) return undefined
    if (shape.verdict) return elements.dataOf(row) as Verdict
    const at = row * shape.rowWords + shape.dataAt
    return new Uint8Array(words.slice(at, at + shape.dataWords).buffer)
  }

  #between({ shape, words, count }: Elements, word: number): number | undefined {
    const bytes = new Uint8Array(words.buffer, words.byteOffset)
    const compare = (at: number, field: number, length: number): number => {
      for (let i = 0; i < length; i++) {
        const difference = (this.#registers[word * 4 + field + i] as number) - (bytes[at + field + i] as number)
        if (difference !== 0) return difference
      }
      return 0
    }
    for (let row = 0; row < count; row++) {
      const first = row * shape.rowWords * 4
      const last = first + shape.keyWords * 4
      const holds = shape.key.every(({ at }, i) => {
        const length = ((shape.key[i + 1]?.at ?? shape.keyWords) - at) * 4
        return compare(first, at * 4, length) >= 0 && compare(last, at * 4, length) <= 0
      })
      if (holds) return row
    }
    return undefined
  }
}

const known = new WeakMap<Elements, Map<string, number>>()

/** By key in hex. */
const rowsOf = (elements: Elements): Map<string, number> => {
  const found = known.get(elements)
  if (found) return found
  const { shape, words, count } = elements
  const rows = new Map<string, number>()
  for (let row = 0; row < count; row++) {
    const at = row * shape.rowWords
    rows.set(Buffer.from(words.slice(at, at + shape.keyWords).buffer).toString('hex'), row)
  }
  known.set(elements, rows)
  return rows
}

const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer)
const u16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255)
