// Network interfaces (linux/if_link.h, rtnetlink(7)).

import { addressBytes, addressText, familyOf, macBytes, macText } from '../netlink/address.ts'
import type { Command } from '../netlink/exchange.ts'
import { type AttributeReader, type MessageReader, type MessageWriter, NLM_F } from '../netlink/message.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
const RTM_GETLINK = 18
const RTM_SETLINK = 19

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  IFALIAS: 20,
  AF_SPEC: 26,
  NET_NS_FD: 28,
}
const IFLA_INFO_KIND = 1
const IFLA_INFO_DATA = 2
const IFLA_INFO_SLAVE_KIND = 4
const IFLA_INFO_SLAVE_DATA = 5
const IFLA_BRPORT_MODE = 4
const IFLA_BRPORT_ISOLATED = 33
const VETH_INFO_PEER = 1
const IFLA_INET6_ADDR_GEN_MODE = 8
const IFLA_MACVLAN_MODE = 1
/** MACVLAN_MODE_*: whether those on one parent reach each other through the switch, directly, not at all, or have the parent alone. */
const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const
const IFLA_VXLAN = { ID: 1, LOCAL: 4, LEARNING: 7, PORT: 15, LOCAL6: 17 }
const AF_INET6 = 10
const IFF_UP = 1
const IFF_LOWER_UP = 0x1_0000
const infoSize = 16

export type Link = {
  index: number
  name: string
  up: boolean
  /** Something is at the other end: a cable, the peer of a veth, a port of a bridge. */
  carrier: boolean
  /** `veth`, `bridge`, `vxlan`...; absent for hardware and loopback. */
  kind?: string
  mtu: number
  /** MAC address. */
  address?: string
  alias?: string
  /** Index of the bridge that it is a port of. */
  master?: number
  /** Index of a veth's other end or of what a macvlan is on, in whichever namespace that is. */
  peer?: number
  vxlan?: Vxlan
  macvlan?: keyof typeof macvlanModes
}
type Vxlan = { id: number; port: number; local?: string; learning: boolean }

/** What can be given to a link that is being made or exists. */
export type LinkSettings = {
  name?: string
  up?: boolean
  mtu?: number
  address?: string
  /** Index of the bridge; 0 takes it out. */
  master?: number
  /** Descriptor of the network namespace it is to be in. */
  netnsFd?: number
}

type EndOfVeth = Omit<LinkSettings, 'up'> & { name: string }

/** How a link is named: by index or name. */
type Which = number | string

const writeInfo = (w: MessageWriter, options: { index?: number; up?: boolean }): void => {
  w.u8(0)
  w.u8(0)
  w.u16(0)
  w.u32(options.index ?? 0)
  w.u32(options.up ? IFF_UP : 0)
  w.u32(options.up === undefined ? 0 : IFF_UP)
}

const writeSettings = (w: MessageWriter, settings: LinkSettings): void => {
  if (settings.name !== undefined) w.attrString(IFLA.IFNAME, settings.name)
  if (settings.mtu !== undefined) w.attrU32(IFLA.MTU, settings.mtu)
  if (settings.address !== undefined) w.attrBytes(IFLA.ADDRESS, macBytes(settings.address))
  if (settings.master !== undefined) w.attrU32(IFLA.MASTER, settings.master)
  if (settings.netnsFd !== undefined) w.attrU32(IFLA.NET_NS_FD, settings.netnsFd)
}

const add = (kind: string, settings: LinkSettings & { name: string; parent?: number }, data?: (w: MessageWriter) => void): Command => ({
  type: RTM_NEWLINK,
  flags: NLM_F.CREATE | NLM_F.EXCL,
  detail: `add ${kind} ${settings.name}`,
  write(w) {
    writeInfo(w, settings)
    writeSettings(w, settings)
    if (settings.parent !== undefined) w.attrU32(IFLA.LINK, settings.parent)
    const info = w.nest(IFLA.LINKINFO)
    w.attrString(IFLA_INFO_KIND, kind)
    if (data) {
      const nest = w.nest(IFLA_INFO_DATA)
      data(w)
      w.unnest(nest)
    }
    w.unnest(info)
  },
})

export const addBridge = (settings: LinkSettings & { name: string }): Command => add('bridge', settings)

/** A link that gives back what is redirected to it, as fast as its queue allows. */
export const addIfb = (settings: LinkSettings & { name: string }): Command => add('ifb', settings)

/** Both ends at once; the peer appears in its own namespace, never in this one. Neither can be up before both are there: set that after. */
export const addVeth = (settings: EndOfVeth & { peer: EndOfVeth }): Command =>
  add('veth', settings, (w) => {
    const peer = w.nest(VETH_INFO_PEER)
    writeInfo(w, {})
    writeSettings(w, settings.peer)
    w.unnest(peer)
  })

/** UDP `port` on the wire; `local` is the source address of the tunnel's packets. */
export const addVxlan = (settings: LinkSettings & { name: string; vxlan: Vxlan }): Command =>
  add('vxlan', settings, (w) => {
    const { id, port, local, learning } = settings.vxlan
    w.attrU32(IFLA_VXLAN.ID, id)
    if (local !== undefined) w.attrBytes(familyOf(local) === AF_INET6 ? IFLA_VXLAN.LOCAL6 : IFLA_VXLAN.LOCAL, addressBytes(local))
    w.attrU8(IFLA_VXLAN.LEARNING, learning ? 1 : 0)
    w.attrU16be(IFLA_VXLAN.PORT, port)
  })

/** A link with a MAC of its own on the interface with index `parent`. */
export const addMacvlan = (settings: LinkSettings & { name: string; parent: number; mode: keyof typeof macvlanModes }): Command =>
  add('macvlan', settings, (w) => w.attrU32(IFLA_MACVLAN_MODE, macvlanModes[settings.mode]))

export const setLink = (
  which: Which,
  settings: LinkSettings & {
    alias?: string
    /** Whether it gives itself an fe80:: address when it comes up. */
    ipv6LinkLocal?: boolean
  },
): Command => ({
  type: RTM_SETLINK,
  flags: 0,
  detail: `set link ${which}`,
  write(w) {
    writeInfo(w, { index: typeof which === 'number' ? which : 0, up: settings.up })
    if (typeof which === 'string') w.attrString(IFLA.IFNAME, which)
    writeSettings(w, settings)
    if (settings.alias !== undefined) w.attrString(IFLA.IFALIAS, settings.alias)
    if (settings.ipv6LinkLocal === undefined) return
    const spec = w.nest(IFLA.AF_SPEC)
    const inet6 = w.nest(AF_INET6)
    // IN6_ADDR_GEN_MODE_EUI64 and _NONE.
    w.attrU8(IFLA_INET6_ADDR_GEN_MODE, settings.ipv6LinkLocal ? 0 : 1)
    w.unnest(inet6)
    w.unnest(spec)
  },
})

/**
 * Settings of a bridge's port, once the link is one. `hairpin`: frames may leave by the port they came in. `isolated`: none
 * come from or go to other ports that are (Linux 4.18).
 */
export const setBridgePort = (which: Which, { hairpin, isolated }: { hairpin: boolean; isolated: boolean }): Command => ({
  type: RTM_NEWLINK, // RTM_SETLINK leaves a port's settings alone
  flags: 0,
  detail: `set bridge port ${which}`,
  write(w) {
    writeInfo(w, { index: typeof which === 'number' ? which : 0 })
    if (typeof which === 'string') w.attrString(IFLA.IFNAME, which)
    const info = w.nest(IFLA.LINKINFO)
    w.attrString(IFLA_INFO_SLAVE_KIND, 'bridge')
    const data = w.nest(IFLA_INFO_SLAVE_DATA)
    w.attrU8(IFLA_BRPORT_MODE, hairpin ? 1 : 0)
    w.attrU8(IFLA_BRPORT_ISOLATED, isolated ? 1 : 0)
    w.unnest(data)
    w.unnest(info)
  },
})

export const deleteLink = (which: Which): Command => ({
  type: RTM_DELLINK,
  flags: 0,
  detail: `delete link ${which}`,
  write(w) {
    writeInfo(w, { index: typeof which === 'number' ? which : 0 })
    if (typeof which === 'string') w.attrString(IFLA.IFNAME, which)
  },
})

/** One link, or all of them. */
export const getLinks = (which?: Which): Command => ({
  type: RTM_GETLINK,
  flags: which === undefined ? NLM_F.DUMP : 0,
  detail: which === undefined ? 'get links' : `get link ${which}`,
  write(w) {
    writeInfo(w, { index: typeof which === 'number' ? which : 0 })
    if (typeof which === 'string') w.attrString(IFLA.IFNAME, which)
  },
})

/** Reads RTM_NEWLINK or RTM_DELLINK. */
export const parseLink = (reader: MessageReader): Link | undefined => {
  if (reader.type !== RTM_NEWLINK && reader.type !== RTM_DELLINK) return undefined
  const attributes = reader.attributes(infoSize)
  const { payload } = reader
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const flags = view.getUint32(8, true)
  const link: Link = { index: view.getInt32(4, true), name: '', up: (flags & IFF_UP) !== 0, carrier: (flags & IFF_LOWER_UP) !== 0, mtu: 0 }
  while (attributes.next()) {
    switch (attributes.type) {
      case IFLA.IFNAME:
        link.name = attributes.string()
        break
      case IFLA.MTU:
        link.mtu = attributes.u32()
        break
      case IFLA.ADDRESS:
        link.address = macText(attributes.bytes())
        break
      case IFLA.IFALIAS:
        link.alias = attributes.string()
        break
      case IFLA.MASTER:
        link.master = attributes.u32()
        break
      case IFLA.LINK:
        link.peer = attributes.u32()
        break
      case IFLA.LINKINFO:
        parseKind(attributes.nested(), link)
    }
  }
  return link
}

const parseKind = (info: AttributeReader, link: Link): void => {
  while (info.next()) {
    if (info.type === IFLA_INFO_KIND) link.kind = info.string()
    else if (info.type === IFLA_INFO_DATA && link.kind === 'vxlan') link.vxlan = parseVxlan(info.nested())
    else if (info.type === IFLA_INFO_DATA && link.kind === 'macvlan') link.macvlan = parseMacvlan(info.nested())
  }
}

const parseMacvlan = (data: AttributeReader): Link['macvlan'] => {
  let mode = 0
  while (data.next()) if (data.type === IFLA_MACVLAN_MODE) mode = data.u32()
  return (Object.keys(macvlanModes) as (keyof typeof macvlanModes)[]).find((name) => macvlanModes[name] === mode)
}

const parseVxlan = (data: AttributeReader): Vxlan => {
  const vxlan: Vxlan = { id: 0, port: 0, learning: false }
  while (data.next()) {
    if (data.type === IFLA_VXLAN.ID) vxlan.id = data.u32()
    else if (data.type === IFLA_VXLAN.PORT) vxlan.port = data.u16be()
    else if (data.type === IFLA_VXLAN.LEARNING) vxlan.learning = data.u8() !== 0
    else if (data.type === IFLA_VXLAN.LOCAL || data.type === IFLA_VXLAN.LOCAL6) vxlan.local = addressText(data.bytes())
  }
  return vxlan
}
