// Addresses as text and as the bytes that netlink attributes hold.

import { isIPv4, isIPv6 } from 'node:net'
import { SysError } from '../sys-error.ts'

export const AF_INET = 2
export const AF_INET6 = 10

export const familyOf = (address: string): typeof AF_INET | typeof AF_INET6 => (address.includes(':') ? AF_INET6 : AF_INET)

/** 4 or 16 bytes of an IPv4 or IPv6 address; anything else is EINVAL. */
export const addressBytes = (address: string): Uint8Array => {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number)
  if (!isIPv6(address) || address.includes('%')) throw new SysError('EINVAL', 'address', address)
  // The last group may be an IPv4 address (RFC 4291, section 2.2).
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${group(a, b)}:${group(c, d)}`)
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...left, ...zeros.slice(left.length + right.length), ...right]
  return Uint8Array.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]))
}

const zeros = Array.from({ length: 8 }, () => '0')
const group = (high: string, low: string) => ((Number(high) << 8) | Number(low)).toString(16)

/** The canonical text (RFC 5952 for IPv6) of 4 or 16 bytes. */
export const addressText = (bytes: Uint8Array): string => {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new SysError('EBADMSG', 'address', `${bytes.length} bytes`)
  const groups = Array.from({ length: 8 }, (_, i) => (((bytes[i * 2] as number) << 8) | (bytes[i * 2 + 1] as number)).toString(16))
  let longest = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (groups[at + length] === '0') length++
    if (length > longest.length) longest = { at, length }
  }
  if (longest.at < 0) return groups.join(':')
  return `${groups.slice(0, longest.at).join(':')}::${groups.slice(longest.at + longest.length).join(':')}`
}

/** Six bytes of `02:ab:...`; anything else is EINVAL. */
export const macBytes = (mac: string): Uint8Array => {
  if (!/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(mac)) throw new SysError('EINVAL', 'address', mac)
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16))
}

export const macText = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')
