// Taking over a connection that a client upgrades: to a WebSocket with a Kubernetes subprotocol, or to SPDY/3.1.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { type Status, StatusError } from '../errors.ts'

const longestMessage = 32 << 20

/** What the client wants to speak. */
export function upgradeOf(req: IncomingMessage): 'websocket' | 'spdy' | undefined {
  const upgrade = req.headers.upgrade?.toLowerCase()
  return upgrade === 'websocket' ? 'websocket' : upgrade === 'spdy/3.1' ? 'spdy' : undefined
}

/** The names in a header that may be repeated and may hold several, in order. */
const namesOf = (req: IncomingMessage, header: string): string[] =>
  (req.headersDistinct[header] ?? []).flatMap((value) => value.split(',')).map((name) => name.trim())

/** The client's subprotocol that we like best; '' for one that names none. Throws BadRequest if we have none of its. */
export function chooseProtocol(req: IncomingMessage, kind: 'websocket' | 'spdy', ours: readonly string[]): string {
  const theirs = namesOf(req, kind === 'websocket' ? 'sec-websocket-protocol' : 'x-stream-protocol-version')
  if (theirs.length === 0) return ''
  const chosen = ours.find((name) => theirs.includes(name))
  if (chosen === undefined) throw new StatusError('BadRequest', `unable to upgrade: none of ${theirs.join(', ')} is supported`)
  return chosen
}

/**
 * Answers with 101 and the subprotocol. The name is written by hand, since `ws` refuses those with a slash,
 * such as `SPDY/3.1+portforward.k8s.io`. `ws` is loaded by the first client: most nodes have none for days.
 */
export async function acceptWebSocket(req: IncomingMessage, socket: Duplex, head: Buffer, protocol: string): Promise<WebSocket> {
  const { WebSocketServer } = await import('ws')
  if (socket.destroyed) throw new StatusError('BadRequest', 'the client has gone')
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: longestMessage, clientTracking: false })
  delete req.headers['sec-websocket-protocol']
  if (protocol) server.on('headers', (lines) => lines.push(`Sec-WebSocket-Protocol: ${protocol}`))
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>()
  // `ws` answers what is no proper handshake itself, and closes.
  socket.once('close', () => reject(new StatusError('BadRequest', 'the WebSocket handshake failed')))
  server.handleUpgrade(req, socket, head, resolve)
  return promise
}

/** Answers with 101; the socket then carries SPDY frames. */
export function acceptSpdy(socket: Duplex, head: Buffer, protocol: string): Duplex {
  const chosen = protocol ? `X-Stream-Protocol-Version: ${protocol}\r\n` : ''
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n${chosen}\r\n`)
  if (head.length > 0) socket.unshift(head)
  return socket
}

/** Refuses an upgrade with a Status. */
export function refuseUpgrade(socket: Duplex, status: Status): void {
  if (socket.destroyed || socket.writableEnded) return
  const body = JSON.stringify(status)
  const head = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close`
  socket.on('error', () => {})
  socket.end(`HTTP/1.1 ${status.code} ${status.reason}\r\n${head}\r\n\r\n${body}`)
}
