// Streams over the channels of one WebSocket. A slow reader of one holds up the others: the protocol has no windows.

import { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { type ChannelProtocol, readMessage, writeMessage } from './protocol.ts'

const bufferBytes = 256 << 10
const normalClosure = 1000

export class Channels {
  /** Resolves once the WebSocket is closed, by whichever side. */
  readonly closed: Promise<void>
  readonly #socket: WebSocket
  readonly #protocol: ChannelProtocol
  readonly #channels = new Map<number, Channel>()

  constructor(socket: WebSocket, protocol: ChannelProtocol) {
    this.#socket = socket
    this.#protocol = protocol
    socket.on('message', (data) => this.#take(data))
    socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        for (const channel of this.#channels.values()) channel.endInput()
        resolve()
      })
    })
  }

  /** The stream of a channel. Messages to one that was never asked for are dropped. */
  open(number: number): Duplex {
    const existing = this.#channels.get(number)
    if (existing) return existing
    const channel = new Channel({
      send: (bytes, done) => this.#send(writeMessage(this.#protocol, number, bytes), done),
      flow: () => this.#flow(),
    })
    this.#channels.set(number, channel)
    return channel
  }

  /** Idempotent. What was written goes out first. */
  close(): void {
    this.#socket.close(normalClosure)
  }

  #take(data: RawData): void {
    const message = readMessage(this.#protocol, data as Buffer)
    if (!message) return
    if ('closed' in message) this.#channels.get(message.closed)?.endInput()
    else this.#channels.get(message.channel)?.accept(message.bytes)
    this.#flow()
  }

  #flow(): void {
    if ([...this.#channels.values()].some((channel) => channel.full)) this.#socket.pause()
    else this.#socket.resume()
  }

  #send(message: Buffer | string, done: (error?: Error | null) => void): void {
    // A closed socket calls back with an error.
    this.#socket.send(message, { binary: typeof message !== 'string' }, done)
  }
}

type Wire = {
  send(bytes: Buffer, done: (error?: Error | null) => void): void
  flow(): void
}

class Channel extends Duplex {
  full = false
  #ended = false
  readonly #wire: Wire

  constructor(wire: Wire) {
    super({ readableHighWaterMark: bufferBytes })
    this.#wire = wire
    this.on('error', () => {})
  }

  accept(bytes: Buffer): void {
    if (this.#ended || this.destroyed || bytes.length === 0) return
    this.full = !this.push(bytes)
  }

  /** No more comes from the other side. */
  endInput(): void {
    if (this.#ended || this.destroyed) return
    this.#ended = true
    this.push(null)
  }

  override _read(): void {
    if (!this.full) return
    this.full = false
    this.#wire.flow()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#wire.send(chunk, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.full = false
    this.#wire.flow()
    done(error)
  }
}
