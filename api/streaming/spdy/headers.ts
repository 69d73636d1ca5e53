// SPDY/3 header blocks: names and values under one zlib stream a direction that goes on from block to block.

import { constants, createInflate } from 'node:zlib'
import { dictionary } from './dictionary.ts'
import { ProtocolError } from './frame.ts'

/** Names in lower case. */
export type Headers = Record<string, string>

const longestBlock = 64 << 10
/** A deflate block is stored with at most this many bytes (RFC 1951, 3.2.4). */
const longestStored = 0xffff
const emptyBlock = Buffer.from([0, 0, 0, 0xff, 0xff])

/**
 * Writes blocks that any inflater reads, without deflating: the few bytes of a stream's headers are not
 * worth a compressor's 256 KiB for every connection.
 */
export class HeaderWriter {
  #begun = false

  write(headers: Headers): Buffer {
    const parts = [uint32(Object.keys(headers).length)]
    for (const [name, value] of Object.entries(headers)) parts.push(sized(name.toLowerCase()), sized(value))
    const text = Buffer.concat(parts)
    // RFC 1950: deflate with a window of 32 KiB, no dictionary.
    const pieces = this.#begun ? [] : [Buffer.from([0x78, 0x01])]
    this.#begun = true
    for (let at = 0; at < text.length; at += longestStored) {
      const stored = text.subarray(at, at + longestStored)
      const head = Buffer.alloc(5)
      head.writeUInt16LE(stored.length, 1)
      head.writeUInt16LE(~stored.length & 0xffff, 3)
      pieces.push(head, stored)
    }
    // As a deflater's sync flush ends: Go's inflater hands out what it has only when it meets this.
    pieces.push(emptyBlock)
    return Buffer.concat(pieces)
  }
}

/** Reads one block after the other; the next only once the one before is done. */
export class HeaderReader {
  readonly #inflate = createInflate({ dictionary, flush: constants.Z_SYNC_FLUSH, chunkSize: 4096 })
  #text: Buffer[] = []
  #size = 0
  #fail: (error: Error) => void = () => {}

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => {
      this.#text.push(chunk)
      this.#size += chunk.length
      if (this.#size > longestBlock) this.#fail(new ProtocolError('headers are too long'))
    })
    this.#inflate.on('error', (cause) => this.#fail(new ProtocolError('headers cannot be inflated', { cause })))
  }

  /** Rejects with ProtocolError, after which no block can be read any more. */
  async read(block: Buffer): Promise<Headers> {
    await new Promise<void>((resolve, reject) => {
      this.#fail = (error) => {
        this.#inflate.destroy()
        reject(error)
      }
      this.#inflate.write(block, (error) => (error ? this.#fail(error) : resolve()))
    })
    const text = Buffer.concat(this.#text)
    this.#text = []
    this.#size = 0
    return parse(text)
  }

  close(): void {
    this.#inflate.destroy()
  }
}

function parse(text: Buffer): Headers {
  let at = 0
  const number = () => {
    if (at + 4 > text.length) throw new ProtocolError('headers are cut short')
    at += 4
    return text.readUInt32BE(at - 4)
  }
  const string = () => {
    const length = number()
    if (length > text.length - at) throw new ProtocolError('headers are cut short')
    at += length
    return text.toString('utf8', at - length, at)
  }
  const headers: Headers = Object.create(null) as Headers
  for (let left = number(); left > 0; left--) headers[string().toLowerCase()] = string()
  return headers
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

const sized = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint32(bytes.length), bytes])
}
