// One question to one server: by UDP from a port of its own each time (so that an answer is hard to forge),
// by TCP where the answer does not fit.

import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { encodeQuery, headerSize, keyOf, type Query } from './message.ts'

export type Server = { address: string; port: number }

/** The server's message, checked to answer this question. Throws on silence, refusal of the connection, abort. */
export async function ask(
  server: Server,
  query: Query,
  options: { id: number; timeoutMillis: number; signal: AbortSignal },
): Promise<Buffer> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMillis)])
  const message = encodeQuery(query, options.id)
  const answer = await byUdp(server, message, query, signal)
  return isTruncated(answer) ? byTcp(server, message, query, signal) : answer
}

const isTruncated = (message: Buffer) => (message[2]! & 0x02) !== 0

function byUdp({ address, port }: Server, message: Buffer, query: Query, signal: AbortSignal): Promise<Buffer> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  // Connected: the kernel passes only what comes from this server, and reports its refusal.
  socket.on('error', reject)
  socket.on('message', (answer) => {
    if (answers(answer, message, query)) resolve(answer)
  })
  socket.connect(port, address, () => {
    if (!signal.aborted) socket.send(message, (error) => error && reject(error))
  })
  if (signal.aborted) stop()
  return promise.finally(() => {
    signal.removeEventListener('abort', stop)
    socket.close()
  })
}

function byTcp({ address, port }: Server, message: Buffer, query: Query, signal: AbortSignal): Promise<Buffer> {
  const socket = connect({ host: address, port, signal })
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  let received = Buffer.alloc(0)
  socket.on('error', reject)
  socket.on('close', () => reject(new Error(`${address} closed the connection`)))
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
    const answer = received.subarray(2, 2 + received.readUInt16BE(0))
    if (answers(answer, message, query)) resolve(answer)
    else reject(new Error(`${address} answered something else`))
  })
  socket.write(Buffer.concat([length, message]))
  return promise.finally(() => socket.destroy())
}

function answers(answer: Buffer, asked: Buffer, query: Query): boolean {
  if (answer.length < headerSize + query.question.length) return false
  if (!answer.subarray(0, 2).equals(asked.subarray(0, 2)) || !(answer[2]! & 0x80) || answer.readUInt16BE(4) !== 1) return false
  return keyOf(answer.subarray(headerSize, headerSize + query.question.length)) === query.key
}
