// Addresses of interfaces (linux/if_addr.h).

import { addressBytes, addressText, familyOf } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'

export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
const RTM_GETADDR = 22
const IFA_ADDRESS = 1
const IFA_LOCAL = 2
const IFA_FLAGS = 8
const IFA_F_NODAD = 0x02
/** Temporary (RFC 8981; of IPv4: secondary), failed duplicate detection, deprecated, tentative. */
const IFA_F_PASSING = 0x01 | 0x08 | 0x20 | 0x40
const AF_INET = 2
const infoSize = 8

export type InterfaceAddress = {
  /** Index of the interface. */
  link: number
  address: string
  prefix: number
  /** 0 global, 253 link, 254 host. */
  scope: number
  /** Not one to be known by: temporary or secondary, deprecated, or not yet found to be nobody else's. */
  passing?: true
}
type Given = Omit<InterfaceAddress, 'scope' | 'passing'> & { scope?: number }

const write = (w: MessageWriter, { link, address, prefix, scope = 0 }: Given): void => {
  const family = familyOf(address)
  const bytes = addressBytes(address)
  w.u8(family)
  w.u8(prefix)
  w.u8(0)
  w.u8(scope)
  w.u32(link)
  if (family === AF_INET) w.attrBytes(IFA_LOCAL, bytes)
  w.attrBytes(IFA_ADDRESS, bytes)
  // An address that waits for duplicate detection cannot be bound for a second or two.
  if (family !== AF_INET) w.attrU32(IFA_FLAGS, IFA_F_NODAD)
}

/** EEXIST if the interface has it. */
export const addAddress = (address: Given): Command => ({
  type: RTM_NEWADDR,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add address ${address.address}/${address.prefix} to link ${address.link}`,
  write: (w) => write(w, address),
})

export const deleteAddress = (address: Given): Command => ({
  type: RTM_DELADDR,
  flags: 0,
  detail: `delete address ${address.address}/${address.prefix} of link ${address.link}`,
  write: (w) => write(w, address),
})

/** All, or those of one interface. */
export const getAddresses = (link = 0): Command => ({
  type: RTM_GETADDR,
  flags: NLM_F.DUMP,
  detail: 'get addresses',
  write(w) {
    w.u32(0)
    w.u32(link)
  },
})

/** Reads RTM_NEWADDR or RTM_DELADDR. */
export const parseAddress = (reader: MessageReader): InterfaceAddress | undefined => {
  if (reader.type !== RTM_NEWADDR && reader.type !== RTM_DELADDR) return undefined
  const attributes = reader.attributes(infoSize)
  const { payload } = reader
  const link = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(4, true)
  const found: InterfaceAddress = { link, address: '', prefix: payload[1] as number, scope: payload[3] as number }
  while (attributes.next()) {
    // Of a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL, where there is one, is ours.
    if (attributes.type === IFA_LOCAL) found.address = addressText(attributes.bytes())
    else if (attributes.type === IFA_ADDRESS && found.address === '') found.address = addressText(attributes.bytes())
    else if (attributes.type === IFA_FLAGS && (attributes.u32() & IFA_F_PASSING) !== 0) found.passing = true
  }
  return found
}
