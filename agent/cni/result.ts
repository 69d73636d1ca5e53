// What ADD answers (spec, section 5), as far as we look at it; the rest is handed on as it is.

import { isIP, isIPv4 } from 'node:net'
import { PluginError } from './plugin.ts'

export type Result = {
  readonly cniVersion?: string
  readonly interfaces?: readonly { readonly name?: string; readonly sandbox?: string }[]
  readonly ips?: readonly { readonly address?: string; readonly interface?: number }[]
  readonly [field: string]: unknown
}

export const isResult = (value: unknown): value is Result => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { ips = [], interfaces = [] } = value as Record<string, unknown>
  return [ips, interfaces].every((list) => Array.isArray(list) && list.every((item) => typeof item === 'object' && item !== null))
}

/** The pod's addresses, IPv4 first: those of its interface, or of no interface in particular. Throws if there are none. */
export const addressesOf = ({ ips = [], interfaces = [] }: Result, ifname: string): string[] => {
  const isPods = (index: number | undefined) => {
    if (index === undefined) return true
    const link = interfaces[index]
    return Boolean(link?.sandbox) && link?.name === ifname
  }
  const addresses = ips.filter((ip) => isPods(ip.interface)).map(({ address = '' }) => address.split('/')[0] as string)
  const wrong = addresses.find((address) => isIP(address) === 0)
  if (wrong !== undefined) throw new PluginError(`the result has an address that is none: ${JSON.stringify(wrong)}`)
  if (addresses.length === 0) throw new PluginError(`the result has no address for ${ifname}`)
  return [...addresses.filter((address) => isIPv4(address)), ...addresses.filter((address) => !isIPv4(address))]
}
