// Neighbour discovery (RFC 4861), for announcing an IPv6 address that the kernel does not have.

import { addressBytes, addressText, macBytes, macText } from 'nft-js'

/** Ethernet's number of IPv6. */
export const ETH_P_IPV6 = 0x86dd
const ICMPV6 = 58
const SOLICITATION = 135
const ADVERTISEMENT = 136
const SOLICITED = 0x40
const OVERRIDE = 0x20
const allNodes = 'ff02::1'

// Ethernet, IPv6, and of ICMPv6 the part that both messages have.
const ipAt = 14
const icmpAt = ipAt + 40
const targetAt = icmpAt + 8
const optionsAt = targetAt + 16

/** Classic BPF over the whole frame: solicitations and advertisements of ICMPv6, nothing else. */
export const ndpFilter = [
  [0x30, 0, 0, ipAt + 6], // ldb next header
  [0x15, 0, 4, ICMPV6], // jeq, else drop
  [0x30, 0, 0, icmpAt], // ldb type
  [0x15, 1, 0, SOLICITATION],
  [0x15, 0, 1, ADVERTISEMENT],
  [0x06, 0, 0, 0xffff], // take it whole
  [0x06, 0, 0, 0],
] as const

export type Solicitation = { kind: 'solicitation'; mac: string; source: string; target: string }
/** Says that `target` is at `mac`. */
export type Advertisement = { kind: 'advertisement'; mac: string; target: string }

/** Undefined for what is neither, or was routed here (its hop limit tells), or is cut short. */
export const parseNdp = (frame: Uint8Array): Solicitation | Advertisement | undefined => {
  if (frame.length < optionsAt) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const isNdp =
    view.getUint16(12) === ETH_P_IPV6 && frame[ipAt + 6] === ICMPV6 && frame[ipAt + 7] === 255 && view.getUint8(icmpAt + 1) === 0
  if (!isNdp) return undefined
  const target = addressText(frame.subarray(targetAt, targetAt + 16))
  if (frame[icmpAt] === SOLICITATION) {
    const source = addressText(frame.subarray(ipAt + 8, ipAt + 24))
    return { kind: 'solicitation', mac: macText(frame.subarray(6, 12)), source, target }
  }
  if (frame[icmpAt] !== ADVERTISEMENT) return undefined
  // Option 2: the target's link-layer address.
  const told = frame[optionsAt] === 2 && frame[optionsAt + 1] === 1 && frame.length >= optionsAt + 8
  return { kind: 'advertisement', mac: macText(told ? frame.subarray(optionsAt + 2, optionsAt + 8) : frame.subarray(6, 12)), target }
}

/** To who asked for it: the address is at `mac`. Who has no address yet, and looks whether this is free, is told with everyone. */
export const advertisementFor = ({ mac: asking, source, target }: Solicitation, mac: string): Uint8Array =>
  source === '::' ? unsolicited(target, mac) : frame({ to: source, toMac: asking, flags: SOLICITED | OVERRIDE, target, mac })

/** To everyone on the link. */
export const unsolicited = (target: string, mac: string): Uint8Array =>
  frame({ to: allNodes, toMac: '33:33:00:00:00:01', flags: OVERRIDE, target, mac })

/** Asks who has the address, from none (RFC 4862, section 5.4.2). */
export const ndpProbe = (target: string, mac: string): Uint8Array => {
  const group = addressBytes(groupOf(target))
  return frame({
    type: SOLICITATION,
    from: '::',
    to: groupOf(target),
    toMac: macText(Uint8Array.of(0x33, 0x33, ...group.subarray(12))),
    target,
    mac,
  })
}

/** The group in which who asks for an address looks for it (RFC 4291, section 2.7.1). */
export const groupOf = (address: string): string => {
  const bytes = addressBytes('ff02::1:ff00:0')
  bytes.set(addressBytes(address).subarray(13), 13)
  return addressText(bytes)
}

type Message = { type?: number; from?: string; to: string; toMac: string; flags?: number; target: string; mac: string }

/** Who asks from no address does not tell its own. */
const frame = ({ type = ADVERTISEMENT, from, to, toMac, flags = 0, target, mac }: Message): Uint8Array => {
  const bytes = new Uint8Array(optionsAt + (type === ADVERTISEMENT ? 8 : 0))
  const view = new DataView(bytes.buffer)
  const size = bytes.length - icmpAt
  bytes.set(macBytes(toMac), 0)
  bytes.set(macBytes(mac), 6)
  view.setUint16(12, ETH_P_IPV6)
  view.setUint8(ipAt, 0x60)
  view.setUint16(ipAt + 4, size)
  view.setUint8(ipAt + 6, ICMPV6)
  view.setUint8(ipAt + 7, 255)
  bytes.set(addressBytes(from ?? target), ipAt + 8)
  bytes.set(addressBytes(to), ipAt + 24)
  view.setUint8(icmpAt, type)
  view.setUint8(icmpAt + 4, flags)
  bytes.set(addressBytes(target), targetAt)
  if (type === ADVERTISEMENT) {
    view.setUint8(optionsAt, 2)
    view.setUint8(optionsAt + 1, 1)
    bytes.set(macBytes(mac), optionsAt + 2)
  }
  view.setUint16(icmpAt + 2, checksum(view, size))
  return bytes
}

/** Over both addresses, length, protocol and message (RFC 8200, section 8.1). */
const checksum = (view: DataView, size: number): number => {
  let sum = size + ICMPV6
  for (let at = ipAt + 8; at < icmpAt + size; at += 2) sum += view.getUint16(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
