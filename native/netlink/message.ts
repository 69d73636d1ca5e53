// Netlink messages and attributes (include/uapi/linux/netlink.h), written to and read from one
// ArrayBuffer. Header fields and plain integers are in host order, little-endian on every platform
// that Coracle runs on; the `be` variants are network order, as nf_tables and addresses want them.
// The writer grows and allocates nothing per attribute. The reader trusts no length: what it is
// handed is what it reads, and a length that points outside throws EBADMSG.

import { SysError } from '../sys-error.ts'

/** Message flags: `NLM_F_*`. */
export const NLM_F = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  DUMP_INTR: 0x10,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** On NLMSG_ERROR: the request's payload is left out, attributes follow. */
  CAPPED: 0x100,
  ACK_TLVS: 0x200,
} as const

/** Message types below those of any protocol. */
export const NLMSG = { NOOP: 1, ERROR: 2, DONE: 3, OVERRUN: 4 } as const

export const NLA_F_NESTED = 0x8000
const typeMask = 0x3fff

/** Bytes of a `struct nlmsghdr`. */
export const headerSize = 16

const utf8 = new TextEncoder()
const align = (length: number): number => (length + 3) & ~3

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
