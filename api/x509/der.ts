// DER (ITU-T X.690), as much of it as certificates and signing requests need. Each function gives one
// whole element: tag, length, content.

import { Buffer } from 'node:buffer'

const universal = {
  boolean: 1,
  integer: 2,
  bits: 3,
  octets: 4,
  oid: 6,
  utf8: 12,
  ia5: 22,
  utcTime: 23,
  generalizedTime: 24,
  sequence: 0x30,
  set: 0x31,
}

export const sequence = (...parts: Uint8Array[]): Buffer => element(universal.sequence, ...parts)
export const set = (...parts: Uint8Array[]): Buffer => element(universal.set, ...parts)
export const octets = (content: Uint8Array): Buffer => element(universal.octets, content)
export const utf8 = (text: string): Buffer => element(universal.utf8, Buffer.from(text))
export const yes: Buffer = element(universal.boolean, Buffer.from([0xff]))

/** Not negative, big-endian, of any length. */
export function integer(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0)
  const minimal = first < 0 ? Buffer.alloc(1) : bytes.subarray(first)
  return element(universal.integer, Buffer.from((minimal[0] ?? 0) > 0x7f ? [0] : []), minimal)
}

/** `unused`: how many of the last bits do not count. */
export const bits = (content: Uint8Array, unused = 0): Buffer => element(universal.bits, Buffer.from([unused]), content)

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const arcs = [first * 40 + second, ...rest].map((arc) => {
    const digits = [arc & 0x7f]
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80)
    return Buffer.from(digits)
  })
  return element(universal.oid, ...arcs)
}

/** Whole seconds. Two digits of the year until 2049, four after (RFC 5280, 4.1.2.5). */
export function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/\.\d+|[-:T]/g, '')
  const year = at.getUTCFullYear()
  const short = year >= 1950 && year < 2050
  return element(short ? universal.utcTime : universal.generalizedTime, Buffer.from(short ? digits.slice(2) : digits))
}

/** A field that its number tells from others: around whole elements, or in place of one element's own tag. */
export const explicit = (number: number, ...parts: Uint8Array[]): Buffer => element(0xa0 | number, ...parts)
export const implicit = (number: number, content: Uint8Array): Buffer => element(0x80 | number, content)

function element(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const size: number[] = []
  for (let left = content.length; left > 0; left >>>= 8) size.unshift(left & 0xff)
  const length = content.length < 0x80 ? [content.length] : [0x80 | size.length, ...size]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

export type Element = {
  tag: number
  content: Buffer
  /** With its tag and length. */
  whole: Buffer
}

/** The elements that `bytes` consist of. Throws SyntaxError on what is not DER, or ends early. */
export function elements(bytes: Buffer): Element[] {
  const found: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at] ?? 0
    let length = bytes[at + 1] ?? Number.NaN
    let start = at + 2
    if (length > 0x7f) {
      const digits = length & 0x7f
      start += digits
      // Four digits are four gigabytes; none would be BER's open end.
      if (digits === 0 || digits > 4 || start > bytes.length) throw new SyntaxError(`no DER length at byte ${at + 1}`)
      length = bytes.readUIntBE(at + 2, digits)
      if (length < 0x80 || bytes[at + 2] === 0) throw new SyntaxError(`the length at byte ${at + 1} is not the shortest`)
    }
    const end = start + length
    // Multi-byte tags do not occur where we read.
    if ((tag & 0x1f) === 0x1f || !(end <= bytes.length)) throw new SyntaxError(`no DER element at byte ${at}`)
    found.push({ tag, content: bytes.subarray(start, end), whole: bytes.subarray(at, end) })
    at = end
  }
  return found
}

/** The elements within a sequence. Throws SyntaxError. */
export function fields(sequence: Element | undefined): Element[] {
  if (sequence?.tag !== universal.sequence) throw new SyntaxError('a sequence is missing')
  return elements(sequence.content)
}

/** The one element that `bytes` are. Throws SyntaxError. */
export function only(bytes: Buffer): Element {
  const [first, ...more] = elements(bytes)
  if (!first || more.length > 0) throw new SyntaxError(`one element expected, not ${first ? more.length + 1 : 0}`)
  return first
}

/** The content of a string of whole bytes. Throws SyntaxError. */
export function bytesOfBits(string: Element | undefined): Buffer {
  if (string?.tag !== universal.bits || string.content[0] !== 0) throw new SyntaxError('a bit string of whole bytes is missing')
  return string.content.subarray(1)
}
