// Declarations of sets to and from netlink attributes, with the notes that nft keeps in `userdata` to
// print a set as it was declared (libnftnl's include/udata.h): type and length, a byte each, then the
// value, nested likewise. The kernel does not read them.

import type { AttributeReader, MessageWriter } from '../netlink/message.ts'
import { SysError } from '../sys-error.ts'
import { type DatatypeName, datatypes } from './datatype.ts'
import { Elements, shapeOf } from './elements.ts'
import { valueBytes } from './elements-codec.ts'
import { typeofText } from './rule-text.ts'
import { type Field, isDatatype, type Selector, sourceOf, typeOfField } from './selector.ts'
import type { SetFlag, SetSpec } from './set.ts'

// NFTA_SET_*
const SET = {
  NAME: 2,
  FLAGS: 3,
  KEY_TYPE: 4,
  KEY_LEN: 5,
  DATA_TYPE: 6,
  DATA_LEN: 7,
  DESC: 9,
  ID: 10,
  TIMEOUT: 11,
  USERDATA: 13,
}
const DESC = { SIZE: 1, CONCAT: 2 }
const flagBits: Record<SetFlag, number> = { constant: 2, interval: 4, timeout: 16, dynamic: 32 }
const MAP = 8
const CONCAT = 128
/** NFT_DATA_VERDICT */
const verdictType = 0xffffff00

// NFTNL_UDATA_SET_*, and nft's number for a concatenation.
const NOTE = { KEY_BYTEORDER: 0, DATA_BYTEORDER: 1, KEY_TYPEOF: 3, DATA_TYPEOF: 4, DATA_INTERVAL: 6 }
const concatenationKind = 13

/** Types of a concatenation, 6 bits each, the first highest. */
const typeNumber = (fields: readonly Field[]): number =>
  fields.reduce((number, field) => (number << 6) | datatypes[typeOfField(field)].id, 0)

/** Writes what follows the table's name. */
export const writeSet = (w: MessageWriter, spec: SetSpec, id: number): void => {
  const shape = shapeOf(spec)
  const concatenated = shape.interval && shape.key.length > 1
  const flags = (spec.flags ?? []).reduce((sum, flag) => sum | flagBits[flag], (spec.data ? MAP : 0) | (concatenated ? CONCAT : 0))
  w.attrString(SET.NAME, spec.name)
  w.attrU32be(SET.FLAGS, flags)
  w.attrU32be(SET.KEY_TYPE, typeNumber(spec.key))
  w.attrU32be(SET.KEY_LEN, valueBytes(shape.key, shape.keyWords))
  if (spec.data) {
    w.attrU32be(SET.DATA_TYPE, spec.data === 'verdict' ? verdictType : typeNumber(spec.data))
    w.attrU32be(SET.DATA_LEN, shape.verdict ? 0 : valueBytes(shape.data, shape.dataWords))
  }
  w.attrU32be(SET.ID, id)
  if (spec.size || concatenated) {
    const desc = w.nest(SET.DESC)
    if (spec.size) w.attrU32be(DESC.SIZE, spec.size)
    if (concatenated) writeFieldLengths(w, spec)
    w.unnest(desc)
  }
  if (spec.timeoutMs) w.attrU64be(SET.TIMEOUT, BigInt(spec.timeoutMs))
  w.attrBytes(SET.USERDATA, notes(spec))
}

/** Intervals of concatenations are matched field by field: the kernel must know their lengths. */
const writeFieldLengths = (w: MessageWriter, spec: SetSpec): void => {
  const list = w.nest(DESC.CONCAT)
  for (const { type } of shapeOf(spec).key) {
    const field = w.nest(1)
    w.attrU32be(1, datatypes[type].bytes)
    w.unnest(field)
  }
  w.unnest(list)
}

const note = (type: number, value: readonly number[]): number[] => [type, value.length, ...value]
const u32 = (value: number): number[] => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24]

const notes = (spec: SetSpec): Uint8Array => {
  const data = Array.isArray(spec.data) ? (spec.data as Field[]) : []
  const isTypeof = ![...spec.key, ...data].every(isDatatype)
  const bytes = note(NOTE.KEY_BYTEORDER, u32(byteorder(spec.key)))
  if (spec.data) bytes.push(...note(NOTE.DATA_BYTEORDER, u32(byteorder(data))))
  bytes.push(...typeofNote(NOTE.KEY_TYPEOF, spec.key, isTypeof), ...typeofNote(NOTE.DATA_TYPEOF, data, isTypeof))
  if (spec.data) bytes.push(...note(NOTE.DATA_INTERVAL, u32(0)))
  return Uint8Array.from(bytes)
}

/** 1 host, 2 network, 0 for what has none. */
const byteorder = (fields: readonly Field[]): number => {
  const [field] = fields
  if (field === undefined || fields.length > 1) return 0
  return 'host' in datatypes[typeOfField(field)] ? 1 : 2
}

const typeofNote = (type: number, fields: readonly Field[], isTypeof: boolean): number[] => {
  const describe = (field: Field): number[] => {
    const [kind, ...numbers] = (isTypeof && !isDatatype(field) && sourceOf(field).note) || []
    if (kind === undefined) throw new TypeError(`a set declared by typeof cannot have ${field}`)
    return [
      ...note(0, u32(kind)),
      ...note(
        1,
        numbers.flatMap((number, i) => note(i, u32(number))),
      ),
    ]
  }
  if (fields.length > 1)
    return note(type, [
      ...note(0, u32(concatenationKind)),
      ...note(1, isTypeof ? fields.flatMap((field, i) => note(i, describe(field))) : []),
    ])
  return isTypeof && fields[0] ? note(type, describe(fields[0])) : []
}

/** Reads a set's declaration; it comes back as no elements yet. */
export const readSet = (attrs: AttributeReader): Elements => {
  let name = ''
  let flags = 0
  let keyType = 0
  let dataType = 0
  let size = 0
  let timeoutMs = 0
  let userdata: Uint8Array = new Uint8Array()
  while (attrs.next()) {
    if (attrs.type === SET.NAME) name = attrs.string()
    else if (attrs.type === SET.FLAGS) flags = attrs.u32be()
    else if (attrs.type === SET.KEY_TYPE) keyType = attrs.u32be()
    else if (attrs.type === SET.DATA_TYPE) dataType = attrs.u32be()
    else if (attrs.type === SET.TIMEOUT) timeoutMs = Number(attrs.u64be())
    else if (attrs.type === SET.USERDATA) userdata = attrs.bytes()
    else if (attrs.type === SET.DESC) {
      const desc = attrs.nested()
      while (desc.next()) if (desc.type === DESC.SIZE) size = desc.u32be()
    }
  }
  const noted = readNotes(userdata)
  const isMap = (flags & MAP) !== 0
  const data = dataType === verdictType ? 'verdict' : fieldsOf(dataType, noted.get(NOTE.DATA_TYPEOF), name)
  const set = (Object.keys(flagBits) as SetFlag[]).filter((flag) => flags & flagBits[flag])
  return new Elements({
    name,
    key: fieldsOf(keyType, noted.get(NOTE.KEY_TYPEOF), name),
    ...(isMap && { data }),
    ...(set.length > 0 && { flags: set }),
    ...(timeoutMs > 0 && { timeoutMs }),
    ...(size > 0 && { size }),
  })
}

const readNotes = (bytes: Uint8Array): Map<number, Uint8Array> => {
  const found = new Map<number, Uint8Array>()
  for (let at = 0; at + 2 <= bytes.length; at += 2 + (bytes[at + 1] as number))
    found.set(bytes[at] as number, bytes.subarray(at + 2, at + 2 + (bytes[at + 1] as number)))
  return found
}
const noteNumber = (bytes: Uint8Array | undefined): number =>
  bytes && bytes.length >= 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0

const fieldsOf = (number: number, noted: Uint8Array | undefined, set: string): Field[] => {
  const fields: DatatypeName[] = []
  for (let rest = number; rest > 0; rest >>>= 6) {
    const type = (Object.keys(datatypes) as DatatypeName[]).find((name) => datatypes[name].id === (rest & 63))
    if (!type) throw new SysError('EPROTONOSUPPORT', 'nftables', `set ${set}: data type ${rest & 63}`)
    fields.unshift(type)
  }
  const selectors = noted && selectorsOf(noted)
  // Only notes that are of these types: anyone may write them.
  const fit = selectors?.length === fields.length && selectors.every((selector, i) => typeOfField(selector) === fields[i])
  return fit ? selectors : fields
}

const selectorsOf = (noted: Uint8Array): Selector[] | undefined => {
  const whole = readNotes(noted)
  const data = whole.get(1) ?? new Uint8Array()
  const kind = noteNumber(whole.get(0))
  const parts = kind === concatenationKind ? [...readNotes(data).values()].map(readNotes) : [whole]
  const texts = parts.map((part) =>
    typeofText(noteNumber(part.get(0)), [...readNotes(part.get(1) ?? new Uint8Array()).values()].map(noteNumber)),
  )
  return texts.length > 0 && !texts.includes(undefined) ? (texts as Selector[]) : undefined
}
