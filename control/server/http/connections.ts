// The server's side of its connections: nobody may hold one open by sending or reading too slowly, and
// all of them end with the server. What HTTP itself can time (headers, request bodies, idle keep-alive)
// is an option of node's; here is what it leaves out.

import type { ServerResponse } from 'node:http'
import type { Http2SecureServer, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'

export type Limits = {
  /** Of all headers of a request together. */
  headerBytes: number
  /** From the first byte of a connection until TLS stands. */
  handshakeMs: number
  /** Until the headers of a request, and until all of it, has come (HTTP/1.1). */
  headersMs: number
  requestMs: number
  /** Without a request. */
  idleMs: number
  /** An answer that is ready and of which the client takes nothing. */
  stalledMs: number
  /** At a time, on one HTTP/2 connection. */
  streams: number
  /** That one HTTP/2 connection may make the server hold, in megabytes. */
  sessionMegabytes: number
}

export const standardLimits: Limits = {
  headerBytes: 64 * 1024,
  handshakeMs: 10_000,
  headersMs: 30_000,
  requestMs: 120_000,
  idleMs: 180_000,
  stalledMs: 60_000,
  streams: 1000,
  sessionMegabytes: 64,
}

/** For createSecureServer. */
export const limitOptions = (limits: Limits) => ({
  handshakeTimeout: limits.handshakeMs,
  unknownProtocolTimeout: limits.handshakeMs,
  headersTimeout: limits.headersMs,
  requestTimeout: limits.requestMs,
  keepAliveTimeout: limits.idleMs,
  connectionsCheckingInterval: Math.max(Math.floor(limits.headersMs / 3), 1),
  maxHeaderSize: limits.headerBytes,
  maxSessionMemory: limits.sessionMegabytes,
  settings: { maxConcurrentStreams: limits.streams, maxHeaderListSize: limits.headerBytes },
})

type Answer = ServerResponse | Http2ServerResponse
/** What an answer still had to send when it was last looked at, since how many looks it is the same, and its connection too. */
type Pending = { bytes: number; sent: number; same: number; silent: number }

const keepAliveMs = 30_000
/** Looks at pending answers in the time that one may stall. */
const looks = 4
/** How often as long where progress cannot be seen: of one large chunk, beside others on its connection or over HTTP/1.1. */
const unseen = 5

export class Connections {
  readonly #sockets = new Set<Socket>()
  readonly #peers = new Set<TLSSocket>()
  readonly #answers = new Map<Answer, Pending>()
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #log: Log
  #timer: { cancel(): void }

  constructor({ limits, clock, log }: { limits: Limits; clock: Clock; log: Log }) {
    this.#limits = limits
    this.#clock = clock
    this.#log = log
    this.#timer = this.#lookLater()
  }

  follow(server: Http2SecureServer): void {
    server.on('connection', (socket: Socket) => {
      // A peer that lost its power says nothing: its watches would stay for ever.
      socket.setKeepAlive(true, keepAliveMs)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('secureConnection', (peer: TLSSocket) => {
      this.#peers.add(peer)
      peer.once('close', () => this.#peers.delete(peer))
    })
    server.on('session', (session) => this.#followSession(session))
  }

  /** An HTTP/2 connection without streams is idle, as one without a request is. */
  #followSession(session: ServerHttp2Session): void {
    let streams = 0
    let closing: { cancel(): void } | undefined
    const idle = () => {
      closing = this.#clock.after(this.#limits.idleMs, () => session.close())
    }
    idle()
    session.on('stream', (stream) => {
      closing?.cancel()
      streams += 1
      stream.once('close', () => {
        streams -= 1
        if (streams === 0 && !session.closed) idle()
      })
    })
    session.once('close', () => closing?.cancel())
  }

  /** Sees to it that the client takes what it is sent. */
  answering(answer: Answer): void {
    this.#answers.set(answer, { bytes: 0, sent: 0, same: 0, silent: 0 })
    answer.once('close', () => this.#answers.delete(answer))
  }

  /** Ends every connection of such a peer, with all that runs over it. */
  end(isOver: (peer: TLSSocket) => boolean): void {
    for (const peer of this.#peers) {
      if (!isOver(peer)) continue
      this.#log.warn({ address: peer.remoteAddress }, 'a connection was ended: its certificate is revoked')
      peer.destroy()
    }
  }

  close(): void {
    this.#timer.cancel()
    for (const socket of this.#sockets) socket.destroy()
  }

  #lookLater(): { cancel(): void } {
    return this.#clock.after(this.#limits.stalledMs / looks, () => {
      for (const [answer, pending] of this.#answers) this.#look(answer, pending)
      this.#timer = this.#lookLater()
    })
  }

  #look(answer: Answer, pending: Pending): void {
    const { bytes, sent } = leftOf(answer)
    pending.same = bytes > 0 && bytes === pending.bytes ? pending.same + 1 : 0
    pending.silent = pending.same > 0 && sent === pending.sent ? pending.silent + 1 : 0
    Object.assign(pending, { bytes, sent })
    if (pending.silent < looks && pending.same < looks * unseen) return
    this.#log.warn({ bytes }, 'an answer was cut off: its client reads nothing')
    this.#answers.delete(answer)
    cut(answer)
  }
}

const isHttp2 = (answer: Answer): answer is Http2ServerResponse => 'stream' in answer

/** Bytes that wait, and what its connection has sent so far; HTTP/1.1 counts what it still holds as sent. */
function leftOf(answer: Answer): { bytes: number; sent: number } {
  if (!isHttp2(answer)) return { bytes: answer.socket?.writableLength ?? 0, sent: Number.NaN }
  const { stream } = answer
  if (stream.destroyed) return { bytes: 0, sent: 0 }
  return { bytes: stream.writableLength, sent: stream.session?.socket.bytesWritten ?? 0 }
}

/** By destroying it: to close a stream would wait for what is still to be written. */
function cut(answer: Answer): void {
  if (isHttp2(answer)) answer.stream.destroy()
  else answer.socket?.destroy()
}
