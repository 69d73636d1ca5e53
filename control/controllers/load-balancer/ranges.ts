// The addresses that may be given to services, as people write them: `192.0.2.240-192.0.2.250`,
// `192.0.2.0/28`, `2001:db8::5`, apart by commas or white space.

import { isIPv4, isIPv6 } from 'node:net'
import type { Family } from '../endpoints/endpoint.ts'

/** Both ends included. */
export type Range = { family: Family; first: bigint; last: bigint }

type Address = { family: Family; value: bigint }

const bitsOf = { IPv4: 32, IPv6: 128 } as const

/** Undefined for what is no address. */
const parseAddress = (text: string): Address | undefined => {
  if (isIPv4(text)) return { family: 'IPv4', value: valueOf(text.split('.').map(Number), 8n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const [head = '', tail] = canonicalIPv6(text).split('::')
  const groups = (part: string | undefined) => (part ? part.split(':').map((group) => Number.parseInt(group, 16)) : [])
  const [left, right] = [groups(head), groups(tail)]
  return { family: 'IPv6', value: valueOf([...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right], 16n) }
}

/** The canonical text (RFC 5952). */
const formatAddress = ({ family, value }: Address): string => {
  if (family === 'IPv4') return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  return canonicalIPv6(Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(':'))
}

/** One text for one address; undefined for what is none. */
export const canonicalAddress = (text: string): string | undefined => {
  const address = parseAddress(text)
  return address && formatAddress(address)
}

export const parseRanges = (text: string): { ranges: Range[]; problems: string[] } => {
  const ranges: Range[] = []
  const problems: string[] = []
  for (const part of text.split(/[\s,]+/).filter(Boolean)) {
    const range = parseRange(part)
    if (typeof range === 'string') problems.push(`${part} ${range}`)
    else ranges.push(range)
  }
  return { ranges, problems }
}

const parseRange = (text: string): Range | string => {
  if (text.includes('/')) {
    const [network = '', bits = ''] = text.split('/')
    const address = parseAddress(network)
    if (!address || !/^\d{1,3}$/.test(bits) || Number(bits) > bitsOf[address.family]) return 'is no network'
    const size = 1n << BigInt(bitsOf[address.family] - Number(bits))
    const first = (address.value / size) * size
    return { family: address.family, first, last: first + size - 1n }
  }
  const [from = '', to = from, ...rest] = text.split('-')
  const [first, last] = [parseAddress(from), parseAddress(to)]
  if (!first || !last || rest.length > 0) return 'is no address, range or network'
  if (first.family !== last.family) return 'begins in one family and ends in another'
  if (first.value > last.value) return 'ends before it begins'
  return { family: first.family, first: first.value, last: last.value }
}

export const contains = (ranges: readonly Range[], text: string): boolean => {
  const address = parseAddress(text)
  return ranges.some(({ family, first, last }) => family === address?.family && first <= address.value && address.value <= last)
}

export function* addressesOf(ranges: readonly Range[], family: Family): Generator<string> {
  for (const range of ranges)
    if (range.family === family) for (let value = range.first; value <= range.last; value++) yield formatAddress({ family, value })
}

const valueOf = (parts: readonly number[], width: bigint): bigint => parts.reduce((sum, part) => (sum << width) | BigInt(part), 0n)

const canonicalIPv6 = (text: string): string => new URL(`http://[${text}]`).hostname.slice(1, -1)
