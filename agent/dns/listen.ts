// The sockets: UDP and TCP on one address. Hands each message to `answer` and sends what comes back.

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'

/** Called with every message; undefined: no answer. `datagram`: whether it has to fit one. */
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
  const family = isIPv6(options.address) ? 6 : 4
  const udp = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // Addresses to answer are numbers already: the default would go through the resolver each time.
    lookup: (address, _options, callback) => callback(null, address, family),
  })
  try {
    // Listened for first: with the lookup above it happens within `bind`.
    const bound = once(udp, 'listening')
    udp.bind(port, options.address)
    await bound
    udp.setRecvBufferSize(receiveBuffer)
  } catch (error) {
    await closeTcp(tcp, new Set())
    throw error
  }
  udp.on('error', options.onError)
  udp.on('message', (message, from) => {
    try {
      const answer = options.answer(message, { datagram: true })
      if (answer === undefined) return
      if (Buffer.isBuffer(answer)) send(udp, answer, from)
      else void answer.then((late) => late && send(udp, late, from), options.onError)
    } catch (error) {
      options.onError(error)
    }
  })
  const sockets = new Set<Socket>()
  tcp.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  let closed: Promise<void> | undefined
  return {
    port,
    close() {
      closed ??= closeAll(udp, tcp, sockets)
      return closed
    },
  }
}

async function closeAll(udp: UdpSocket, tcp: Server, sockets: Set<Socket>): Promise<void> {
  const closed = once(udp, 'close')
  udp.close()
  await Promise.all([closed, closeTcp(tcp, sockets)])
}

/** What cannot be sent (no route back, buffers full) is lost, as datagrams are. */
function send(udp: UdpSocket, answer: Buffer, to: { address: string; port: number }): void {
  try {
    udp.send(answer, to.port, to.address)
  } catch {
    // Closed meanwhile.
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
