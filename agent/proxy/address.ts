// IP addresses and prefixes as one text each, so that texts can be compared.

import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { Elements, type SetSpec } from 'nft-js'
import type { ProxyFamily } from './family.ts'

type Canonical = { text: string; family: ProxyFamily }

const ip6: SetSpec = { name: 'address', key: ['ipv6_addr'] }

/** Undefined for what is no address. */
export const canonicalAddress = (address: string): Canonical | undefined => {
  if (isIPv4(address)) return { text: address, family: 'ip' }
  if (!isIPv6(address) || address.includes('%')) return undefined
  return { text: new Elements(ip6).add([address]).text(0), family: 'ip6' }
}

const ranges: Record<ProxyFamily, SetSpec> = {
  ip: { name: 'prefix', key: ['ipv4_addr'], flags: ['interval'] },
  ip6: { name: 'prefix', key: ['ipv6_addr'], flags: ['interval'] },
}

/** Of `10.1.2.3/8`, `10.0.0.0/8`; a prefix of one address is that address. Undefined for what is no prefix. */
const canonicalPrefix = (prefix: string): (Canonical & { length: number }) | undefined => {
  const [, address = '', length = ''] = /^(.+)\/(\d{1,3})$/.exec(prefix.trim()) ?? []
  const canonical = canonicalAddress(address)
  if (!canonical || Number(length) > (canonical.family === 'ip' ? 32 : 128)) return undefined
  const text = new Elements(ranges[canonical.family]).add([`${canonical.text}/${length}`]).text(0)
  return { text, family: canonical.family, length: Number(length) }
}

/** Prefixes without those that lie within others: the kernel takes no overlap in a set of intervals. */
export const distinctPrefixes = (prefixes: readonly string[], fail: (prefix: string) => void): Record<ProxyFamily, string[]> => {
  const found: Record<ProxyFamily, string[]> = { ip: [], ip6: [] }
  // One for each family: to a list of both, an IPv4 address is also an IPv6 one.
  const covered = { ip: new BlockList(), ip6: new BlockList() }
  const canonical = prefixes.flatMap((prefix) => {
    const one = canonicalPrefix(prefix)
    if (!one) fail(prefix)
    return one ?? []
  })
  for (const { text, family, length } of canonical.sort((a, b) => a.length - b.length)) {
    const [network = ''] = text.split('/')
    const type = family === 'ip' ? 'ipv4' : 'ipv6'
    if (covered[family].check(network, type)) continue
    covered[family].addSubnet(network, length, type)
    found[family].push(text)
  }
  return found
}
