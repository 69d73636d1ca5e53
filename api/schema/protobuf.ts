// Kubernetes' protobuf bodies as the JSON objects that they stand for. Wire types come from the Go types,
// not from the table's `protoType`, which is `bytes` for some numbers.

import { StatusError } from '../errors.ts'
import { schemaOf } from './compile.ts'
import { decode, type JsonObject, put } from './decode.ts'
import { formatDuration } from './duration.ts'
import { plainInteger } from './exact.ts'
import { parseJson } from './json.ts'
import type { Either, Scalar, Schema, Struct } from './schema.ts'
import { timeFromUnix } from './time.ts'
import { malformed, WireReader, type WireType } from './wire.ts'

/** `k8s` and a zero; after it, a runtime.Unknown. */
const magic = [0x6b, 0x38, 0x73, 0x00]
const maxDepth = 200

export const isProtobuf = (bytes: Uint8Array): boolean => magic.every((byte, index) => bytes[index] === byte)

/** The object, normalised as `decode` does. Throws BadRequest. */
export function decodeProtobuf(bytes: Uint8Array): JsonObject {
  return decodeEnvelope(bytes, 0)
}

function decodeEnvelope(bytes: Uint8Array, depth: number): JsonObject {
  if (!isProtobuf(bytes)) throw malformed('it does not start with k8s')
  if (depth > maxDepth) throw malformed('it is nested too deep')
  const unknown = new WireReader(bytes.subarray(magic.length))
  let [apiVersion, kind, encoding, contentType] = ['', '', '', '']
  let raw: Uint8Array = new Uint8Array()
  while (!unknown.done) {
    const { number, type } = unknown.tag()
    if (type !== 2) unknown.skip(type)
    else if (number === 1) [apiVersion, kind] = typeMeta(unknown.message())
    else if (number === 2) raw = unknown.bytes()
    else if (number === 3) encoding = unknown.string()
    else if (number === 4) contentType = unknown.string()
    else unknown.skip(type)
  }
  if (encoding) throw malformed(`its content encoding is ${encoding}`)
  const slash = apiVersion.indexOf('/')
  const [group, version] = slash < 0 ? ['', apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)]
  const schema = schemaOf({ group, version, kind })
  if (!schema)
    throw new StatusError('BadRequest', `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`)
  const fields = contentType === 'application/json' ? (parseJson(raw).value as JsonObject) : message(schema, new WireReader(raw), depth)
  return decode(schema, { kind, apiVersion, ...fields }).object
}

function typeMeta(reader: WireReader): [apiVersion: string, kind: string] {
  const meta: [string, string] = ['', '']
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (type === 2 && (number === 1 || number === 2)) meta[number - 1] = reader.string()
    else reader.skip(type)
  }
  return meta
}

function message(schema: Struct, reader: WireReader, depth: number): JsonObject {
  if (depth > maxDepth) throw malformed('it is nested too deep')
  const result: JsonObject = {}
  while (!reader.done) {
    const { number, type } = reader.tag()
    const entry = schema.wire.get(number)
    if (!entry) reader.skip(type)
    else if ('kind' in entry) Object.assign(result, message(entry, embedded(reader, type), depth + 1))
    else read(entry.schema, reader, type, depth + 1, result, entry.name)
  }
  return result
}

function embedded(reader: WireReader, type: WireType): WireReader {
  if (type !== 2) throw malformed(`wire type ${type} where a message should be`)
  return reader.message()
}

/** Reads one occurrence of a field into `result[name]`. */
function read(schema: Schema, reader: WireReader, type: WireType, depth: number, result: JsonObject, name: string): void {
  if (schema.kind === 'dict') {
    const map = (result[name] ??= {}) as JsonObject
    entry(schema.values, embedded(reader, type), depth, map)
  } else if (schema.kind === 'list' && !schema.wrapped) {
    const list = (result[name] ??= []) as unknown[]
    if (type === 2 && isVarint(schema.items)) {
      const packed = reader.message()
      while (!packed.done) list.push(value(schema.items, packed, 0, depth))
    } else list.push(value(schema.items, reader, type, depth))
  } else result[name] = value(schema, reader, type, depth)
}

const varints = new Set(['bool', 'int32', 'int64', 'uint8'])
const isVarint = (schema: Schema): boolean => schema.kind === 'scalar' && varints.has(schema.type)

function entry(schema: Schema, reader: WireReader, depth: number, map: JsonObject): void {
  let key = ''
  const holder: JsonObject = {}
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === 1 && type === 2) key = reader.string()
    else if (number === 2) holder.value = value(schema, reader, type, depth + 1)
    else reader.skip(type)
  }
  put(map, key, holder.value ?? null)
}

function value(schema: Schema, reader: WireReader, type: WireType, depth: number): unknown {
  if (schema.kind === 'scalar') return scalar(schema, reader, type, depth)
  const inner = embedded(reader, type)
  if (schema.kind === 'struct') return message(schema, inner, depth)
  if (schema.kind === 'either') return either(schema, inner, depth)
  // A named list or map: a message of its items.
  const holder: JsonObject = {}
  while (!inner.done) {
    const tag = inner.tag()
    if (tag.number === 1) read(schema.kind === 'list' ? { ...schema, wrapped: false } : schema, inner, tag.type, depth + 1, holder, 'items')
    else inner.skip(tag.type)
  }
  return holder.items ?? (schema.kind === 'list' ? [] : {})
}

function either({ struct, other }: Either, reader: WireReader, depth: number): unknown {
  const [structAt, otherAt] = other === 'bool' ? [2, 1] : [1, 2]
  let object: JsonObject | undefined
  let allowed = false
  const items: unknown[] = []
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (number === structAt && type === 2) object = message(struct, reader.message(), depth + 1)
    else if (number !== otherAt) reader.skip(type)
    else if (other === 'bool') allowed = integer(reader, type) !== 0n
    else items.push(other === 'strings' ? embeddedString(reader, type) : message(struct, embedded(reader, type), depth + 1))
  }
  return object ?? (other === 'bool' ? allowed : items)
}

function integer(reader: WireReader, type: WireType): bigint {
  if (type !== 0) throw malformed(`wire type ${type} where a number should be`)
  return reader.varint()
}

function embeddedString(reader: WireReader, type: WireType): string {
  if (type !== 2) throw malformed(`wire type ${type} where a string should be`)
  return reader.string()
}

function scalar(schema: Scalar, reader: WireReader, type: WireType, depth: number): unknown {
  switch (schema.type) {
    case 'bool':
      return integer(reader, type) !== 0n
    case 'uint8':
    case 'int32':
      return Number(BigInt.asIntN(32, integer(reader, type)))
    case 'int64':
      return plainInteger(BigInt.asIntN(64, integer(reader, type)))
    case 'float64':
      if (type !== 1) throw malformed(`wire type ${type} where a double should be`)
      return reader.double()
    case 'string':
      return embeddedString(reader, type)
    case 'bytes':
      if (type !== 2) throw malformed(`wire type ${type} where bytes should be`)
      return Buffer.from(reader.bytes()).toString('base64')
    default:
      return wrapped(schema, embedded(reader, type), depth)
  }
}

/** The scalars that are small messages: { 1, 2, 3 }. */
function wrapped({ type }: Scalar, reader: WireReader, depth: number): unknown {
  const numbers = [0n, 0n, 0n, 0n]
  let bytes: Uint8Array | undefined
  let empty = true
  while (!reader.done) {
    const tag = reader.tag()
    empty = false
    if (tag.type === 0 && tag.number <= 3) numbers[tag.number] = reader.varint()
    else if (tag.type === 2 && tag.number <= 3) bytes = reader.bytes()
    else reader.skip(tag.type)
  }
  const [, first = 0n, second = 0n] = numbers
  switch (type) {
    case 'intOrString':
      return first === 0n ? Number(BigInt.asIntN(32, second)) : text(bytes)
    case 'quantity':
      return text(bytes) || '0'
    case 'duration':
      return formatDuration(BigInt.asIntN(64, first))
    case 'time':
    case 'microTime':
      return empty ? undefined : time(first, second, type === 'microTime')
    default:
      return embeddedJson(bytes, depth)
  }
}

const text = (bytes: Uint8Array | undefined): string => (bytes ? new TextDecoder().decode(bytes) : '')

function time(seconds: bigint, nanos: bigint, micro: boolean): string {
  const spelled = timeFromUnix(Number(BigInt.asIntN(64, seconds)), Number(BigInt.asIntN(32, nanos)), micro)
  if (spelled === undefined) throw malformed(`${seconds} is not a time`)
  return spelled
}

/** Raw JSON, or an object that is itself protobuf. */
function embeddedJson(bytes: Uint8Array | undefined, depth: number): unknown {
  if (!bytes?.length) return undefined
  return isProtobuf(bytes) ? decodeEnvelope(bytes, depth + 1) : parseJson(bytes).value
}
