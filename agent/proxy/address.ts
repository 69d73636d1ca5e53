// IP addresses as one text each, so that texts can be compared.

import { isIPv4, isIPv6 } from 'node:net'
import { Elements, type SetSpec } from 'nft-js'
import type { ProxyFamily } from './layout.ts'

const ip6: SetSpec = { name: 'address', key: ['ipv6_addr'] }

/** Undefined for what is no address. */
export const canonicalAddress = (address: string): { text: string; family: ProxyFamily } | undefined => {
  if (isIPv4(address)) return { text: address, family: 'ip' }
  if (!isIPv6(address) || address.includes('%')) return undefined
  return { text: new Elements(ip6).add([address]).text(0), family: 'ip6' }
}
