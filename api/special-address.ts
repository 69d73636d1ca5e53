// Addresses that mean something else on every machine: nothing that many machines read may name one, and nobody is
// sent to one on behalf of somebody else.

import { contains, formatAddress, parseAddress, parseCidr } from './cidr.ts'

const ranges = [
  { why: 'may not be in the loopback range (127.0.0.0/8, ::1/128)', cidrs: ['127.0.0.0/8', '::1/128'] },
  { why: 'may not be in the link-local range (169.254.0.0/16, fe80::/10)', cidrs: ['169.254.0.0/16', 'fe80::/10'] },
  { why: 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)', cidrs: ['224.0.0.0/24', 'ff02::/16'] },
  { why: 'may not be a multicast address (224.0.0.0/4, ff00::/8)', cidrs: ['224.0.0.0/4', 'ff00::/8'] },
].map(({ why, cidrs }) => ({ why, cidrs: cidrs.map((text) => parseCidr(text)).filter((cidr) => cidr !== undefined) }))

/** All others begin otherwise. */
const suspect = /^(?:0|127|169|22[4-9]|23\d)\.|^[:0]|^f[ef]/i

/** IPv6 that carries an IPv4 address goes where that goes (RFC 4291, section 2.5.5). */
function plain(text: string): string | undefined {
  const address = parseAddress(text)
  if (!address) return undefined
  const { family, value } = address
  const prefix = value >> 32n
  const carries = family === 'IPv6' && (prefix === 0xffffn || (prefix === 0n && value > 1n))
  return formatAddress(carries ? { family: 'IPv4', value: value & 0xffffffffn } : address)
}

/** What is against an address, in Kubernetes' words; undefined for one like any other, and for what is no address. */
export function specialAddress(text: string): string | undefined {
  if (!suspect.test(text)) return undefined
  const address = plain(text)
  if (address === undefined) return undefined
  // All of 0.0.0.0/8 is "this host" (RFC 1122, section 3.2.1.3).
  if (address === '::' || address.startsWith('0.')) return `may not be unspecified (${text})`
  return ranges.find(({ cidrs }) => cidrs.some((cidr) => contains(cidr, address)))?.why
}
