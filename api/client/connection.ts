// One HTTP/2 connection to the API server, opened when first needed and again after it was lost. All
// requests and watches share it. Pings notice a dead link within `pingEvery + pingWithin` milliseconds
// while something is waiting on it; an idle connection sends nothing.

import * as http2 from 'node:http2'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls'
import type { Clock, Timer } from '../clock.ts'
import type { Log } from '../log.ts'

export type Credentials = {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  token?: string
  /** Name to verify the server's certificate against instead of the address's host. */
  serverName?: string
  insecureSkipTlsVerify?: boolean
}

export type ConnectionOptions = {
  /** `https://host:port` */
  server: string
  /** A function is asked again for each connection, so that renewed certificates and tokens come into use. */
  credentials: Credentials | (() => Credentials)
  userAgent: string
  log: Log
  clock: Clock
}

export type Request = {
  method: string
  path: string
  headers?: http2.OutgoingHttpHeaders
  body?: string
  signal?: AbortSignal | undefined
  /** Milliseconds without a byte after which the server counts as lost; absent: for ever. */
  within?: number
}
export type Response = {
  code: number
  headers: http2.IncomingHttpHeaders
  stream: http2.ClientHttp2Stream
  /** Once the stream has ended: why it may have ended too early. Node ends the streams of a lost connection like any other. */
  broken: () => Error | undefined
}

const connectWithin = 10_000
const pingEvery = 4_000
const pingWithin = 4_000

export class Connection {
  readonly #options: ConnectionOptions
  #session: http2.ClientHttp2Session | undefined
  #opening: Promise<http2.ClientHttp2Session> | undefined
  /** Ends an attempt to connect. */
  #giveUp: ((error: Error) => void) | undefined
  /** Those that still carry what began on them, and nothing new. */
  readonly #leaving = new Set<http2.ClientHttp2Session>()
  /** Of the credentials. */
  #generation = 0
  #closed = false

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  /** Resolves with the answer's head; the caller reads the stream. Rejects with whatever broke the connection, or the signal's reason. */
  async send(request: Request): Promise<Response> {
    request.signal?.throwIfAborted()
    const session = await until(this.#open(), request.signal)
    request.signal?.throwIfAborted()
    try {
      return await this.#exchange(session, request)
    } catch (error) {
      // The server refused the stream before looking at it (it is going away): nothing has happened yet.
      if (!(error instanceof Refused) || this.#closed) throw error
      return await this.#exchange(await this.#open(), request)
    }
  }

  close(): void {
    this.#closed = true
    this.reconnect()
  }

  /** What is under way fails, and what follows goes over a new connection. */
  reconnect(): void {
    for (const session of this.#leaving) session.destroy()
    this.#session?.destroy()
    this.#session = undefined
    this.#giveUp?.(new Error('the client is closed'))
  }

  /** What follows goes over a new connection, with the credentials that there are then; what is under way goes on over the one that stands. */
  renew(): void {
    this.#generation += 1
    if (this.#session) this.#leave(this.#session)
    this.#session = undefined
  }

  /** It ends with the last of what is under way on it. */
  #leave(session: http2.ClientHttp2Session): void {
    this.#leaving.add(session)
    session.once('close', () => this.#leaving.delete(session))
    session.close()
  }

  #exchange(session: http2.ClientHttp2Session, request: Request): Promise<Response> {
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    const { token } = this.#credentials()
    const stream = session.request(
      {
        ':method': request.method,
        ':path': request.path,
        // Node leaves the brackets of an IPv6 address out.
        ':authority': new URL(this.#options.server).host,
        'user-agent': this.#options.userAgent,
        accept: 'application/json',
        ...(token && { authorization: `Bearer ${token}` }),
        ...request.headers,
      },
      { endStream: request.body === undefined },
    )
    const abort = () => {
      reject(request.signal?.reason)
      stream.close(http2.constants.NGHTTP2_CANCEL)
    }
    request.signal?.addEventListener('abort', abort, { once: true })
    const broken = () => {
      if (stream.rstCode) return new Error(`the server reset the stream (${stream.rstCode})`)
      return session.destroyed ? new Error('the connection was lost') : undefined
    }
    stream.once('response', (headers) => resolve({ code: Number(headers[':status']), headers, stream, broken }))
    // Stays attached: a stream may fail long after its head arrived, and its reader hears of that by itself.
    stream.on('error', reject)
    stream.once('close', () => {
      request.signal?.removeEventListener('abort', abort)
      reject(
        stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM
          ? new Refused('refused by the server')
          : new Error('the connection was lost'),
      )
    })
    const { within } = request
    if (within) stream.setTimeout(within, () => stream.destroy(new Error(`no answer within ${within / 1000} s`)))
    if (request.body !== undefined) stream.end(request.body)
    return promise
  }

  #open(): Promise<http2.ClientHttp2Session> {
    if (this.#closed) return Promise.reject(new Error('the client is closed'))
    if (this.#session && !this.#session.closed && !this.#session.destroyed) return Promise.resolve(this.#session)
    this.#opening ??= this.#connect().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  #connect(): Promise<http2.ClientHttp2Session> {
    const { server, clock, log } = this.#options
    const { promise, resolve, reject } = Promise.withResolvers<http2.ClientHttp2Session>()
    const generation = this.#generation
    const { ca, cert, key, serverName, insecureSkipTlsVerify } = this.#credentials()
    // Node leaves the socket of a session that is destroyed before it has connected, and says nothing.
    let socket: Socket | undefined
    const session = http2.connect(server, {
      createConnection: (url, options) =>
        (socket = connectTo(url, { ...(options as TlsOptions), ...(serverName && { servername: serverName }) })),
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(serverName && { servername: serverName }),
      rejectUnauthorized: !insecureSkipTlsVerify,
      settings: { enablePush: false, initialWindowSize: 1 << 20 },
    })
    const giveUp = (error: Error) => {
      deadline.cancel()
      if (this.#giveUp === giveUp) this.#giveUp = undefined
      session.destroy(error)
      socket?.destroy()
      reject(error)
    }
    this.#giveUp = giveUp
    const deadline = clock.after(connectWithin, () => giveUp(new Error(`no connection to ${server} within ${connectWithin / 1000} s`)))
    session.once('connect', () => {
      deadline.cancel()
      this.#giveUp = undefined
      if (this.#closed) return session.destroy()
      if (generation !== this.#generation) {
        session.close()
        return resolve(this.#connect())
      }
      // Room for large lists to arrive without a round trip per 64 KiB.
      session.setLocalWindowSize(1 << 22)
      this.#session = session
      this.#watchLink(session)
      log.debug({ server }, 'connected')
      resolve(session)
    })
    session.on('error', reject)
    session.once('close', () => {
      deadline.cancel()
      if (this.#session === session) this.#session = undefined
      if (this.#giveUp === giveUp) this.#giveUp = undefined
      reject(new Error('the connection was closed'))
    })
    return promise
  }

  #watchLink(session: http2.ClientHttp2Session): void {
    const { clock, log, server } = this.#options
    let timer: Timer
    const next = () => {
      timer = clock.after(pingEvery, () => {
        if (session.destroyed) return
        timer = clock.after(pingWithin, () => {
          log.warn({ server }, 'the link to the API server is dead')
          session.destroy(new Error(`no answer from ${server} for ${pingWithin / 1000} s`))
        })
        const sent = session.ping((error) => {
          timer.cancel()
          if (!error && !session.destroyed) next()
        })
        if (!sent) {
          timer.cancel()
          next()
        }
      })
    }
    session.once('close', () => timer.cancel())
    next()
  }

  #credentials(): Credentials {
    const { credentials } = this.#options
    return typeof credentials === 'function' ? credentials() : credentials
  }
}

function connectTo(url: URL, options: TlsOptions): Socket {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  // Clear text is for tests.
  if (url.protocol === 'http:') return connect(Number(url.port || 80), host)
  const servername = options.servername ?? (isIP(host) === 0 ? host : '')
  return connectTls({ ...options, host, port: Number(url.port || 443), servername, ALPNProtocols: ['h2'] })
}

/** Throws the signal's reason where that comes first. */
async function until<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await promise
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason as Error)
  signal.addEventListener('abort', stop, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
    promise.catch(() => {})
  }
}

class Refused extends Error {}
