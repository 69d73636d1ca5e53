// The addresses that may be given to services, as people write them: `192.0.2.240-192.0.2.250`,
// `192.0.2.0/28`, `2001:db8::5`, apart by commas or white space.

import { type Family, formatAddress, parseAddress, parseCidr } from '#api/cidr.ts'

/** Both ends included. */
export type Range = { family: Family; first: bigint; last: bigint }

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
    const network = parseCidr(text)
    return network ? { family: network.family, first: network.first, last: network.last } : 'is no network'
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
