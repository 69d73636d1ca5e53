// Netlink sockets. Reading is pulled: the kernel's buffer is the only queue, so a slow reader loses
// notifications as ENOBUFS (which it is told) and never grows this process.

import { addon, READABLE, type SocketHandle } from '../addon.ts'
import { isSysError, SysError } from '../sys-error.ts'
import type { NetlinkSocket, OpenNetlink } from '../types.ts'

// linux/socket.h and linux/netlink.h
const AF_NETLINK = 16
const SOCK_RAW = 3
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_ADD_MEMBERSHIP = 1
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const protocols = { route: 0, netfilter: 12 }

/** The kernel fills a dump's datagrams up to 32 KiB if the reader's buffer allows. */
const readSize = 64 * 1024

export const openNetlink: OpenNetlink = async (protocol, options = {}) => {
  const handle = await addon.openSocket(options.netns, AF_NETLINK, SOCK_RAW, protocols[protocol])
  try {
    addon.setOption(handle, SOL_NETLINK, NETLINK_CAP_ACK, 1)
    addon.setOption(handle, SOL_NETLINK, NETLINK_EXT_ACK, 1)
    if (protocol === 'route') addon.setOption(handle, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    setBuffer(handle, SO_RCVBUFFORCE, SO_RCVBUF, options.receiveBufferBytes ?? 1024 * 1024)
    addon.bindNetlink(handle)
  } catch (error) {
    addon.close(handle)
    throw error
  }
  return new KernelSocket(handle)
}

/** Past the administrator's limit where the capability allows, up to it otherwise. */
const setBuffer = (handle: SocketHandle, force: number, polite: number, bytes: number): void => {
  try {
    addon.setOption(handle, SOL_SOCKET, force, bytes)
  } catch {
    addon.setOption(handle, SOL_SOCKET, polite, bytes)
  }
}

class KernelSocket implements NetlinkSocket {
  readonly #handle: SocketHandle
  #buffer = new Uint8Array(readSize)
  #sendBytes = 0
  #closed = false
  /** Wakes the reader that waits. */
  #wake: (() => void) | undefined

  constructor(handle: SocketHandle) {
    this.#handle = handle
  }

  send(message: Uint8Array): void {
    this.#makeRoom(message)
    addon.send(this.#handle, message)
  }

  sendAside(message: Uint8Array): Promise<void> {
    this.#makeRoom(message)
    return addon.sendAside(this.#handle, message)
  }

  #makeRoom(message: Uint8Array): void {
    // A datagram larger than the send buffer is EMSGSIZE; the kernel keeps a little of it for itself.
    if (message.length > this.#sendBytes) {
      this.#sendBytes = Math.max(message.length + 4096, 256 * 1024)
      setBuffer(this.#handle, SO_SNDBUFFORCE, SO_SNDBUF, this.#sendBytes)
    }
  }

  join(group: number): void {
    addon.setOption(this.#handle, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
  }

  /**
   * One reader at a time. `next` rejects with ENOBUFS when the kernel dropped datagrams, and with
   * them go those that still waited; the same iterator, or another, then goes on with what comes after. Each datagram is the reader's own.
   */
  messages(): AsyncIterable<Uint8Array> {
    return {
      [Symbol.asyncIterator]: () => ({
        next: async (): Promise<IteratorResult<Uint8Array, undefined>> => {
          while (!this.#closed) {
            const datagram = this.#receive()
            if (datagram) return { value: datagram, done: false }
            await this.#readable()
          }
          return { value: undefined, done: true }
        },
      }),
    }
  }

  pending(): { datagrams: Uint8Array[]; overrun: boolean } {
    const datagrams: Uint8Array[] = []
    let overrun = false
    while (!this.#closed) {
      try {
        const count = addon.receive(this.#handle, this.#buffer)
        if (count < 0) break
        if (count <= this.#buffer.length) datagrams.push(this.#buffer.slice(0, count))
        else overrun = true
      } catch (error) {
        if (!isSysError(error, 'ENOBUFS')) throw error
        overrun = true
      }
    }
    return { datagrams, overrun }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    addon.close(this.#handle)
    this.#wake?.()
  }

  #receive(): Uint8Array | undefined {
    const count = this.#read()
    if (count < 0) return undefined
    if (count <= this.#buffer.length) return this.#buffer.slice(0, count)
    this.#buffer = new Uint8Array(count)
    throw new SysError('ENOBUFS', 'recv', `datagram of ${count} bytes`)
  }

  #read(): number {
    try {
      return addon.receive(this.#handle, this.#buffer)
    } catch (error) {
      // Until all that waits is read, the kernel goes on dropping and says so no second time: who is
      // told of the loss now and reads everything anew would miss that.
      if (isSysError(error, 'ENOBUFS')) this.#drain()
      throw error
    }
  }

  #drain(): void {
    for (;;) {
      try {
        if (addon.receive(this.#handle, this.#buffer) < 0) return
      } catch (error) {
        if (!isSysError(error, 'ENOBUFS')) throw error
      }
    }
  }

  #readable(): Promise<void> {
    if (this.#wake) throw new SysError('EBUSY', 'recv', 'another reader waits')
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = () => {
      this.#wake = undefined
      resolve()
    }
    addon.arm(this.#handle, READABLE, this.#wake)
    return promise
  }
}
