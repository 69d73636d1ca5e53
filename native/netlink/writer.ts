// Writes netlink messages into one growing buffer, without an allocation per attribute.

import { align, headerSize, NLA_F_NESTED } from './header.ts'

const utf8 = new TextEncoder()

/**
 * Writes one or many messages one after the other. `begin`, the protocol's own header, attributes,
 * `end`; then `bytes` is the datagram. `reset` lets the same memory be used again.
 */
export class MessageWriter {
  #buffer: Uint8Array<ArrayBuffer>
  #view: DataView<ArrayBuffer>
  #length = 0
  #message = -1

  constructor(capacity = 4096) {
    this.#buffer = new Uint8Array(capacity)
    this.#view = new DataView(this.#buffer.buffer)
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** What was written, without a copy: valid until the next write or reset. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length)
  }

  reset(): void {
    this.#length = 0
    this.#message = -1
  }

  /** Forgets everything after `length`, which an earlier `length` said: to take back an attribute that did not fit. */
  truncate(length: number): void {
    if (length > this.#length) throw new RangeError('truncate beyond the end')
    this.#length = length
  }

  /** Starts a message; the port id is left 0, which the kernel fills in. */
  begin(type: number, flags: number, sequence: number): void {
    if (this.#message >= 0) throw new RangeError('begin inside a message')
    const at = this.#take(headerSize)
    this.#message = at
    this.#view.setUint16(at + 4, type, true)
    this.#view.setUint16(at + 6, flags, true)
    this.#view.setUint32(at + 8, sequence, true)
    this.#view.setUint32(at + 12, 0, true)
  }

  /** Ends the message begun last: its length goes into its header; padding after it is not counted there. */
  end(): void {
    if (this.#message < 0) throw new RangeError('end without begin')
    this.#view.setUint32(this.#message, this.#length - this.#message, true)
    this.#message = -1
    const odd = this.#length & 3
    if (odd > 0) this.zero(4 - odd)
  }

  u8(value: number): void {
    const at = this.#take(1)
    this.#buffer[at] = value
  }
  u16(value: number): void {
    const at = this.#take(2)
    this.#view.setUint16(at, value, true)
  }
  u16be(value: number): void {
    const at = this.#take(2)
    this.#view.setUint16(at, value)
  }
  u32(value: number): void {
    const at = this.#take(4)
    this.#view.setUint32(at, value, true)
  }
  u32be(value: number): void {
    const at = this.#take(4)
    this.#view.setUint32(at, value)
  }
  /** Raw bytes, not padded. */
  raw(bytes: Uint8Array): void {
    const at = this.#take(bytes.length)
    this.#buffer.set(bytes, at)
  }
  zero(count: number): void {
    const at = this.#take(count)
    this.#buffer.fill(0, at, at + count)
  }

  attrFlag(type: number): void {
    this.#attr(type, 0)
  }
  attrU8(type: number, value: number): void {
    const at = this.#attr(type, 1)
    this.#buffer[at] = value
  }
  attrU16(type: number, value: number): void {
    const at = this.#attr(type, 2)
    this.#view.setUint16(at, value, true)
  }
  attrU16be(type: number, value: number): void {
    const at = this.#attr(type, 2)
    this.#view.setUint16(at, value)
  }
  attrU32(type: number, value: number): void {
    const at = this.#attr(type, 4)
    this.#view.setUint32(at, value, true)
  }
  attrU32be(type: number, value: number): void {
    const at = this.#attr(type, 4)
    this.#view.setUint32(at, value)
  }
  attrU64(type: number, value: bigint): void {
    const at = this.#attr(type, 8)
    this.#view.setBigUint64(at, value, true)
  }
  attrU64be(type: number, value: bigint): void {
    const at = this.#attr(type, 8)
    this.#view.setBigUint64(at, value)
  }
  attrBytes(type: number, bytes: Uint8Array): void {
    const at = this.#attr(type, bytes.length)
    this.#buffer.set(bytes, at)
  }
  /** Text with its closing NUL, as NLA_NUL_STRING wants it. */
  attrString(type: number, text: string): void {
    const { length } = text
    for (let i = 0; i < length; i++) {
      if (text.charCodeAt(i) > 0x7f) {
        this.attrBytes(type, utf8.encode(`${text}\0`))
        return
      }
    }
    const at = this.#attr(type, length + 1)
    for (let i = 0; i < length; i++) this.#buffer[at + i] = text.charCodeAt(i)
    this.#buffer[at + length] = 0
  }

  /** Opens a nested attribute and returns its place, which `unnest` wants back. */
  nest(type: number): number {
    const at = this.#take(4)
    this.#view.setUint16(at + 2, type | NLA_F_NESTED, true)
    return at
  }

  /** Closes a nested attribute. An attribute holds at most 65,535 bytes: split what may be longer (`length - place` says how long it is). */
  unnest(place: number): void {
    const length = this.#length - place
    if (length > 0xffff) throw new RangeError(`attribute of ${length} bytes`)
    this.#view.setUint16(place, length, true)
  }

  /** Writes an attribute's header and zeroed padding; returns where its value goes. */
  #attr(type: number, length: number): number {
    if (length > 0xffff - 4) throw new RangeError(`attribute of ${length + 4} bytes`)
    const padded = align(length)
    const at = this.#take(4 + padded)
    this.#view.setUint16(at, 4 + length, true)
    this.#view.setUint16(at + 2, type, true)
    if (padded > 0) this.#view.setUint32(at + padded, 0, true)
    return at + 4
  }

  #take(count: number): number {
    const at = this.#length
    if (at + count > this.#buffer.length) this.#grow(at + count)
    this.#length = at + count
    return at
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer)
    this.#buffer = larger
    this.#view = new DataView(larger.buffer)
  }
}
