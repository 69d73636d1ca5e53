// What the kernel would do with a packet, read from the table alone: the expressions of its rules, one
// after the other, as nf_tables runs them. For tests; knows the expressions that policies are made of.

import { addressBytes, type Elements, type Table, type Verdict } from 'nft-js'
import type { Expression } from 'nft-js/nftables/expression.ts'

export type Packet = {
  source: string
  destination: string
  protocol: 'tcp' | 'udp' | 'sctp' | 'icmp'
  sourcePort: number
  destinationPort: number
  /** In its connection; undefined: it is part of none. */
  direction: 'original' | 'reply' | undefined
  related?: boolean
}

const protocols = { icmp: 1, tcp: 6, udp: 17, sctp: 132 }

/** The fate of a packet that this host forwards. */
export const forwarded = (table: Table, packet: Packet): 'accept' | 'drop' => {
  for (const { name, base } of table.chains) {
    if (base?.hook === 'forward' && new Run(table, packet).chain(name) === 'drop') return 'drop'
  }
  return 'accept'
}

class Run {
  readonly #table: Table
  readonly #packet: Packet
  readonly #registers = new Uint8Array(64)

  constructor(table: Table, packet: Packet) {
    this.#table = table
    this.#packet = packet
  }

  /** `return` where no rule decides. */
  chain(name: string): 'accept' | 'drop' | 'return' {
    const chain = this.#table.chains.find((each) => each.name === name)
    if (!chain) throw new Error(`no chain ${name}`)
    for (const { expressions } of chain.rules) {
      const verdict = this.#rule(expressions)
      const [does = '', target = ''] = verdict?.split(' ') ?? []
      if (verdict === 'accept' || verdict === 'drop' || verdict === 'return') return verdict
      if (does === 'goto') return this.chain(target)
      if (does !== 'jump') continue
      const inner = this.chain(target)
      if (inner !== 'return') return inner
    }
    return 'return'
  }

  /** Undefined where the packet does not match. */
  #rule(expressions: readonly Expression[]): Verdict | undefined {
    for (const e of expressions) {
      switch (e.name) {
        case 'payload':
          this.#load(e.dreg, this.#header(e.base).subarray(e.offset, e.offset + e.length))
          break
        case 'meta':
          if (e.key !== 'l4proto') throw new Error(`meta ${e.key}`)
          this.#load(e.dreg, Uint8Array.of(protocols[this.#packet.protocol]))
          break
        case 'ct': {
          const { direction, related } = this.#packet
          if (e.key === 'direction' && direction === undefined) return undefined
          if (e.key === 'direction') this.#load(e.dreg, Uint8Array.of(direction === 'reply' ? 1 : 0))
          else if (e.key === 'state') this.#load(e.dreg, Uint8Array.of(direction === undefined ? 1 : related ? 4 : 2, 0, 0, 0))
          else throw new Error(`ct ${e.key}`)
          break
        }
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
          const elements = this.#table.sets.find(({ spec }) => spec.name === e.set)?.elements
          if (!elements) throw new Error(`no set ${e.set}`)
          const row = this.#find(elements, e.sreg)
          if (row === undefined) return undefined
          if (e.dreg === 'verdict') return elements.dataOf(row) as Verdict
          break
        }
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

  #find(elements: Elements, word: number): number | undefined {
    const { shape, words, count } = elements
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
      const last = shape.interval ? first + shape.keyWords * 4 : first
      const holds = shape.key.every(({ at }, i) => {
        const length = ((shape.key[i + 1]?.at ?? shape.keyWords) - at) * 4
        return compare(first, at * 4, length) >= 0 && compare(last, at * 4, length) <= 0
      })
      if (holds) return row
    }
    return undefined
  }
}
