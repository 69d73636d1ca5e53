// nft's data types: how a value is written in text and how it lies in memory. In set elements and
// registers every field starts at a 32-bit word, so values are kept as words: the bytes in network
// order (or host order where the type says so), read as little-endian words, which is what every
// platform that Coracle runs on uses.

import { addressBytes, addressText } from '../netlink/address.ts'

/** `id` as in nft's include/datatype.h, which the kernel keeps for it; `bytes` the value's length; `host`: kept in host byte order. */
type Datatype = { id: number; bytes: number; host?: boolean }

export const datatypes = {
  integer: { id: 4, bytes: 4, host: true },
  ipv4_addr: { id: 7, bytes: 4 },
  ipv6_addr: { id: 8, bytes: 16 },
  inet_proto: { id: 12, bytes: 1 },
  inet_service: { id: 13, bytes: 2 },
  mark: { id: 19, bytes: 4, host: true },
  ifname: { id: 41, bytes: 16, host: true },
} as const satisfies Record<string, Datatype>
export type DatatypeName = keyof typeof datatypes

export const wordsOf = (bytes: number): number => (bytes + 3) >> 2

export type Value = string | number

const protocols: Record<string, number> = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  sctp: 132,
  udplite: 136,
}
const protocolNames = new Map(Object.entries(protocols).map(([name, number]) => [number, name]))

const invalid = (type: string, value: Value) => new TypeError(`not of type ${type}: ${value}`)

/** Writes a value's words at `at`. Throws for what the type has no place for. */
export const writeValue = (type: DatatypeName, value: Value, words: Uint32Array, at: number): void => {
  switch (type) {
    case 'ipv4_addr':
      words[at] = typeof value === 'number' ? swap32(value) : parseIPv4(value)
      return
    case 'ipv6_addr':
      if (typeof value === 'number' || !value.includes(':')) throw invalid(type, value)
      words.set(new Uint32Array(addressBytes(value).buffer), at)
      return
    case 'inet_proto': {
      const number = typeof value === 'number' ? value : (protocols[value] ?? Number(value))
      if (!(number >= 0 && number <= 255)) throw invalid(type, value)
      words[at] = number
      return
    }
    case 'inet_service': {
      const port = Number(value)
      if (!(port >= 0 && port <= 0xffff)) throw invalid(type, value)
      words[at] = swap16(port)
      return
    }
    case 'integer':
    case 'mark': {
      const number = Number(value)
      if (!(number >= 0 && number <= 0xffffffff)) throw invalid(type, value)
      words[at] = number
      return
    }
    case 'ifname': {
      const bytes = new Uint8Array(16)
      if (new TextEncoder().encodeInto(String(value), bytes).written > 15) throw invalid(type, value)
      words.set(new Uint32Array(bytes.buffer), at)
      return
    }
  }
}

/** A value as `nft list` prints it. */
export const formatValue = (type: DatatypeName, words: Uint32Array, at: number): string => {
  const word = words[at] as number
  switch (type) {
    case 'ipv4_addr':
      return `${word & 255}.${(word >>> 8) & 255}.${(word >>> 16) & 255}.${word >>> 24}`
    case 'ipv6_addr':
      return addressText(new Uint8Array(words.buffer, words.byteOffset + at * 4, 16))
    case 'inet_proto':
      return protocolNames.get(word) ?? String(word)
    case 'inet_service':
      return String(swap16(word))
    case 'integer':
      return String(word)
    case 'mark':
      return `0x${word.toString(16).padStart(8, '0')}`
    default: {
      const bytes = new Uint8Array(words.slice(at, at + 4).buffer)
      const end = bytes.indexOf(0)
      return `"${new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))}"`
    }
  }
}

const swap16 = (value: number): number => ((value & 255) << 8) | ((value >>> 8) & 255)
const swap32 = (value: number): number =>
  (((value & 255) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0

/** The word of a dotted address. Allocates nothing. */
const parseIPv4 = (text: string): number => {
  let word = 0
  let part = -1
  let shift = 0
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 46
    if (code === 46) {
      if (part < 0 || part > 255 || shift > 24) throw invalid('ipv4_addr', text)
      word |= part << shift
      shift += 8
      part = -1
    } else {
      const digit = code - 48
      if (digit < 0 || digit > 9 || part > 25) throw invalid('ipv4_addr', text)
      part = (part < 0 ? 0 : part * 10) + digit
    }
  }
  if (shift !== 32) throw invalid('ipv4_addr', text)
  return word >>> 0
}
