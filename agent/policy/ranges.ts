// Ranges of addresses, and tables of what is open in which of them. An address is a number (bigint, as
// IPv6 needs it), both ends of a range belong to it.

import { addressBytes, addressText } from 'nft-js'
import { canonicalAddress } from '../proxy/address.ts'
import type { Family } from './layout.ts'
import { type Ports, unionOfPorts } from './ports.ts'

export type Range = { readonly first: bigint; readonly last: bigint }

const bits = { ip: 32n, ip6: 128n } as const

export const everything = (family: Family): Range => ({ first: 0n, last: (1n << bits[family]) - 1n })

/** Of `10.0.0.0/8`; bits behind the prefix are ignored, as in Kubernetes. Undefined for what is no block. */
export const parseBlock = (cidr: string): { family: Family; range: Range } | undefined => {
  const [, text = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? []
  const address = canonicalAddress(text)
  if (!address || BigInt(length) > bits[address.family]) return undefined
  const size = 1n << (bits[address.family] - BigInt(length))
  const first = (numberOf(address.text) / size) * size
  return { family: address.family, range: { first, last: first + size - 1n } }
}

export const rangeOf = (address: string): Range => {
  const number = numberOf(address)
  return { first: number, last: number }
}

const numberOf = (address: string): bigint => addressBytes(address).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

const textOf = (family: Family, number: bigint): string =>
  addressText(
    Uint8Array.from({ length: family === 'ip' ? 4 : 16 }, (_, i) => Number((number >> (bits[family] - 8n * BigInt(i + 1))) & 255n)),
  )

/** As an interval set takes it. */
export const rangeText = (family: Family, { first, last }: Range): string =>
  first === last ? textOf(family, first) : `${textOf(family, first)}-${textOf(family, last)}`

export const without = (range: Range, holes: readonly Range[]): Range[] => {
  let left = [range]
  for (const hole of holes)
    left = left.flatMap(({ first, last }) => {
      if (hole.last < first || hole.first > last) return [{ first, last }]
      const parts: Range[] = []
      if (first < hole.first) parts.push({ first, last: hole.first - 1n })
      if (hole.last < last) parts.push({ first: hole.last + 1n, last })
      return parts
    })
  return left
}

export const isWithin = ({ first, last }: Range, ranges: readonly Range[]): boolean =>
  ranges.some((range) => range.first <= first && last <= range.last)

/** In order, none touching the next. */
export const unionOfRanges = (ranges: readonly Range[]): Range[] => {
  const union: { first: bigint; last: bigint }[] = []
  for (const { first, last } of ranges.toSorted(inOrder)) {
    const end = union.at(-1)
    if (end && first <= end.last + 1n) end.last = last > end.last ? last : end.last
    else union.push({ first, last })
  }
  return union
}

const inOrder = (a: Range, b: Range): number => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0)

/** Ports that are open in a range. */
export type Opening = { readonly range: Range; readonly ports: Ports }

/** The same openings in order and none overlapping another: the kernel refuses intervals that do. */
export const disjoint = (openings: readonly Opening[]): Opening[] => {
  const edges = openings
    .flatMap(({ range: { first, last }, ports }) => [
      { at: first, ports, by: 1 },
      { at: last + 1n, ports, by: -1 },
    ])
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
  const rows: { range: { first: bigint; last: bigint }; ports: Ports }[] = []
  const open = new Map<Ports, number>()
  let from = 0n
  for (const { at, ports, by } of edges) {
    if (open.size > 0 && at > from) {
      const union = unionOfPorts(open.keys())
      const end = rows.at(-1)
      if (end && end.range.last + 1n === from && end.ports.text === union.text) end.range.last = at - 1n
      else rows.push({ range: { first: from, last: at - 1n }, ports: union })
    }
    from = at
    const uses = (open.get(ports) ?? 0) + by
    if (uses > 0) open.set(ports, uses)
    else open.delete(ports)
  }
  return rows
}
