// SPDY/3.1 frames on the wire (SPDY/3.1 draft, section 2.2). Reading takes whatever the other side sends:
// it throws ProtocolError, and never reads past what is there or keeps more than one control frame.

export class ProtocolError extends Error {
  override name = 'ProtocolError'
}

/** Header blocks are still compressed here. */
export type Frame =
  | { type: 'syn-stream'; id: number; fin: boolean; block: Buffer }
  | { type: 'syn-reply'; id: number; fin: boolean; block: Buffer }
  | { type: 'headers'; id: number; fin: boolean; block: Buffer }
  | { type: 'reset'; id: number; status: number }
  | { type: 'settings' }
  | { type: 'ping'; id: number }
  | { type: 'go-away'; lastId: number; status: number }
  | { type: 'window-update'; id: number; delta: number }
  /** A piece of a DATA frame: long ones come in several. */
  | { type: 'data'; id: number; fin: boolean; bytes: Buffer }
  | { type: 'unknown' }

const VERSION = 3
const FIN = 1
const types = { SYN_STREAM: 1, SYN_REPLY: 2, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, HEADERS: 8, WINDOW_UPDATE: 9 } as const
const headerSize = 8
/** Far more than the few short headers that streams carry. */
const longestControl = 64 << 10

/** RST_STREAM's reasons that we use. */
export const reset = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const

export class FrameReader {
  #pending = Buffer.alloc(0)
  /** Of a DATA frame whose header is past: where its bytes go and how many are still to come. */
  #data: { id: number; fin: boolean; left: number } | undefined;

  *read(chunk: Buffer): Generator<Frame> {
    let rest = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk
    this.#pending = Buffer.alloc(0)
    for (;;) {
      if (this.#data) {
        const { id, fin, left } = this.#data
        const bytes = rest.subarray(0, left)
        rest = rest.subarray(bytes.length)
        this.#data = left > bytes.length ? { id, fin, left: left - bytes.length } : undefined
        if (bytes.length > 0 || !this.#data) yield { type: 'data', id, fin: fin && !this.#data, bytes }
        if (this.#data) return
      }
      if (rest.length < headerSize) break
      const first = rest.readUInt32BE(0)
      const flags = rest[4]!
      const length = rest.readUIntBE(5, 3)
      if (first >>> 31 === 0) {
        if (first === 0) throw new ProtocolError('data without a stream')
        this.#data = { id: first, fin: (flags & FIN) !== 0, left: length }
        rest = rest.subarray(headerSize)
        continue
      }
      if (((first >>> 16) & 0x7fff) !== VERSION) throw new ProtocolError('not SPDY/3')
      if (length > longestControl) throw new ProtocolError(`a control frame of ${length} bytes`)
      if (rest.length < headerSize + length) break
      yield parseControl(first & 0xffff, (flags & FIN) !== 0, rest.subarray(headerSize, headerSize + length))
      rest = rest.subarray(headerSize + length)
    }
    // A copy: the chunk is its reader's.
    this.#pending = Buffer.from(rest)
  }
}

function parseControl(type: number, fin: boolean, payload: Buffer): Frame {
  const number = (at: number) => {
    if (payload.length < at + 4) throw new ProtocolError('a frame is cut short')
    return payload.readUInt32BE(at)
  }
  const id = () => number(0) & 0x7fffffff
  switch (type) {
    case types.SYN_STREAM:
      if (payload.length < 10) throw new ProtocolError('a frame is cut short')
      return { type: 'syn-stream', id: id(), fin, block: payload.subarray(10) }
    case types.SYN_REPLY:
      return { type: 'syn-reply', id: id(), fin, block: payload.subarray(4) }
    case types.HEADERS:
      return { type: 'headers', id: id(), fin, block: payload.subarray(4) }
    case types.RST_STREAM:
      return { type: 'reset', id: id(), status: number(4) }
    case types.PING:
      return { type: 'ping', id: number(0) }
    case types.GOAWAY:
      return { type: 'go-away', lastId: id(), status: number(4) }
    case types.WINDOW_UPDATE:
      return { type: 'window-update', id: id(), delta: number(4) & 0x7fffffff }
    case types.SETTINGS:
      return { type: 'settings' }
    default:
      return { type: 'unknown' }
  }
}

function control(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(headerSize)
  header.writeUInt32BE(((0x8000 | VERSION) * 0x10000 + type) >>> 0, 0)
  header[4] = flags
  header.writeUIntBE(payload.length, 5, 3)
  return Buffer.concat([header, payload])
}

function numbers(...values: number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value >>> 0, index * 4)
  return buffer
}

export const writeSynStream = (id: number, block: Buffer): Buffer =>
  control(types.SYN_STREAM, 0, Buffer.concat([numbers(id, 0), Buffer.from([0, 0]), block]))
export const writeSynReply = (id: number, block: Buffer): Buffer => control(types.SYN_REPLY, 0, Buffer.concat([numbers(id), block]))
export const writeReset = (id: number, status: number): Buffer => control(types.RST_STREAM, 0, numbers(id, status))
export const writePing = (id: number): Buffer => control(types.PING, 0, numbers(id))
export const writeGoAway = (lastId: number, status: number): Buffer => control(types.GOAWAY, 0, numbers(lastId, status))
export const writeWindowUpdate = (id: number, delta: number): Buffer => control(types.WINDOW_UPDATE, 0, numbers(id, delta))

/** The header of a DATA frame; `length` below 2^24. */
export function writeDataHeader(id: number, length: number, fin: boolean): Buffer {
  const header = Buffer.alloc(headerSize)
  header.writeUInt32BE(id, 0)
  header[4] = fin ? FIN : 0
  header.writeUIntBE(length, 5, 3)
  return header
}
