// Reads netlink messages and attributes. No length is trusted: one that points outside of what the
// reader was given throws EBADMSG.

import { SysError } from '../sys-error.ts'
import { align, headerSize } from './header.ts'

/** Without the nested and byte-order bits. */
const typeMask = 0x3fff

const malformed = (what: string) => new SysError('EBADMSG', 'netlink', what)

/** Walks the messages of one datagram: `while (reader.next()) ...`. */
export class MessageReader {
  type = 0
  flags = 0
  sequence = 0
  /** The receiving socket's port id. */
  port = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #start = 0
  #end = 0
  #next = 0

  constructor(datagram: Uint8Array) {
    this.#bytes = datagram
    this.#view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  }

  next(): boolean {
    const at = this.#next
    const left = this.#bytes.length - at
    if (left <= 0) return false
    if (left < headerSize) throw malformed('message header is cut off')
    const length = this.#view.getUint32(at, true)
    if (length < headerSize || length > left) throw malformed(`message of ${length} bytes, ${left} are left`)
    this.type = this.#view.getUint16(at + 4, true)
    this.flags = this.#view.getUint16(at + 6, true)
    this.sequence = this.#view.getUint32(at + 8, true)
    this.port = this.#view.getUint32(at + 12, true)
    this.#start = at + headerSize
    this.#end = at + length
    this.#next = at + align(length)
    return true
  }

  /** What follows the header: the protocol's own header and the attributes. Shares the datagram's memory. */
  get payload(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** The attributes after the protocol's own header of `skip` bytes. */
  attributes(skip: number): AttributeReader {
    return new AttributeReader(this.payload, align(skip))
  }
}

/** Walks attributes: `while (attrs.next()) switch (attrs.type) ...`. The getters read the current one. */
export class AttributeReader {
  /** Without the nested and byte-order bits. */
  type = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #start = 0
  #end = 0
  #next: number

  constructor(bytes: Uint8Array, offset = 0) {
    if (offset > bytes.length) throw malformed(`payload of ${bytes.length} bytes, ${offset} are wanted`)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#next = offset
  }

  next(): boolean {
    const at = this.#next
    const left = this.#bytes.length - at
    if (left < 4) return false
    const length = this.#view.getUint16(at, true)
    if (length < 4 || length > left) throw malformed(`attribute of ${length} bytes, ${left} are left`)
    this.type = this.#view.getUint16(at + 2, true) & typeMask
    this.#start = at + 4
    this.#end = at + length
    this.#next = at + align(length)
    return true
  }

  /** Bytes of the current attribute's value. */
  get length(): number {
    return this.#end - this.#start
  }

  u8(): number {
    return this.#view.getUint8(this.#value(1))
  }
  u16(): number {
    return this.#view.getUint16(this.#value(2), true)
  }
  u16be(): number {
    return this.#view.getUint16(this.#value(2))
  }
  u32(): number {
    return this.#view.getUint32(this.#value(4), true)
  }
  i32(): number {
    return this.#view.getInt32(this.#value(4), true)
  }
  u32be(): number {
    return this.#view.getUint32(this.#value(4))
  }
  u64(): bigint {
    return this.#view.getBigUint64(this.#value(8), true)
  }
  u64be(): bigint {
    return this.#view.getBigUint64(this.#value(8))
  }
  /** Up to the first NUL, or all of it. */
  string(): string {
    let text = ''
    for (let i = this.#start; i < this.#end; i++) {
      const byte = this.#bytes[i] as number
      if (byte === 0) break
      if (byte > 0x7f) {
        const nul = this.#bytes.indexOf(0, i)
        return new TextDecoder().decode(this.#bytes.subarray(this.#start, nul >= 0 && nul < this.#end ? nul : this.#end))
      }
      text += String.fromCharCode(byte)
    }
    return text
  }
  /** Shares the datagram's memory. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }
  nested(): AttributeReader {
    return new AttributeReader(this.bytes())
  }

  #value(size: number): number {
    if (this.#end - this.#start < size) throw malformed(`attribute ${this.type}: ${this.#end - this.#start} bytes, ${size} are wanted`)
    return this.#start
  }
}
