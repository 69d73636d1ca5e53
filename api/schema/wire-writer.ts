// Writing the protobuf wire format from its end to its start, so that the length of a message is known
// when it is written before it. https://protobuf.dev/programming-guides/encoding/

/** A writer that grew larger than this is small again after it. */
const keptSize = 1024 * 1024
/** Strings up to this length are written faster here than by a call into the runtime. */
const shortText = 48

export class WireWriter {
  #bytes: Buffer
  #at: number

  constructor(size = 4096) {
    this.#bytes = Buffer.allocUnsafe(size)
    this.#at = size
  }

  /** How much has been written. */
  get length(): number {
    return this.#bytes.length - this.#at
  }

  /** A copy of what has been written; the writer is empty after it. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.#bytes.subarray(this.#at))
    this.clear()
    return taken
  }

  /** Empty again, also after a write that threw halfway. */
  clear(): void {
    if (this.#bytes.length > keptSize) this.#bytes = Buffer.allocUnsafe(keptSize)
    this.#at = this.#bytes.length
  }

  /** Field number and wire type as one number: `number * 8 + type`. */
  tag(tag: number): void {
    if (tag < 0x80) this.byte(tag)
    else this.varint(tag)
  }

  byte(value: number): void {
    if (this.#at === 0) this.#grow(1)
    this.#at -= 1
    this.#bytes[this.#at] = value
  }

  /** Negative numbers as their two's complement of 64 bits. */
  varint(value: number | bigint): void {
    if (typeof value === 'bigint' || value < 0 || value > 0x7fff_ffff) {
      this.#long(BigInt.asUintN(64, BigInt(value)))
      return
    }
    const size = value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
    let at = this.#reserve(size)
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.#bytes[at++] = (rest & 0x7f) | 0x80
    this.#bytes[at] = rest
  }

  #long(value: bigint): void {
    const digits: number[] = []
    let rest = value
    for (; rest > 0x7fn; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80)
    digits.push(Number(rest))
    this.#bytes.set(digits, this.#reserve(digits.length))
  }

  double(value: number): void {
    const at = this.#reserve(8)
    this.#bytes.writeDoubleLE(value, at)
  }

  /** With its length before it. */
  text(value: string): void {
    if (value.length > shortText || !this.#short(value)) {
      const size = Buffer.byteLength(value)
      const at = this.#reserve(size)
      this.#bytes.write(value, at, size)
      this.varint(size)
    }
  }

  /** Whether `value` is plain ASCII; then it has been written. */
  #short(value: string): boolean {
    const size = value.length
    const at = this.#reserve(size)
    for (let i = 0; i < size; i += 1) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) {
        this.#at += size
        return false
      }
      this.#bytes[at + i] = code
    }
    this.byte(size)
    return true
  }

  /** With their length before them. */
  delimited(value: Uint8Array): void {
    this.bytes(value)
    this.varint(value.length)
  }

  bytes(value: Uint8Array): void {
    this.#bytes.set(value, this.#reserve(value.length))
  }

  /** Where `size` more bytes begin. */
  #reserve(size: number): number {
    if (size > this.#at) this.#grow(size)
    this.#at -= size
    return this.#at
  }

  #grow(size: number): void {
    const length = this.length
    const bytes = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, length + size))
    bytes.set(this.#bytes.subarray(this.#at), bytes.length - length)
    this.#bytes = bytes
    this.#at = bytes.length - length
  }
}
