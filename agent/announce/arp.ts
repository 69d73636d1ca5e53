// ARP over Ethernet (RFC 826), for announcing an IPv4 address that the kernel does not have.

import { addressBytes, addressText, macBytes, macText } from 'nft-js'

/** Ethernet's number of the protocol. */
export const ETH_P_ARP = 0x0806
const everyone = 'ff:ff:ff:ff:ff:ff'
const nobody = '00:00:00:00:00:00'
const operations = { request: 1, reply: 2 } as const
const length = 42

export type Arp = {
  operation: keyof typeof operations
  /** Who says that it has `senderAddress`. */
  senderMac: string
  senderAddress: string
  targetAddress: string
}

/** Undefined for what is not ARP for IPv4, whole. */
export const parseArp = (frame: Uint8Array): Arp | undefined => {
  if (frame.length < length) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const isArp = view.getUint16(12) === ETH_P_ARP && view.getUint32(14) === 0x0001_0800 && view.getUint16(18) === 0x0604
  const number = view.getUint16(20)
  if (!isArp || (number !== 1 && number !== 2)) return undefined
  return {
    operation: number === 1 ? 'request' : 'reply',
    senderMac: macText(frame.subarray(22, 28)),
    senderAddress: addressText(frame.subarray(28, 32)),
    targetAddress: addressText(frame.subarray(38, 42)),
  }
}

/** To who asked for it: the address is at `mac`. */
export const arpReply = (request: Arp, mac: string): Uint8Array =>
  frame('reply', request.senderMac, {
    sender: [mac, request.targetAddress],
    target: [request.senderMac, request.senderAddress],
  })

/** To everyone on the link, in both forms: some hosts listen to the one only, some to the other (RFC 5227, section 3). */
export const arpAnnouncements = (address: string, mac: string): Uint8Array[] => [
  frame('request', everyone, { sender: [mac, address], target: [nobody, address] }),
  frame('reply', everyone, { sender: [mac, address], target: [everyone, address] }),
]

/** Asks who has the address, without saying that the asker has any (RFC 5227, section 2.1). */
export const arpProbe = (address: string, mac: string): Uint8Array =>
  frame('request', everyone, { sender: [mac, '0.0.0.0'], target: [nobody, address] })

type Party = readonly [mac: string, address: string]

const frame = (operation: Arp['operation'], to: string, { sender, target }: { sender: Party; target: Party }): Uint8Array => {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  bytes.set(macBytes(to), 0)
  bytes.set(macBytes(sender[0]), 6)
  view.setUint16(12, ETH_P_ARP)
  view.setUint32(14, 0x0001_0800)
  view.setUint16(18, 0x0604)
  view.setUint16(20, operations[operation])
  bytes.set(macBytes(sender[0]), 22)
  bytes.set(addressBytes(sender[1]), 28)
  bytes.set(macBytes(target[0]), 32)
  bytes.set(addressBytes(target[1]), 38)
  return bytes
}
