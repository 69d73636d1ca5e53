// Ethernet frames of one protocol on one link: what a host's kernel answers of itself, answered here
// for addresses that it does not have (packet(7)).

import { addon, READABLE, type SocketHandle } from './addon.ts'
import { addressBytes } from './netlink/address.ts'
import { isSysError } from './sys-error.ts'

const AF_PACKET = 17
const AF_INET6 = 10
const SOCK_RAW = 3
const SOCK_DGRAM = 2
const IPPROTO_IPV6 = 41
const IPV6_JOIN_GROUP = 20
const IPV6_LEAVE_GROUP = 21
const longestFrame = 2048
/** Then the rest of the process has its turn. */
const mostAtOnce = 64

export interface FrameSocket {
  /** One frame, with its Ethernet header. Throws SysError (ENETDOWN while the link is). */
  send(frame: Uint8Array): void
  /** The link takes frames for this IPv6 group, and switches that listen are told; until left or closed. Idempotent. */
  join(group: string): void
  leave(group: string): void
  /** Idempotent. */
  close(): void
}

export type FrameOptions = {
  netns?: string
  /** The link's index. */
  link: number
  /** Ethernet's number of the protocol, 0x0806 for ARP. */
  protocol: number
  /** Instructions of classic BPF, `[code, jt, jf, k]`: frames for which they return 0 are not seen. */
  filter?: readonly (readonly [code: number, jt: number, jf: number, k: number])[]
  /** Gets every frame that others sent, valid during the call. */
  onFrame: (frame: Uint8Array) => void
  /** The link is gone or down: the socket is closed, and must be opened anew once the link is back. */
  onEnd: (error: unknown) => void
}

export const openFrames = async ({ netns, link, protocol, filter, onFrame, onEnd }: FrameOptions): Promise<FrameSocket> => {
  // Protocol 0: nothing arrives before the filter is there.
  const socket = await addon.openSocket(netns, AF_PACKET, SOCK_RAW, 0)
  const groups = new Set<string>()
  let members: SocketHandle | undefined
  let open = true
  const close = () => {
    if (!open) return
    open = false
    addon.close(socket)
    if (members) addon.close(members)
  }
  try {
    if (filter) addon.attachFilter(socket, assemble(filter))
    members = await addon.openSocket(netns, AF_INET6, SOCK_DGRAM, 0).catch((error: unknown) => {
      if (isSysError(error, 'EAFNOSUPPORT')) return undefined
      throw error
    })
    addon.bindLink(socket, link, protocol)
  } catch (error) {
    close()
    throw error
  }

  const membership = (option: number, group: string) => {
    const request = new Uint8Array(20)
    request.set(addressBytes(group))
    new DataView(request.buffer).setInt32(16, link, true)
    if (members) addon.setOptionBytes(members, IPPROTO_IPV6, option, request)
  }
  const into = new Uint8Array(longestFrame)
  const turn = () => {
    try {
      for (let i = 0, size = 0; i < mostAtOnce && size >= 0; i++) {
        size = addon.receive(socket, into)
        if (size >= 0 && size <= longestFrame) onFrame(into.subarray(0, size))
        if (!open) return
      }
      addon.arm(socket, READABLE, turn)
    } catch (error) {
      close()
      onEnd(error)
    }
  }
  turn()

  return {
    send(frame) {
      addon.send(socket, frame)
    },
    join(group) {
      if (groups.has(group)) return
      membership(IPV6_JOIN_GROUP, group)
      groups.add(group)
    },
    leave(group) {
      if (groups.delete(group)) membership(IPV6_LEAVE_GROUP, group)
    },
    close,
  }
}

/** struct sock_filter (linux/filter.h). */
const assemble = (filter: NonNullable<FrameOptions['filter']>): Uint8Array => {
  const program = new Uint8Array(filter.length * 8)
  const view = new DataView(program.buffer)
  filter.forEach(([code, jt, jf, k], i) => {
    view.setUint16(i * 8, code, true)
    view.setUint8(i * 8 + 2, jt)
    view.setUint8(i * 8 + 3, jf)
    view.setUint32(i * 8 + 4, k, true)
  })
  return program
}
