// Elements to and from netlink attributes. Writing is the hot path: 30,000 elements are encoded word
// by word into one buffer, with nothing allocated for each.

import { type AttributeReader, MessageWriter, NLA_F_NESTED } from '../netlink/message.ts'
import { SysError } from '../sys-error.ts'
import { datatypes } from './datatype.ts'
import type { Column, ElementOptions, Elements, Shape } from './elements.ts'
import { readData, writeVerdict } from './expression-codec.ts'

// NFTA_SET_ELEM_*, NFTA_DATA_VALUE
const ELEM = { KEY: 1, DATA: 2, FLAGS: 3, TIMEOUT: 4, EXPIRATION: 5, KEY_END: 10 }
const VALUE = 1
const LIST_ELEM = 1
const INTERVAL_END = 1

/** What one attribute holds of elements, in words: a netlink attribute is at most 65,535 bytes with its header. */
const listWords = (65_535 - 4) >> 2

/** Of a lone value the kernel wants the length in bytes; fields of a concatenation are padded to words. */
export const valueBytes = (columns: readonly Column[], words: number): number =>
  columns.length === 1 ? datatypes[(columns[0] as Column).type].bytes : words * 4

/** `struct nlattr` as a little-endian word. */
const header = (length: number, type: number): number => (length | (type << 16)) >>> 0

/** A key or data attribute as a nest around a value. */
const valueHeaders = (type: number, bytes: number): [outer: number, inner: number] => [
  header(8 + ((bytes + 3) & ~3), type | NLA_F_NESTED),
  header(4 + bytes, VALUE),
]

const scratch = new Uint32Array(listWords)
const scratchBytes = new Uint8Array(scratch.buffer)

/** Writes rows from `from` on, as many as one attribute holds, as the elements of a list attribute. Returns the first row left. */
export const writeElements = (w: MessageWriter, listType: number, elements: Elements, from: number, withData: boolean): number => {
  const { shape } = elements
  const list = w.nest(listType)
  let row = from
  if (shape.interval || (withData && elements.options.size > 0)) {
    const start = w.length
    while (row < elements.count) {
      const before = w.length
      writeOne(w, elements, row, withData)
      if (w.length - start > listWords * 4) {
        w.truncate(before)
        break
      }
      row++
    }
  } else {
    const words = fill(elements, from, withData)
    row = filledTo
    w.raw(scratchBytes.subarray(0, words * 4))
  }
  w.unnest(list)
  return row
}

/** Where `fill` stopped (a second result without an allocation). */
let filledTo = 0

const fill = (elements: Elements, from: number, withData: boolean): number => {
  const { shape, words, count } = elements
  const { keyWords, rowWords, dataAt, dataWords } = shape
  const [keyOuter, keyInner] = valueHeaders(ELEM.KEY, valueBytes(shape.key, keyWords))
  const [dataOuter, dataInner] = valueHeaders(ELEM.DATA, valueBytes(shape.data, dataWords))
  const verdicts = withData && shape.verdict ? elements.verdicts.map(verdictWords) : undefined
  const plainData = withData && !shape.verdict && dataWords > 0
  const fixed = 3 + keyWords + (plainData ? 2 + dataWords : 0)
  let at = 0
  let row = from
  for (; row < count; row++) {
    let source = row * rowWords
    const verdict = verdicts?.[words[source + dataAt] as number]
    const size = fixed + (verdict ? verdict.length : 0)
    if (at + size > listWords) break
    scratch[at++] = header(size * 4, LIST_ELEM | NLA_F_NESTED)
    scratch[at++] = keyOuter
    scratch[at++] = keyInner
    for (let i = 0; i < keyWords; i++) scratch[at++] = words[source++] as number
    if (plainData) {
      scratch[at++] = dataOuter
      scratch[at++] = dataInner
      for (let i = 0; i < dataWords; i++) scratch[at++] = words[source++] as number
    } else if (verdict) {
      for (let i = 0; i < verdict.length; i++) scratch[at++] = verdict[i] as number
    }
  }
  filledTo = row
  return at
}

/** The data attribute of a verdict, as words. */
const verdictWords = (verdict: Elements['verdicts'][number]): Uint32Array => {
  const w = new MessageWriter(64)
  writeVerdict(w, ELEM.DATA, verdict)
  return new Uint32Array(w.bytes().slice().buffer)
}

/** An element with all that it may have. An interval of one field is two elements: its start, and the first key after it. */
const writeOne = (w: MessageWriter, elements: Elements, row: number, withData: boolean): void => {
  const { shape } = elements
  const at = row * shape.rowWords
  const bytes = new Uint8Array(elements.words.buffer, elements.words.byteOffset + at * 4, shape.rowWords * 4)
  const length = valueBytes(shape.key, shape.keyWords)
  const first = bytes.subarray(0, length)
  const last = bytes.subarray(shape.keyWords * 4, shape.keyWords * 4 + length)
  const options = elements.options.get(row)
  const element = w.nest(LIST_ELEM)
  writeValue(w, ELEM.KEY, first)
  if (shape.interval && shape.key.length > 1) writeValue(w, ELEM.KEY_END, last)
  if (withData) {
    if (shape.verdict) writeVerdict(w, ELEM.DATA, elements.verdicts[elements.words[at + shape.dataAt] as number] as never)
    else if (shape.dataWords > 0)
      writeValue(w, ELEM.DATA, bytes.subarray(shape.dataAt * 4, shape.dataAt * 4 + valueBytes(shape.data, shape.dataWords)))
    if (options?.timeoutMs !== undefined) w.attrU64be(ELEM.TIMEOUT, BigInt(options.timeoutMs))
    if (options?.expiresMs !== undefined) w.attrU64be(ELEM.EXPIRATION, BigInt(options.expiresMs))
  }
  w.unnest(element)
  const after = endOf(elements, row)
  if (!after) return
  const end = w.nest(LIST_ELEM)
  w.attrU32be(ELEM.FLAGS, INTERVAL_END)
  writeValue(w, ELEM.KEY, after)
  w.unnest(end)
}

/** The key after an interval's last one, where the interval is of one field and does not reach to the end of all keys. */
const endOf = ({ shape, words }: Elements, row: number): Uint8Array | undefined => {
  if (!shape.interval || shape.key.length > 1) return undefined
  const at = row * shape.rowWords + shape.keyWords
  return step(new Uint8Array(words.buffer, words.byteOffset + at * 4, valueBytes(shape.key, shape.keyWords)), 1)
}

/** How many of the kernel's elements a row is sent as. */
export const elementsOfRow = (elements: Elements, row: number): number => (endOf(elements, row) ? 2 : 1)

const writeValue = (w: MessageWriter, type: number, bytes: Uint8Array): void => {
  const outer = w.nest(type)
  w.attrBytes(VALUE, bytes)
  w.unnest(outer)
}

/** A key one higher or lower (in network order); undefined past either end. */
const step = (key: Uint8Array, by: 1 | -1): Uint8Array | undefined => {
  const next = key.slice()
  for (let i = next.length - 1; i >= 0; i--) {
    const byte = (next[i] as number) + by
    next[i] = byte
    if (byte >= 0 && byte <= 255) return next
  }
  return undefined
}

/** Half an interval, as the kernel keeps those of one field. */
type Edge = { key: Uint8Array; end: boolean; data?: Uint8Array; verdict?: Elements['verdicts'][number]; options?: ElementOptions }

/** Takes the elements of one set from the datagrams of a dump; `finish` when all are in. */
export const elementReader = (elements: Elements) => {
  const { shape } = elements
  const edges: Edge[] = []
  return {
    read(list: AttributeReader): void {
      while (list.next()) readOne(list.nested(), elements, shape.interval && shape.key.length === 1 ? edges : undefined)
    },
    finish(): Elements {
      addIntervals(elements, edges)
      return elements
    },
  }
}

const readOne = (element: AttributeReader, elements: Elements, edges: Edge[] | undefined): void => {
  const { shape } = elements
  const edge: Edge = { key: new Uint8Array(), end: false }
  let last: Uint8Array | undefined
  const options: ElementOptions = {}
  while (element.next()) {
    if (element.type === ELEM.KEY) edge.key = readData(element.nested()).bytes ?? edge.key
    else if (element.type === ELEM.KEY_END) last = readData(element.nested()).bytes
    else if (element.type === ELEM.FLAGS) edge.end = (element.u32be() & INTERVAL_END) !== 0
    else if (element.type === ELEM.TIMEOUT) options.timeoutMs = Number(element.u64be())
    else if (element.type === ELEM.EXPIRATION) options.expiresMs = Number(element.u64be())
    else if (element.type === ELEM.DATA) {
      const { bytes, verdict } = readData(element.nested())
      edge.data = bytes
      edge.verdict = verdict
    }
  }
  if (options.timeoutMs !== undefined) edge.options = options
  if (edges) {
    edges.push({ ...edge, key: edge.key.slice(), data: edge.data?.slice() })
    return
  }
  addRow(elements, shape, edge, last)
}

const addRow = (elements: Elements, shape: Shape, edge: Edge, last: Uint8Array | undefined): void => {
  const fits =
    edge.key.length <= shape.keyWords * 4 &&
    (last === undefined || last.length <= shape.keyWords * 4) &&
    (shape.verdict || edge.data === undefined || edge.data.length <= shape.dataWords * 4)
  if (!fits) throw new SysError('EBADMSG', 'nftables', `set ${elements.spec.name}: an element of other lengths than its type has`)
  const at = elements.row()
  const { words } = elements
  const bytes = new Uint8Array(words.buffer, words.byteOffset + at * 4, shape.rowWords * 4)
  bytes.set(edge.key)
  if (shape.interval) bytes.set(last ?? edge.key, shape.keyWords * 4)
  if (shape.verdict) words[at + shape.dataAt] = elements.verdict(edge.verdict ?? 'continue')
  else if (edge.data) bytes.set(edge.data, shape.dataAt * 4)
  if (edge.options) elements.options.set(elements.count - 1, edge.options)
}

const compareBytes = (a: Uint8Array, b: Uint8Array): number => {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number)
  return 0
}

const addIntervals = (elements: Elements, edges: Edge[]): void => {
  // An end that is also the start of the next comes first.
  edges.sort((a, b) => compareBytes(a.key, b.key) || Number(b.end) - Number(a.end))
  for (const [i, edge] of edges.entries()) {
    if (edge.end) continue
    const next = edges[i + 1]
    addRow(elements, elements.shape, edge, next ? step(next.key, -1) : edge.key.map(() => 255))
  }
}
