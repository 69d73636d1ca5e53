// Writes records: the body of an answer whose question stands at byte 12 of the message.

import { isIPv6 } from 'node:net'
import { type Answer, RCODE, TYPE } from './message.ts'

/** The name in the question (RFC 1035, 4.1.4). */
const questionName = Buffer.from([0xc0, 0x0c])
const classIn = 1

type Section = 'answer' | 'authority' | 'additional'
type Entry = { type: number; ttl: number; data: Buffer; owner: string | undefined; section: Section }

export class Records {
  #entries: Entry[] = []

  /** `owner`: absent for the name asked for. Sections in their order: answer, authority, additional. */
  add(type: number, ttl: number, data: Buffer, options: { owner?: string; section?: Section } = {}): this {
    this.#entries.push({ type, ttl, data, owner: options.owner, section: options.section ?? 'answer' })
    return this
  }

  addresses(addresses: readonly string[], ttl: number): this {
    for (const address of addresses) {
      const data = addressBytes(address)
      this.add(data.length === 4 ? TYPE.A : TYPE.AAAA, ttl, data)
    }
    return this
  }

  /** The records of another name. */
  append(other: Records, owner: string): this {
    for (const entry of other.#entries) this.#entries.push({ ...entry, owner: entry.owner ?? owner })
    return this
  }

  answer(rcode: number = RCODE.ok): Answer {
    const counts = { answer: 0, authority: 0, additional: 0 }
    const parts: Buffer[] = []
    let needed = 0
    for (const { type, ttl, data, owner, section } of this.#entries) {
      const fixed = Buffer.allocUnsafe(10)
      fixed.writeUInt16BE(type, 0)
      fixed.writeUInt16BE(classIn, 2)
      fixed.writeUInt32BE(ttl, 4)
      fixed.writeUInt16BE(data.length, 8)
      const owned = owner === undefined ? questionName : name(owner)
      parts.push(owned, fixed, data)
      if (section !== 'additional') needed += owned.length + fixed.length + data.length
      counts[section]++
    }
    const body = Buffer.concat(parts)
    const first = this.#entries[0]
    const alike = this.#entries.every(
      ({ type, owner }) => type === first?.type && owner === undefined && (type === TYPE.A || type === TYPE.AAAA),
    )
    return {
      rcode,
      authoritative: true,
      counts,
      body,
      ...(alike && first && { unit: body.length / counts.answer }),
      ...(needed < body.length && { needed }),
    }
  }
}

/** Uncompressed. Labels that a name cannot have are cut to what it can. */
export function name(text: string): Buffer {
  const labels = text.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([Math.min(label.length, 63)]), Buffer.from(label.slice(0, 63), 'latin1')]),
    Buffer.from([0]),
  ])
}

export function srv(port: number, target: string, weight: number): Buffer {
  const head = Buffer.alloc(6)
  head.writeUInt16BE(Math.min(weight, 0xffff), 2)
  head.writeUInt16BE(port, 4)
  return Buffer.concat([head, name(target)])
}

export const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])

/** `minimum` is how long a client may remember that there is nothing (RFC 2308). */
export function soa(primary: string, mailbox: string, serial: number, minimum: number): Buffer {
  const numbers = Buffer.alloc(20)
  for (const [index, value] of [serial, 7200, 1800, 86_400, minimum].entries()) numbers.writeUInt32BE(value, index * 4)
  return Buffer.concat([name(primary), name(mailbox), numbers])
}

/** The address must be valid. */
export function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const bytes = Buffer.alloc(16)
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const plain = dotted
    ? `${dotted[1]}${((Number(dotted[2]) << 8) | Number(dotted[3])).toString(16)}:${((Number(dotted[4]) << 8) | Number(dotted[5])).toString(16)}`
    : address
  const [head = '', tail] = plain.split('::')
  const groups = (part: string) => part.split(':').filter((group) => group !== '')
  const [first, last] = [groups(head), groups(tail ?? '')]
  for (const [index, group] of first.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  for (const [index, group] of last.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), (8 - last.length + index) * 2)
  return bytes
}

/** The address that a name of in-addr.arpa or ip6.arpa stands for; undefined for anything else. */
export function reversed(labels: readonly string[]): string | undefined {
  const numbers = labels.slice(0, -2).toReversed()
  const zone = labels.slice(-2).join('.')
  if (zone === 'in-addr.arpa' && numbers.length === 4 && numbers.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return numbers.join('.')
  }
  if (zone === 'ip6.arpa' && numbers.length === 32 && numbers.every((part) => /^[0-9a-f]$/.test(part))) {
    return (numbers.join('').match(/.{4}/g) ?? []).join(':')
  }
  return undefined
}
