// Reading the protobuf wire format. Never reads outside of its slice; whatever is malformed is a BadRequest.
// https://protobuf.dev/programming-guides/encoding/

import { StatusError } from '../errors.ts'
import { mostValues, tooLarge } from './bounds.ts'

/** VARINT, I64, LEN, I32; groups are not in use. */
export type WireType = 0 | 1 | 2 | 5

export const malformed = (why: string): StatusError => new StatusError('BadRequest', `the body is not valid protobuf: ${why}`)

const text = new TextDecoder()

export class WireReader {
  readonly #bytes: Uint8Array
  /** Shared with the readers of what is within. */
  readonly #read: { messages: number }
  #at = 0

  constructor(bytes: Uint8Array, read = { messages: 0 }) {
    this.#bytes = bytes
    this.#read = read
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length
  }

  tag(): { number: number; type: WireType } {
    const tag = Number(this.varint())
    const [number, type] = [Math.floor(tag / 8), tag % 8]
    if (number < 1 || number > 0x1fff_ffff) throw malformed(`field number ${number}`)
    if (type !== 0 && type !== 1 && type !== 2 && type !== 5) throw malformed(`wire type ${type}`)
    return { number, type }
  }

  /** Unsigned, 64 bits. */
  varint(): bigint {
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte()
      low |= (byte & 0x7f) << shift
      if (byte < 0x80) return BigInt(low)
    }
    let value = BigInt(low)
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw malformed('a varint longer than ten bytes')
  }

  double(): number {
    const slice = this.#take(8)
    return new DataView(slice.buffer, slice.byteOffset, 8).getFloat64(0, true)
  }

  bytes(): Uint8Array {
    return this.#take(Number(this.varint()))
  }

  string(): string {
    return text.decode(this.bytes())
  }

  message(): WireReader {
    this.#read.messages += 1
    if (this.#read.messages > mostValues) throw tooLarge(`more than ${mostValues} values`)
    return new WireReader(this.bytes(), this.#read)
  }

  skip(type: WireType): void {
    if (type === 0) this.varint()
    else if (type === 2) this.bytes()
    else this.#take(type === 1 ? 8 : 4)
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw malformed('it ends in the middle of a field')
    return byte
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed('a field is longer than what is left')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }
}
