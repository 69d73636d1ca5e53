// Entries of the connection table (linux/netfilter/nfnetlink_conntrack.h).

import { AF_INET, AF_INET6, addressBytes, addressText } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type AttributeReader, type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'

const NFNL_SUBSYS_CTNETLINK = 1 << 8
const IPCTNL_MSG_CT_NEW = 0
const IPCTNL_MSG_CT_GET = 1
const IPCTNL_MSG_CT_DELETE = 2
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, TIMEOUT: 7, ID: 12, ZONE: 18 }
const CTA_TUPLE_IP = 1
const CTA_TUPLE_PROTO = 2
const CTA_IP = { V4_SRC: 1, V4_DST: 2, V6_SRC: 3, V6_DST: 4 }
const CTA_PROTO = { NUM: 1, SRC_PORT: 2, DST_PORT: 3, ICMP_ID: 4, ICMP_TYPE: 5, ICMP_CODE: 6, ICMPV6_ID: 7, ICMPV6_TYPE: 8, ICMPV6_CODE: 9 }
const infoSize = 4

export const protocols = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 } as const

/** One direction of a connection. The ports of what has none are 0. */
export type Tuple = {
  source: string
  destination: string
  protocol: number
  sourcePort: number
  destinationPort: number
  /** Of ICMP: one echo and its reply. */
  echo?: { id: number; type: number; code: number }
}

export type Connection = {
  original: Tuple
  reply: Tuple
  /** Kernel's own, so that only this very entry is deleted and not one that took its place. */
  id: number
  zone: number
  /** Seconds until it is forgotten. */
  timeout: number
}

const header = (w: MessageWriter, family: number): void => {
  w.u8(family)
  w.u8(0)
  w.u16be(0)
}

/** The whole table of one family. */
export const getConnections = (family: typeof AF_INET | typeof AF_INET6): Command => ({
  type: NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_GET,
  flags: NLM_F.DUMP,
  detail: 'get connections',
  write: (w) => header(w, family),
})

/** ENOENT if it went by itself. */
export const deleteConnection = ({ original, id, zone }: Connection): Command => ({
  type: NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_DELETE,
  flags: 0,
  detail: `delete connection ${original.source}:${original.sourcePort} to ${original.destination}:${original.destinationPort}`,
  write(w) {
    header(w, original.source.includes(':') ? AF_INET6 : AF_INET)
    writeTuple(w, CTA.TUPLE_ORIG, original)
    w.attrU32be(CTA.ID, id)
    if (zone !== 0) w.attrU16be(CTA.ZONE, zone)
  },
})

const writeTuple = (w: MessageWriter, type: number, tuple: Tuple): void => {
  const place = w.nest(type)
  const v6 = tuple.source.includes(':')
  const addresses = w.nest(CTA_TUPLE_IP)
  w.attrBytes(v6 ? CTA_IP.V6_SRC : CTA_IP.V4_SRC, addressBytes(tuple.source))
  w.attrBytes(v6 ? CTA_IP.V6_DST : CTA_IP.V4_DST, addressBytes(tuple.destination))
  w.unnest(addresses)
  const proto = w.nest(CTA_TUPLE_PROTO)
  w.attrU8(CTA_PROTO.NUM, tuple.protocol)
  if (tuple.echo) {
    w.attrU16be(v6 ? CTA_PROTO.ICMPV6_ID : CTA_PROTO.ICMP_ID, tuple.echo.id)
    w.attrU8(v6 ? CTA_PROTO.ICMPV6_TYPE : CTA_PROTO.ICMP_TYPE, tuple.echo.type)
    w.attrU8(v6 ? CTA_PROTO.ICMPV6_CODE : CTA_PROTO.ICMP_CODE, tuple.echo.code)
  } else {
    w.attrU16be(CTA_PROTO.SRC_PORT, tuple.sourcePort)
    w.attrU16be(CTA_PROTO.DST_PORT, tuple.destinationPort)
  }
  w.unnest(proto)
  w.unnest(place)
}

const parseTuple = (tuple: AttributeReader): Tuple => {
  const found: Tuple = { source: '', destination: '', protocol: 0, sourcePort: 0, destinationPort: 0 }
  const echo = { id: 0, type: 0, code: 0 }
  while (tuple.next()) {
    const inner = tuple.nested()
    if (tuple.type === CTA_TUPLE_IP) {
      while (inner.next()) {
        if (inner.type === CTA_IP.V4_SRC || inner.type === CTA_IP.V6_SRC) found.source = addressText(inner.bytes())
        else if (inner.type === CTA_IP.V4_DST || inner.type === CTA_IP.V6_DST) found.destination = addressText(inner.bytes())
      }
    } else if (tuple.type === CTA_TUPLE_PROTO) {
      while (inner.next()) {
        if (inner.type === CTA_PROTO.NUM) found.protocol = inner.u8()
        else if (inner.type === CTA_PROTO.SRC_PORT) found.sourcePort = inner.u16be()
        else if (inner.type === CTA_PROTO.DST_PORT) found.destinationPort = inner.u16be()
        else if (inner.type === CTA_PROTO.ICMP_ID || inner.type === CTA_PROTO.ICMPV6_ID) echo.id = inner.u16be()
        else if (inner.type === CTA_PROTO.ICMP_CODE || inner.type === CTA_PROTO.ICMPV6_CODE) echo.code = inner.u8()
        else if (inner.type === CTA_PROTO.ICMP_TYPE || inner.type === CTA_PROTO.ICMPV6_TYPE) {
          echo.type = inner.u8()
          found.echo = echo
        }
      }
    }
  }
  return found
}

/** Reads IPCTNL_MSG_CT_NEW. */
export const parseConnection = (reader: MessageReader): Connection | undefined => {
  if (reader.type !== (NFNL_SUBSYS_CTNETLINK | IPCTNL_MSG_CT_NEW)) return undefined
  const attributes = reader.attributes(infoSize)
  let original: Tuple | undefined
  let reply: Tuple | undefined
  const rest = { id: 0, zone: 0, timeout: 0 }
  while (attributes.next()) {
    if (attributes.type === CTA.TUPLE_ORIG) original = parseTuple(attributes.nested())
    else if (attributes.type === CTA.TUPLE_REPLY) reply = parseTuple(attributes.nested())
    else if (attributes.type === CTA.ID) rest.id = attributes.u32be()
    else if (attributes.type === CTA.ZONE) rest.zone = attributes.u16be()
    else if (attributes.type === CTA.TIMEOUT) rest.timeout = attributes.u32be()
  }
  return original && reply && { original, reply, ...rest }
}
