// Packets over a unix socket (SOCK_SEQPACKET), which Node's own sockets do not speak.

import { addon, READABLE, WRITABLE } from './addon.ts'
import { isSysError, SysError } from './sys-error.ts'

const AF_UNIX = 1
const SOCK_SEQPACKET = 5
const longestPacket = 64 << 10

export interface PacketSocket {
  /** Resolves once the kernel has taken the packet. Rejects with SysError (EPIPE once the other side is gone). */
  send(packet: Uint8Array): Promise<void>
  close(): void
}

/** `path` has at most 107 bytes; `/proc/self/fd/N/name` shortens it. What arrives goes to `onPacket`, valid during the call, or is dropped. */
export const connectPackets = async (path: string, onPacket: (packet: Uint8Array) => void = () => {}): Promise<PacketSocket> => {
  const socket = await addon.openSocket(undefined, AF_UNIX, SOCK_SEQPACKET, 0)
  try {
    addon.connect(socket, path, 0)
  } catch (error) {
    addon.close(socket)
    throw error
  }
  const into = new Uint8Array(longestPacket)
  const waiting: { packet: Uint8Array; resolve: () => void; reject: (error: unknown) => void }[] = []
  let [open, ended] = [true, false]

  const close = (reason = new SysError('EPIPE', 'send', path)) => {
    if (!open) return
    open = false
    addon.close(socket)
    for (const { reject } of waiting.splice(0)) reject(reason)
  }
  const send = () => {
    while (waiting.length > 0) {
      const { packet, resolve, reject } = waiting[0]!
      try {
        addon.send(socket, packet)
      } catch (error) {
        if (isSysError(error, 'EAGAIN')) return
        waiting.shift()
        reject(error)
        continue
      }
      waiting.shift()
      resolve()
    }
  }
  const receive = () => {
    for (let size = addon.receive(socket, into); size >= 0; size = addon.receive(socket, into)) {
      if (size === 0) {
        ended = true
        return
      }
      onPacket(into.subarray(0, Math.min(size, longestPacket)))
      if (!open) return
    }
  }
  const turn = () => {
    if (!open) return
    try {
      if (!ended) receive()
      if (!open) return
      send()
      const events = (ended ? 0 : READABLE) | (waiting.length > 0 ? WRITABLE : 0)
      if (events !== 0) addon.arm(socket, events, turn)
    } catch (error) {
      close(error as SysError)
    }
  }
  turn()
  return {
    send: (packet) =>
      new Promise((resolve, reject) => {
        if (!open) return reject(new SysError('EPIPE', 'send', path))
        waiting.push({ packet, resolve, reject })
        if (waiting.length === 1) turn()
      }),
    close: () => close(),
  }
}
