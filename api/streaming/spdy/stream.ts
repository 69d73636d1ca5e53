// One stream of a SPDY connection: a Duplex whose halves end on their own.

import { Duplex } from 'node:stream'
import { reset } from './frame.ts'
import type { Headers } from './headers.ts'

/** What a stream asks of its connection. */
export type Sender = {
  /** Calls back once the transport has taken the bytes. */
  data(id: number, bytes: Buffer, fin: boolean, done: (error?: Error | null) => void): void
  reset(id: number, status: number): void
  /** Bytes of this stream were consumed. */
  consumed(id: number, bytes: number): void
  gone(id: number): void
}

/** Buffered for a slow reader before it holds up the whole connection (the protocol's windows are not kept by Kubernetes clients). */
const bufferBytes = 256 << 10

export class SpdyStream extends Duplex {
  readonly id: number
  readonly headers: Headers
  readonly #sender: Sender
  #resume: (() => void) | undefined
  #remoteEnded = false

  constructor(id: number, headers: Headers, sender: Sender) {
    super({ allowHalfOpen: true, readableHighWaterMark: bufferBytes, emitClose: true })
    this.id = id
    this.headers = headers
    this.#sender = sender
  }

  /** Frames from the other side, in order; resolves when more may come. */
  async accept(bytes: Buffer, fin: boolean): Promise<void> {
    // The other side writes on after it said that it would not.
    if (this.#remoteEnded) return
    // A copy would cost; the transport's chunk is ours once it was emitted.
    const room = bytes.length === 0 || this.destroyed || this.push(bytes)
    if (fin) {
      this.#remoteEnded = true
      if (!this.destroyed) this.push(null)
    }
    this.#sender.consumed(this.id, bytes.length)
    if (room || fin) return
    await new Promise<void>((resolve) => {
      this.#resume = resolve
    })
  }

  /** The other side, or the connection, gave the stream up. */
  abandon(error?: Error): void {
    this.#remoteEnded = true
    this.destroy(error)
  }

  override _read(): void {
    this.#resume?.()
    this.#resume = undefined
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#sender.data(this.id, chunk, false, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#sender.data(this.id, Buffer.alloc(0), true, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#resume?.()
    if (!this.#remoteEnded || !this.writableFinished) this.#sender.reset(this.id, reset.cancel)
    this.#sender.gone(this.id)
    done(error)
  }
}
