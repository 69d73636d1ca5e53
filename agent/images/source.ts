// Bytes in order, from a stream or from a part of a file, as the tar reader takes them.

import type { FileHandle } from 'node:fs/promises'
import { Malformed } from './malformed.ts'

export interface Source {
  /** Exactly `length` bytes; undefined if the source ends cleanly before the first. Throws Malformed if it ends within. */
  read(length: number): Promise<Buffer | undefined>
  /** Between one and `limit` bytes, whatever is at hand. Throws Malformed at the end. */
  some(limit: number): Promise<Buffer>
  skip(length: number): Promise<void>
}

export class StreamSource implements Source {
  #chunks: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]()
  }

  async #next(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#chunks.next()
      if (done) return false
      if (value.length === 0) continue
      this.#rest = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      return true
    }
  }

  async read(length: number): Promise<Buffer | undefined> {
    if (this.#rest.length >= length) return this.#take(length)
    const parts: Buffer[] = []
    let missing = length
    while (missing > 0) {
      if (this.#rest.length === 0 && !(await this.#next())) {
        if (missing === length) return undefined
        throw truncated()
      }
      const part = this.#take(Math.min(missing, this.#rest.length))
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts, length)
  }

  async some(limit: number): Promise<Buffer> {
    if (this.#rest.length === 0 && !(await this.#next())) throw truncated()
    return this.#take(Math.min(limit, this.#rest.length))
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0; ) missing -= (await this.some(missing)).length
  }

  /** Reads on to the end of the stream, so that whatever checks it has seen all of it. */
  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0)
    while (await this.#next()) this.#rest = Buffer.alloc(0)
  }

  /** Gives the stream up. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  #take(length: number): Buffer {
    const part = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return part
  }
}

/** A file read by position, so that skipping costs nothing. */
export class FileSource implements Source {
  position = 0
  #file: FileHandle
  #size: number

  constructor(file: FileHandle, size: number) {
    this.#file = file
    this.#size = size
  }

  async read(length: number): Promise<Buffer | undefined> {
    if (this.position >= this.#size) return undefined
    if (this.position + length > this.#size) throw truncated()
    const buffer = Buffer.alloc(length)
    const { bytesRead } = await this.#file.read(buffer, 0, length, this.position)
    if (bytesRead !== length) throw truncated()
    this.position += length
    return buffer
  }

  async some(limit: number): Promise<Buffer> {
    const part = await this.read(Math.min(limit, 1 << 18, Math.max(this.#size - this.position, 1)))
    if (!part) throw truncated()
    return part
  }

  async skip(length: number): Promise<void> {
    if (this.position + length > this.#size) throw truncated()
    this.position += length
  }
}

const truncated = () => new Malformed('unexpected end of the archive')
