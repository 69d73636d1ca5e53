// The sockets: UDP and TCP on one address. Hands each message to `answer` and sends what comes back.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type DatagramSocket, openDatagrams } from 'nft-js'
import { udpPayload } from './message.ts'

/** Called with every message; undefined: no answer. `datagram`: whether it has to fit one, of `udpPayload` bytes at most. */
export type Answering = (message: Buffer, options: { datagram: boolean }) => Buffer | undefined | Promise<Buffer | undefined>

export type Listening = { port: number; close(): Promise<void> }

const mostConnections = 200
const idleMillis = 10_000
const mostBehind = 64
/** No honest query is longer. */
const longestQuery = 4096
const receiveBuffer = 1 << 20

/** Port 0: any that is free in both. Throws when the address cannot be had. */
export async function listen(options: {
  address: string
  port: number
  answer: Answering
  onError: (error: unknown) => void
}): Promise<Listening> {
  const tcp = createServer({ noDelay: true }, (socket) => serve(socket, options))
  tcp.maxConnections = mostConnections
  tcp.on('error', options.onError)
  tcp.listen(options.port, options.address)
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const respond = (message: Uint8Array, from: Uint8Array): void => {
    try {
      // A copy: the socket's buffer is used again, and an answer may come later.
      const answer = options.answer(Buffer.from(message), { datagram: true })
      if (answer === undefined) return
      if (Buffer.isBuffer(answer)) {
        udp.send(answer, from)
        return
      }
      const to = from.slice()
      void answer.then((late) => late && udp.send(late, to), options.onError)
    } catch (error) {
      options.onError(error)
    }
  }
  let udp: DatagramSocket
  try {
    udp = await openDatagrams({
      address: options.address,
      port,
      longest: longestQuery,
      longestAnswer: udpPayload,
      receiveBufferBytes: receiveBuffer,
      onDatagram: respond,
      onError: options.onError,
    })
  } catch (error) {
    await closeTcp(tcp, new Set())
    throw error
  }
  const sockets = new Set<Socket>()
  tcp.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  let closed: Promise<void> | undefined
  return {
    port,
    close() {
      udp.close()
      closed ??= closeTcp(tcp, sockets)
      return closed
    },
  }
}

async function closeTcp(tcp: Server, sockets: Set<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy()
  tcp.close()
  await once(tcp, 'close')
}

/** Messages with their length in front (RFC 7766); many may be under way, answered as they are ready. */
function serve(socket: Socket, { answer, onError }: { answer: Answering; onError: (error: unknown) => void }): void {
  let received: Buffer = Buffer.alloc(0)
  let behind = 0
  socket.setTimeout(idleMillis, () => socket.destroy())
  socket.on('error', () => socket.destroy())
  const take = () => {
    while (behind < mostBehind && received.length >= 2) {
      const length = received.readUInt16BE(0)
      if (length > longestQuery) {
        socket.destroy()
        return
      }
      if (received.length < 2 + length) break
      const message = received.subarray(2, 2 + length)
      received = received.subarray(2 + length)
      behind++
      void reply(message)
    }
    if (behind >= mostBehind) socket.pause()
    else if (socket.isPaused()) socket.resume()
  }
  const reply = async (message: Buffer) => {
    try {
      const found = await answer(message, { datagram: false })
      if (!found) socket.destroy()
      else if (socket.writable) {
        const head = Buffer.alloc(2)
        head.writeUInt16BE(found.length)
        socket.write(Buffer.concat([head, found]))
      }
    } catch (error) {
      socket.destroy()
      onError(error)
    } finally {
      behind--
      if (!socket.destroyed) take()
    }
  }
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    take()
  })
}
