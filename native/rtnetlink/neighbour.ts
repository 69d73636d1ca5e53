// Neighbours (an address on a link is that MAC) and forwarding entries of bridges and tunnels (that
// MAC is behind this port, or behind that tunnel end): both are struct ndmsg (linux/neighbour.h).

import { AF_INET, type AF_INET6, addressBytes, addressText, familyOf, macBytes, macText } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'

export const RTM_NEWNEIGH = 28
export const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30
const NDA_DST = 1
const NDA_LLADDR = 2
const NDA_IFINDEX = 8
const NUD_PERMANENT = 0x80
const NTF_SELF = 2
const AF_BRIDGE = 7
const infoSize = 12

export type Neighbour = { link: number; address: string; mac: string; permanent: boolean }
/** `to` is the tunnel end's address; absent for a bridge's own entries. */
export type ForwardingEntry = { link: number; mac: string; to?: string; permanent: boolean }

const write = (
  w: MessageWriter,
  family: number,
  link: number,
  flags: number,
  mac: string | undefined,
  address: string | undefined,
): void => {
  w.u32(family)
  w.u32(link)
  w.u16(NUD_PERMANENT)
  w.u8(flags)
  w.u8(0)
  if (address !== undefined) w.attrBytes(NDA_DST, addressBytes(address))
  if (mac !== undefined) w.attrBytes(NDA_LLADDR, macBytes(mac))
}

/** A permanent neighbour, in the place of what the address had. */
export const replaceNeighbour = ({ link, address, mac }: Omit<Neighbour, 'permanent'>): Command => ({
  type: RTM_NEWNEIGH,
  flags: NLM_F.CREATE | NLM_F.REPLACE,
  detail: `replace neighbour ${address} at ${mac} on link ${link}`,
  write: (w) => write(w, familyOf(address), link, 0, mac, address),
})

export const deleteNeighbour = ({ link, address }: Pick<Neighbour, 'link' | 'address'>): Command => ({
  type: RTM_DELNEIGH,
  flags: 0,
  detail: `delete neighbour ${address} on link ${link}`,
  write: (w) => write(w, familyOf(address), link, 0, undefined, address),
})

/** A permanent entry of the link itself: of a VXLAN, which tunnel end a MAC is behind. */
export const replaceForwardingEntry = ({ link, mac, to }: Omit<ForwardingEntry, 'permanent'>): Command => ({
  type: RTM_NEWNEIGH,
  flags: NLM_F.CREATE | NLM_F.REPLACE,
  detail: `replace forwarding entry ${mac} to ${to} on link ${link}`,
  write: (w) => write(w, AF_BRIDGE, link, NTF_SELF, mac, to),
})

export const deleteForwardingEntry = ({ link, mac, to }: Omit<ForwardingEntry, 'permanent'>): Command => ({
  type: RTM_DELNEIGH,
  flags: 0,
  detail: `delete forwarding entry ${mac} to ${to} on link ${link}`,
  write: (w) => write(w, AF_BRIDGE, link, NTF_SELF, mac, to),
})

const get = (family: number, link: number, what: string): Command => ({
  type: RTM_GETNEIGH,
  flags: NLM_F.DUMP,
  detail: `get ${what} of link ${link}`,
  write(w) {
    w.u32(family)
    w.zero(8)
    w.attrU32(NDA_IFINDEX, link)
  },
})

export const getNeighbours = (link: number, family: typeof AF_INET | typeof AF_INET6 = AF_INET): Command => get(family, link, 'neighbours')
export const getForwardingEntries = (link: number): Command => get(AF_BRIDGE, link, 'forwarding entries')

const parse = (reader: MessageReader): { family: number; link: number; mac: string; address?: string; permanent: boolean } => {
  const attributes = reader.attributes(infoSize)
  const { payload } = reader
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const entry: ReturnType<typeof parse> = {
    family: payload[0] as number,
    link: view.getUint32(4, true),
    mac: '',
    permanent: (view.getUint16(8, true) & NUD_PERMANENT) !== 0,
  }
  while (attributes.next()) {
    if (attributes.type === NDA_DST) entry.address = addressText(attributes.bytes())
    else if (attributes.type === NDA_LLADDR) entry.mac = macText(attributes.bytes())
  }
  return entry
}

/** Reads RTM_NEWNEIGH or RTM_DELNEIGH of a neighbour that has a MAC. */
export const parseNeighbour = (reader: MessageReader): Neighbour | undefined => {
  if (reader.type !== RTM_NEWNEIGH && reader.type !== RTM_DELNEIGH) return undefined
  const { family, link, mac, address, permanent } = parse(reader)
  return family === AF_BRIDGE || mac === '' || address === undefined ? undefined : { link, address, mac, permanent }
}

/** Reads RTM_NEWNEIGH or RTM_DELNEIGH of a forwarding entry. */
export const parseForwardingEntry = (reader: MessageReader): ForwardingEntry | undefined => {
  if (reader.type !== RTM_NEWNEIGH && reader.type !== RTM_DELNEIGH) return undefined
  const { family, link, mac, address, permanent } = parse(reader)
  return family === AF_BRIDGE ? { link, mac, to: address, permanent } : undefined
}
