// Notifications: what changed in a namespace's links, addresses, routes, rules, neighbours and forwarding
// entries, as it happens.

import { MessageReader } from '../netlink/message.ts'
import { openNetlink } from '../netlink/socket.ts'
import { isSysError } from '../sys-error.ts'
import { type InterfaceAddress, parseAddress, RTM_DELADDR, RTM_NEWADDR } from './address.ts'
import { type Link, parseLink, RTM_DELLINK, RTM_NEWLINK } from './link.ts'
import { type ForwardingEntry, type Neighbour, parseForwardingEntry, parseNeighbour, RTM_DELNEIGH, RTM_NEWNEIGH } from './neighbour.ts'
import { parseRoute, type Route, RTM_DELROUTE, RTM_NEWROUTE } from './route.ts'
import { parseRule, RTM_DELRULE, RTM_NEWRULE, type Rule } from './rule.ts'

// linux/rtnetlink.h, enum rtnetlink_groups
const groups = { link: [1], neighbour: [3], address: [5, 9], route: [7, 11], rule: [8, 19] }

export type Change =
  | { kind: 'link'; gone: boolean; link: Link }
  | { kind: 'address'; gone: boolean; address: InterfaceAddress }
  | { kind: 'route'; gone: boolean; route: Route }
  | { kind: 'rule'; gone: boolean; rule: Rule }
  /** Both come with kind `neighbour`. */
  | { kind: 'neighbour'; gone: boolean; neighbour: Neighbour }
  | { kind: 'forwarding entry'; gone: boolean; entry: ForwardingEntry }
  /** The kernel dropped notifications: whatever was learnt so far must be read anew. */
  | { kind: 'missed' }

/** Listening has begun when this resolves; the stream ends when closed or when its signal aborts. */
export const watchNetwork = async (options: {
  netns?: string
  kinds: readonly (keyof typeof groups)[]
  signal?: AbortSignal
}): Promise<{ changes(): AsyncGenerator<Change, void>; close(): void }> => {
  const socket = await openNetlink('route', { netns: options.netns, receiveBufferBytes: 4 * 1024 * 1024 })
  for (const kind of options.kinds) for (const group of groups[kind]) socket.join(group)
  const close = () => {
    options.signal?.removeEventListener('abort', close)
    socket.close()
  }
  options.signal?.addEventListener('abort', close, { once: true })
  if (options.signal?.aborted) close()
  return {
    close,
    async *changes() {
      const datagrams = socket.messages()[Symbol.asyncIterator]()
      for (;;) {
        let datagram: Uint8Array
        try {
          const next = await datagrams.next()
          if (next.done) return
          datagram = next.value
        } catch (error) {
          if (!isSysError(error, 'ENOBUFS')) throw error
          yield { kind: 'missed' }
          continue
        }
        const reader = new MessageReader(datagram)
        while (reader.next()) {
          const change = parseChange(reader)
          if (change) yield change
        }
      }
    },
  }
}

/** Exported for its tests. */
export const parseChange = (reader: MessageReader): Change | undefined => {
  switch (reader.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const link = parseLink(reader)
      return link && { kind: 'link', gone: reader.type === RTM_DELLINK, link }
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const address = parseAddress(reader)
      return address && { kind: 'address', gone: reader.type === RTM_DELADDR, address }
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const route = parseRoute(reader)
      return route && { kind: 'route', gone: reader.type === RTM_DELROUTE, route }
    }
    case RTM_NEWRULE:
    case RTM_DELRULE: {
      const rule = parseRule(reader)
      return rule && { kind: 'rule', gone: reader.type === RTM_DELRULE, rule }
    }
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: {
      const gone = reader.type === RTM_DELNEIGH
      const neighbour = parseNeighbour(reader)
      if (neighbour) return { kind: 'neighbour', gone, neighbour }
      const entry = parseForwardingEntry(reader)
      return entry && { kind: 'forwarding entry', gone, entry }
    }
  }
  return undefined
}
