// UDP for a server with many small questions: a system call takes in, or sends, as many as there are. Node's
// own sockets make one for each, and objects beside it.

import { addon, READABLE } from './addon.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_RCVBUF = 8

const most = 64
/** A slot begins with the datagram's length and the address of the other side, a struct sockaddr. */
const addressAt = 4
const bytesAt = 32
/** Batches until the rest of the process has its turn. */
const mostBatches = 4

export interface DatagramSocket {
  readonly port: number
  /** `to` as `onDatagram` got it. What cannot be sent, or is longer than `longestAnswer`, is lost, as datagrams are. */
  send(datagram: Uint8Array, to: Uint8Array): void
  /** Idempotent. */
  close(): void
}

export type DatagramOptions = {
  /** Of this host, IPv4 or IPv6. */
  address: string
  /** 0: any. */
  port: number
  /** Bytes; what is longer is cut when it arrives. */
  longest: number
  longestAnswer: number
  receiveBufferBytes?: number
  /** Both are valid during the call; of `from` a copy may be kept, to answer later. Must not throw. */
  onDatagram: (datagram: Uint8Array, from: Uint8Array) => void
  onError: (error: unknown) => void
}

/** Throws SysError (EADDRINUSE, EADDRNOTAVAIL). */
export const openDatagrams = async (options: DatagramOptions): Promise<DatagramSocket> => {
  const { address, longest, longestAnswer, receiveBufferBytes, onDatagram, onError } = options
  const socket = await addon.openSocket(undefined, address.includes(':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0)
  let port: number
  try {
    if (receiveBufferBytes !== undefined) addon.setOption(socket, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes)
    port = addon.bindInet(socket, address, options.port)
  } catch (error) {
    addon.close(socket)
    throw error
  }
  const incoming = slotsOf(longest)
  const outgoing = slotsOf(longestAnswer)
  let open = true
  let waiting = 0
  let isTurn = false

  const flush = () => {
    if (waiting > 0 && open) addon.sendMany(socket, outgoing.bytes, outgoing.size, waiting)
    waiting = 0
  }
  const take = (): number => {
    const count = addon.receiveMany(socket, incoming.bytes, incoming.size)
    for (let i = 0; i < count; i++) {
      if (!open) return 0
      const start = i * incoming.size + bytesAt
      // A slot is rounded up.
      const length = Math.min(incoming.view.getUint32(i * incoming.size, true), longest)
      onDatagram(incoming.bytes.subarray(start, start + length), incoming.addresses[i] as Uint8Array)
    }
    flush()
    return open ? count : 0
  }
  const turn = () => {
    if (!open) return
    try {
      isTurn = true
      for (let i = 0; i < mostBatches && take() === most; i++);
    } catch (error) {
      onError(error)
    }
    isTurn = false
    if (open) addon.arm(socket, READABLE, turn)
  }
  turn()

  return {
    port,
    send(datagram, to) {
      if (!open || datagram.length > longestAnswer) return
      outgoing.bytes.set(datagram, waiting * outgoing.size + bytesAt)
      outgoing.addresses[waiting]?.set(to)
      outgoing.view.setUint32(waiting * outgoing.size, datagram.length, true)
      waiting++
      if (waiting === most || !isTurn) flush()
    },
    close() {
      if (!open) return
      open = false
      addon.close(socket)
    },
  }
}

const slotsOf = (longest: number) => {
  const size = (bytesAt + longest + 7) & ~7
  const bytes = new Uint8Array(most * size)
  const addresses = Array.from({ length: most }, (_, i) => bytes.subarray(i * size + addressAt, i * size + bytesAt))
  return { size, bytes, view: new DataView(bytes.buffer), addresses }
}
