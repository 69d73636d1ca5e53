// IP addresses and ranges of both families as numbers, and as the one text that each has (RFC 5952).

import { isIPv4, isIPv6 } from 'node:net'

/** As Kubernetes names them (service.spec.ipFamilies). */
export type Family = 'IPv4' | 'IPv6'

export type Address = { family: Family; value: bigint }

export type Cidr = {
  family: Family
  /** Canonical, host bits cleared. */
  text: string
  /** First and last address. */
  first: bigint
  last: bigint
  prefix: number
}

const bitsOf = { IPv4: 32, IPv6: 128 }

/** Of text that is known to be an address or a range. */
export const familyOf = (text: string): Family => (text.includes(':') ? 'IPv6' : 'IPv4')

/** Undefined for what is no address, or one with a zone. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 'IPv4', value: joined(text.split('.').map(Number), 8n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  // The last groups may be an IPv4 address (RFC 4291, section 2.2).
  const plain = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${pair(a, b)}:${pair(c, d)}`)
  const [head = '', tail] = plain.split('::')
  const left = groups(head)
  const right = groups(tail ?? '')
  return { family: 'IPv6', value: joined([...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right], 16n) }
}

const pair = (high: string, low: string): string => (Number(high) * 256 + Number(low)).toString(16)
const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
const joined = (parts: readonly number[], bits: bigint): bigint => parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n)

export function formatAddress({ family, value }: Address): string {
  if (family === 'IPv4') return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
  const text = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(':')
  // The first of the longest runs of zeros, if it is longer than one.
  const [longest = ''] = (text.match(/\b0(?::0)+\b/g) ?? []).sort((a, b) => b.length - a.length)
  if (longest === '') return text
  const at = text.search(new RegExp(`\\b${longest}\\b`))
  return `${text.slice(0, at).replace(/:$/, '')}::${text.slice(at + longest.length).replace(/^:/, '')}`
}

/** Undefined for what is no range. Host bits may be set; they are cleared. */
export function parseCidr(text: string): Cidr | undefined {
  const [left = '', right = '', ...rest] = text.split('/')
  const address = parseAddress(left)
  const prefix = Number(right)
  if (!address || rest.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(right) || prefix > bitsOf[address.family]) return undefined
  const { family } = address
  const host = (1n << BigInt(bitsOf[family] - prefix)) - 1n
  const first = address.value & ~host
  return { family, text: `${formatAddress({ family, value: first })}/${prefix}`, first, last: first | host, prefix }
}

export function contains({ family, first, last }: Cidr, text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && address.family === family && address.value >= first && address.value <= last
}

export const overlaps = (a: Cidr, b: Cidr): boolean => a.family === b.family && a.first <= b.last && b.first <= a.last

/** The address that comes so many after the range's own. */
export const addressAt = ({ family, first }: Cidr, offset: number | bigint): string =>
  formatAddress({ family, value: first + BigInt(offset) })

/** One range, or one of each family with a comma between them; undefined for what is neither. */
export function parseCidrs(text: string): Cidr[] | undefined {
  const all = text.split(',').map((each) => parseCidr(each.trim()))
  const cidrs = all.filter((cidr) => cidr !== undefined)
  const families = new Set(cidrs.map(({ family }) => family))
  return cidrs.length === all.length && families.size === cidrs.length ? cidrs : undefined
}
