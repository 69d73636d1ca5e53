// Elements of one set, packed: a row of 32-bit words each, so that tens of thousands are built,
// compared and encoded without an object for each. A row is the key, for interval sets then the
// last key of the interval (inclusive), then the data (for verdict maps one word: an index into
// `verdicts`).

import { type DatatypeName, datatypes, formatValue, type Value, wordsOf, writeValue } from './datatype.ts'
import type { Verdict } from './family.ts'
import { type Field, typeOfField } from './selector.ts'
import type { SetSpec } from './set.ts'

export type Column = { type: DatatypeName; at: number }

/** Where what lies in a row, in words. */
export type Shape = {
  key: readonly Column[]
  keyWords: number
  interval: boolean
  data: readonly Column[]
  dataAt: number
  dataWords: number
  verdict: boolean
  rowWords: number
}

const shapes = new WeakMap<SetSpec, Shape>()

export const shapeOf = (spec: SetSpec): Shape => {
  const known = shapes.get(spec)
  if (known) return known
  const key = columns(spec.key)
  const verdict = spec.data === 'verdict'
  const data = Array.isArray(spec.data) ? columns(spec.data as Field[]) : { list: [], words: 0 }
  const interval = spec.flags?.includes('interval') ?? false
  const dataAt = interval ? key.words * 2 : key.words
  const dataWords = verdict ? 1 : data.words
  const shape = { key: key.list, keyWords: key.words, interval, data: data.list, dataAt, dataWords, verdict, rowWords: dataAt + dataWords }
  shapes.set(spec, shape)
  return shape
}

const columns = (fields: readonly Field[]): { list: Column[]; words: number } => {
  let words = 0
  const list = fields.map((field) => {
    const type = typeOfField(field)
    const at = words
    words += wordsOf(datatypes[type].bytes)
    return { type, at }
  })
  return { list, words }
}

/** Milliseconds. `expiresMs` is what is left of the timeout. */
export type ElementOptions = { timeoutMs?: number; expiresMs?: number }

export class Elements {
  readonly spec: SetSpec
  readonly shape: Shape
  words: Uint32Array
  count = 0
  readonly verdicts: Verdict[] = []
  /** By row, for the few elements that have any. */
  readonly options = new Map<number, ElementOptions>()

  constructor(spec: SetSpec, capacity = 16) {
    this.spec = spec
    this.shape = shapeOf(spec)
    this.words = new Uint32Array(capacity * this.shape.rowWords)
  }

  /** Makes room for a row and returns where it starts in `words` (read `words` after this: it may have moved). */
  row(): number {
    const at = this.count * this.shape.rowWords
    if (at + this.shape.rowWords > this.words.length) {
      const larger = new Uint32Array(Math.max(this.words.length * 2, this.shape.rowWords * 16))
      larger.set(this.words)
      this.words = larger
    }
    this.count++
    return at
  }

  /** The word that stands for a verdict. */
  verdict(verdict: Verdict): number {
    const last = this.verdicts.length - 1
    if (last >= 0 && this.verdicts[last] === verdict) return last
    const index = this.verdicts.indexOf(verdict)
    return index >= 0 ? index : this.verdicts.push(verdict) - 1
  }

  /** Adds an element from values. In an interval set a value may be a prefix (`10.0.0.0/8`) or a range (`1-5`). */
  add(key: readonly Value[], data?: readonly Value[] | Verdict, options?: ElementOptions): this {
    const { shape } = this
    if (key.length !== shape.key.length) throw new TypeError(`set ${this.spec.name}: ${key.length} fields in a key of ${shape.key.length}`)
    const at = this.row()
    const { words } = this
    for (let i = 0; i < shape.key.length; i++) {
      const column = shape.key[i] as Column
      const value = key[i] as Value
      if (shape.interval) writeInterval(column.type, value, words, at + column.at, at + shape.keyWords + column.at)
      else writeValue(column.type, value, words, at + column.at)
    }
    if (shape.verdict) {
      if (typeof data !== 'string') throw new TypeError(`set ${this.spec.name}: an element without a verdict`)
      words[at + shape.dataAt] = this.verdict(data)
    } else if (shape.data.length > 0) {
      if (!data || data.length !== shape.data.length) throw new TypeError(`set ${this.spec.name}: an element without its data`)
      for (let i = 0; i < shape.data.length; i++) {
        const column = shape.data[i] as Column
        writeValue(column.type, data[i] as Value, words, at + shape.dataAt + column.at)
      }
    }
    if (options) this.options.set(this.count - 1, options)
    return this
  }

  /** The row's key as a string to look it up by (not for people). */
  keyOf(row: number): string {
    return this.#pack(row * this.shape.rowWords, this.shape.dataAt)
  }

  /** The row's data likewise; for verdict maps the verdict. */
  dataOf(row: number): string {
    const at = row * this.shape.rowWords + this.shape.dataAt
    return this.shape.verdict ? (this.verdicts[this.words[at] as number] as string) : this.#pack(at, this.shape.dataWords)
  }

  /** The row's fields as nft writes them; a verdict is the only field of its data. */
  values(row: number): { key: string[]; data: string[] } {
    const { shape, words } = this
    const at = row * shape.rowWords
    const key = shape.key.map(({ type, at: field }) =>
      shape.interval ? intervalText(type, words, at + field, at + shape.keyWords + field) : formatValue(type, words, at + field),
    )
    const data = shape.verdict
      ? [this.dataOf(row)]
      : shape.data.map(({ type, at: field }) => formatValue(type, words, at + shape.dataAt + field))
    return { key, data }
  }

  /** An element as nft writes it, e.g. `10.43.0.1 . tcp . 443 : goto lb-3`. */
  text(row: number): string {
    const { key, data } = this.values(row)
    const timeout = this.options.get(row)?.timeoutMs
    return `${key.join(' . ')}${timeout ? ` timeout ${duration(timeout)}` : ''}${data.length > 0 ? ` : ${data.join(' . ')}` : ''}`
  }

  #pack(at: number, length: number): string {
    let text = ''
    for (let i = at; i < at + length; i++) {
      const word = this.words[i] as number
      text += String.fromCharCode(word & 0xffff, word >>> 16)
    }
    return text
  }
}

const bytesOf = (words: Uint32Array, at: number, length: number) => new Uint8Array(words.buffer, words.byteOffset + at * 4, length)

const writeInterval = (type: DatatypeName, value: Value, words: Uint32Array, first: number, last: number): void => {
  const [, low, high] = /^(.+)-(.+)$/.exec(String(value)) ?? []
  if (low !== undefined && high !== undefined) {
    writeValue(type, low, words, first)
    writeValue(type, high, words, last)
    return
  }
  const [, network, prefix] = /^(.+)\/(\d+)$/.exec(String(value)) ?? []
  writeValue(type, network ?? value, words, first)
  writeValue(type, network ?? value, words, last)
  if (network === undefined) return
  const { bytes } = datatypes[type]
  const from = bytesOf(words, first, bytes)
  const to = bytesOf(words, last, bytes)
  for (let bit = Number(prefix); bit < bytes * 8; bit++) {
    const mask = 0x80 >> (bit & 7)
    from[bit >> 3]! &= ~mask
    to[bit >> 3]! |= mask
  }
}

const intervalText = (type: DatatypeName, words: Uint32Array, first: number, last: number): string => {
  const { bytes } = datatypes[type]
  const from = bytesOf(words, first, bytes)
  const to = bytesOf(words, last, bytes)
  const low = formatValue(type, words, first)
  if (from.every((byte, i) => byte === to[i])) return low
  let prefix = 0
  while (prefix < bytes * 8 && bit(from, prefix) === bit(to, prefix)) prefix++
  let rest = prefix
  while (rest < bytes * 8 && bit(from, rest) === 0 && bit(to, rest) === 1) rest++
  const isAddress = type === 'ipv4_addr' || type === 'ipv6_addr'
  return isAddress && rest === bytes * 8 ? `${low}/${prefix}` : `${low}-${formatValue(type, words, last)}`
}

const bit = (bytes: Uint8Array, index: number): number => ((bytes[index >> 3] as number) >> (7 - (index & 7))) & 1

/** Milliseconds as nft writes them: `3h`, `1m30s`. */
export const duration = (ms: number): string => {
  const units: [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ]
  let left = ms
  let text = ''
  for (const [unit, size] of units) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) text += `${count}${unit}`
  }
  return text || '0s'
}
