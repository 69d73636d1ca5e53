// A SPDY/3.1 connection over any Duplex: a socket after its upgrade, or a WebSocket that tunnels one.
// Flow control windows are announced as bytes are consumed but not waited for: the clients that still
// speak SPDY neither send nor heed them, so the transport's own back-pressure is all there is.

import type { Duplex } from 'node:stream'
import {
  type Frame,
  FrameReader,
  ProtocolError,
  reset,
  writeDataHeader,
  writeGoAway,
  writePing,
  writeReset,
  writeSynReply,
  writeSynStream,
  writeWindowUpdate,
} from './frame.ts'
import { HeaderReader, type Headers, HeaderWriter } from './headers.ts'
import { SpdyStream } from './stream.ts'

export type SpdyOptions = {
  transport: Duplex
  /** Which side we are: it decides over the parity of stream ids. */
  side: 'client' | 'server'
  /** The other side opened a stream; it was answered. Throwing refuses it. */
  onStream?: (stream: SpdyStream) => void
  maxStreams?: number
}

const longestData = 64 << 10
const windowStep = 32 << 10

export class SpdyConnection {
  /** Resolves once the transport is gone. */
  readonly closed: Promise<void>
  readonly #transport: Duplex
  readonly #options: SpdyOptions
  readonly #streams = new Map<number, SpdyStream>()
  readonly #headerWriter = new HeaderWriter()
  readonly #consumed = new Map<number, number>()
  #nextId: number
  #lastRemoteId = 0

  constructor(options: SpdyOptions) {
    this.#options = options
    this.#transport = options.transport
    this.#nextId = options.side === 'client' ? 1 : 2
    // Errors end the loop below, which closes everything.
    this.#transport.on('error', () => {})
    // The loop may be waiting for a stream that nobody reads.
    this.#transport.once('close', () => this.#abandonAll())
    this.closed = this.#run()
  }

  /** Opens a stream of ours. */
  open(headers: Headers): SpdyStream {
    const id = this.#nextId
    this.#nextId += 2
    const stream = this.#add(id, headers)
    this.#send(writeSynStream(id, this.#headerWriter.write(headers)))
    return stream
  }

  /** Says goodbye, lets what was written go out, and ends. Idempotent. */
  close(): void {
    if (this.#transport.destroyed || this.#transport.writableEnded) return
    this.#send(writeGoAway(this.#lastRemoteId, 0))
    this.#transport.end()
  }

  async #run(): Promise<void> {
    const frames = new FrameReader()
    const headers = new HeaderReader()
    let reason: Error | undefined
    try {
      // The other side may be done sending and still listen.
      for await (const chunk of this.#transport.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        for (const frame of frames.read(chunk)) await this.#take(frame, headers)
      }
    } catch (error) {
      reason = error as Error
      if (error instanceof ProtocolError) this.#send(writeGoAway(this.#lastRemoteId, reset.protocolError))
    }
    headers.close()
    this.#abandonAll()
    if (reason && !(reason instanceof ProtocolError)) this.#transport.destroy()
    else this.#transport.resume().end()
  }

  #abandonAll(): void {
    for (const stream of this.#streams.values()) stream.abandon()
  }

  async #take(frame: Frame, headers: HeaderReader): Promise<void> {
    switch (frame.type) {
      case 'data': {
        const stream = this.#streams.get(frame.id)
        if (stream) await stream.accept(frame.bytes, frame.fin)
        return
      }
      case 'syn-stream':
        // Decompressed even if refused: the context goes on over all blocks.
        return this.#welcome(frame.id, await headers.read(frame.block), frame.fin)
      case 'syn-reply':
      case 'headers':
        await headers.read(frame.block)
        if (frame.fin) await this.#streams.get(frame.id)?.accept(Buffer.alloc(0), true)
        return
      case 'reset':
        this.#streams.get(frame.id)?.abandon()
        return
      case 'ping':
        // Ours are answered by the other side; of those we send none.
        if (frame.id % 2 === (this.#options.side === 'server' ? 1 : 0)) this.#send(writePing(frame.id))
        return
      default:
    }
  }

  async #welcome(id: number, headers: Headers, fin: boolean): Promise<void> {
    const { side, onStream, maxStreams = 1000 } = this.#options
    if (id % 2 !== (side === 'server' ? 1 : 0) || id <= this.#lastRemoteId) throw new ProtocolError(`stream ${id} is out of order`)
    this.#lastRemoteId = id
    if (!onStream || this.#streams.size >= maxStreams) return this.#send(writeReset(id, reset.refusedStream))
    const stream = this.#add(id, headers)
    // Answered before anybody can write to it.
    this.#send(writeSynReply(id, this.#headerWriter.write({})))
    try {
      onStream(stream)
    } catch {
      stream.destroy()
      return
    }
    if (fin) await stream.accept(Buffer.alloc(0), true)
  }

  #add(id: number, headers: Headers): SpdyStream {
    const stream = new SpdyStream(id, headers, {
      data: (id, bytes, fin, done) => this.#data(id, bytes, fin, done),
      reset: (id, status) => this.#send(writeReset(id, status)),
      consumed: (id, bytes) => this.#credit(id, bytes),
      gone: (id) => {
        this.#streams.delete(id)
        this.#consumed.delete(id)
      },
    })
    // One that nobody listens to any more must not end the process.
    stream.on('error', () => {})
    this.#streams.set(id, stream)
    return stream
  }

  #data(id: number, bytes: Buffer, fin: boolean, done: (error?: Error | null) => void): void {
    if (this.#transport.destroyed || this.#transport.writableEnded) return done(new Error('the connection is closed'))
    this.#transport.cork()
    let at = 0
    do {
      const piece = bytes.subarray(at, at + longestData)
      at += piece.length
      const last = at >= bytes.length
      this.#transport.write(writeDataHeader(id, piece.length, fin && last), piece.length === 0 ? done : undefined)
      if (piece.length > 0) this.#transport.write(piece, last ? done : undefined)
    } while (at < bytes.length)
    this.#transport.uncork()
  }

  #credit(id: number, bytes: number): void {
    // Stream 0 is the session.
    for (const window of [id, 0]) {
      if (window !== 0 && !this.#streams.has(window)) continue
      const total = (this.#consumed.get(window) ?? 0) + bytes
      if (total >= windowStep) this.#send(writeWindowUpdate(window, total))
      this.#consumed.set(window, total >= windowStep ? 0 : total)
    }
  }

  #send(frame: Buffer): void {
    if (!this.#transport.destroyed && !this.#transport.writableEnded) this.#transport.write(frame)
  }
}
