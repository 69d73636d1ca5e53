// Unicast routes (linux/rtnetlink.h, struct rtmsg).

import { AF_INET, AF_INET6, addressBytes, addressText, familyOf } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'

export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETROUTE = 26
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15 }
const RTAX_MTU = 2
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3
/** RTN_* */
const kinds = { unicast: 1, blackhole: 6, unreachable: 7, prohibit: 8 } as const
const RTNH_F_ONLINK = 4
const scopes = { universe: 0, link: 253 }
const infoSize = 12

export type Route = {
  /** `default`, or address/prefix. */
  to: string
  via?: string
  /** Index of the outgoing interface. */
  link?: number
  /** The gateway is reachable on the link although no route says so. */
  onlink?: boolean
  /** Source address for what this host sends itself. */
  source?: string
  mtu?: number
  metric?: number
  /** Default `unicast`; the others go nowhere, with or without a word to the sender. */
  kind?: keyof typeof kinds
  /** Of `default` without a gateway; otherwise the addresses tell. */
  family?: typeof AF_INET | typeof AF_INET6
  /** Who made it: RTPROT_*. Default 3, boot. */
  protocol?: number
  /** Default 254, main. */
  table?: number
}

const split = (route: Route): { family: number; address?: Uint8Array; prefix: number } => {
  if (route.to === 'default') return { family: route.family ?? familyOf(route.via ?? ''), prefix: 0 }
  const [address = '', prefix] = route.to.split('/')
  const bytes = addressBytes(address)
  return { family: familyOf(address), address: bytes, prefix: prefix === undefined ? bytes.length * 8 : Number(prefix) }
}

const write = (w: MessageWriter, route: Route): void => {
  const { family, address, prefix } = split(route)
  const table = route.table ?? RT_TABLE_MAIN
  w.u8(family)
  w.u8(prefix)
  w.u8(0)
  w.u8(0)
  w.u8(table < 256 ? table : 0)
  w.u8(route.protocol ?? RTPROT_BOOT)
  w.u8(route.via === undefined && family === AF_INET && (route.kind ?? 'unicast') === 'unicast' ? scopes.link : scopes.universe)
  w.u8(kinds[route.kind ?? 'unicast'])
  w.u32(route.onlink ? RTNH_F_ONLINK : 0)
  if (address && prefix > 0) w.attrBytes(RTA.DST, address)
  if (route.via !== undefined) w.attrBytes(RTA.GATEWAY, addressBytes(route.via))
  if (route.link !== undefined) w.attrU32(RTA.OIF, route.link)
  if (route.source !== undefined) w.attrBytes(RTA.PREFSRC, addressBytes(route.source))
  if (route.metric !== undefined) w.attrU32(RTA.PRIORITY, route.metric)
  if (table > 255) w.attrU32(RTA.TABLE, table)
  if (route.mtu === undefined) return
  const metrics = w.nest(RTA.METRICS)
  w.attrU32(RTAX_MTU, route.mtu)
  w.unnest(metrics)
}

const named = (route: Route): string =>
  [route.to, route.via && `via ${route.via}`, route.link && `link ${route.link}`].filter(Boolean).join(' ')

/** EEXIST if there is one to the same destination. */
export const addRoute = (route: Route): Command => ({
  type: RTM_NEWROUTE,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add route ${named(route)}`,
  write: (w) => write(w, route),
})

/** Adds it, or puts it in the place of the one to the same destination. */
export const replaceRoute = (route: Route): Command => ({
  ...addRoute(route),
  flags: NLM_F.CREATE | NLM_F.REPLACE,
  detail: `replace route ${named(route)}`,
})

export const deleteRoute = (route: Route): Command => ({
  type: RTM_DELROUTE,
  flags: 0,
  detail: `delete route ${named(route)}`,
  write: (w) => write(w, route),
})

/** Routes of every table, or those that one protocol made. */
export const getRoutes = (options: { family?: typeof AF_INET | typeof AF_INET6; protocol?: number } = {}): Command => ({
  type: RTM_GETROUTE,
  flags: NLM_F.DUMP,
  detail: 'get routes',
  write(w) {
    w.u8(options.family ?? AF_INET)
    w.zero(4)
    w.u8(options.protocol ?? 0)
    w.zero(6)
  },
})

/** Reads RTM_NEWROUTE or RTM_DELROUTE; local, broadcast and multicast ones are left out. */
export const parseRoute = (reader: MessageReader): Route | undefined => {
  if (reader.type !== RTM_NEWROUTE && reader.type !== RTM_DELROUTE) return undefined
  const attributes = reader.attributes(infoSize)
  const { payload } = reader
  const kind = (Object.keys(kinds) as (keyof typeof kinds)[]).find((name) => kinds[name] === payload[7])
  if (!kind) return undefined
  const prefix = payload[1] as number
  const route: Route = { to: prefix === 0 ? 'default' : '', protocol: payload[5], table: payload[4] }
  if (kind !== 'unicast') route.kind = kind
  if (prefix === 0 && payload[0] === AF_INET6) route.family = AF_INET6
  if ((payload[8] as number) & RTNH_F_ONLINK) route.onlink = true
  while (attributes.next()) {
    switch (attributes.type) {
      case RTA.DST:
        route.to = `${addressText(attributes.bytes())}/${prefix}`
        break
      case RTA.GATEWAY:
        route.via = addressText(attributes.bytes())
        break
      case RTA.OIF:
        route.link = attributes.u32()
        break
      case RTA.PREFSRC:
        route.source = addressText(attributes.bytes())
        break
      case RTA.PRIORITY:
        route.metric = attributes.u32()
        break
      case RTA.TABLE:
        route.table = attributes.u32()
        break
      case RTA.METRICS: {
        const metrics = attributes.nested()
        while (metrics.next()) if (metrics.type === RTAX_MTU) route.mtu = metrics.u32()
      }
    }
  }
  return route
}
