// From a request's JSON to the object that is kept: types checked, unknown fields pruned, and
// normalised as a pass through Go's structs would: zero values stand where Go prints them, nulls and
// empty optional values are dropped, quantities and times have one spelling.
// The input is not changed; values whose inside no schema describes are shared with it.

import { StatusError } from '../errors.ts'
import type { Floats } from './exact.ts'
import { Mismatch, Place } from './mismatch.ts'
import { decodeScalar } from './scalar.ts'
import type { Dict, Either, Field, List, Schema, Struct } from './schema.ts'

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'
export type JsonObject = Record<string, unknown>

export type DecodeOptions = {
  /** Default `Ignore`: unknown fields are dropped in silence. `Strict` refuses them. */
  fieldValidation?: FieldValidation
  /** What reading the text found, for `Warn` and `Strict`: keys that came twice. */
  faults?: readonly string[]
  /** Whole numbers in the input that are written in a form of which no integer is read. */
  floats?: Floats
}

/** `warnings`: what `Strict` would have refused, e.g. `unknown field "spec.foo"`. */
export type Decoded = { object: JsonObject; warnings: string[] }

/** Throws BadRequest, naming the kind as the input does. */
export function decode(schema: Struct, input: unknown, options: DecodeOptions = {}): Decoded {
  const place = new Place(options.floats)
  let object: JsonObject
  try {
    object = decodeStruct(schema, input, place)
  } catch (error) {
    if (error instanceof Mismatch) throw cannotHandle(schema, input, error.message)
    throw error
  }
  if (!options.fieldValidation || options.fieldValidation === 'Ignore') return { object, warnings: [] }
  const warnings = [...place.unknown.map((path) => `unknown field ${JSON.stringify(path)}`), ...(options.faults ?? [])]
  if (warnings.length && options.fieldValidation === 'Strict') {
    throw cannotHandle(schema, input, `strict decoding error: ${warnings.join(', ')}`)
  }
  return { object, warnings }
}

function cannotHandle(schema: Struct, input: unknown, why: string): StatusError {
  const wanted = localName(schema)
  const { kind, apiVersion } = isObject(input) ? input : {}
  const version = typeof apiVersion === 'string' ? apiVersion.slice(apiVersion.indexOf('/') + 1) : ''
  if (typeof kind === 'string' && kind) {
    return new StatusError('BadRequest', `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${wanted}: ${why}`)
  }
  return new StatusError('BadRequest', `the object provided is unrecognized (must be of type ${wanted}): ${why}`)
}

const localName = (schema: Struct) => schema.go.slice(schema.go.lastIndexOf('.') + 1)

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Sets a key that came from outside: `__proto__` is a key like any other. */
export function put(object: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  else object[key] = value
}

function decodeValue(schema: Schema, value: unknown, place: Place): unknown {
  if (schema.kind === 'scalar') return decodeScalar(schema, value, place)
  if (isMisfit(schema, value)) return value
  if (schema.kind === 'struct') return decodeStruct(schema, value, place)
  if (schema.kind === 'list') return decodeList(schema, value, place)
  return schema.kind === 'dict' ? decodeDict(schema, value, place) : decodeEither(schema, value, place)
}

/** Of another form than its schema, where that is left to validation. */
export const isMisfit = (schema: Schema, value: unknown): boolean =>
  'loose' in schema && schema.loose === true && (schema.kind === 'list' ? !Array.isArray(value) : !isObject(value))

function decodeList(schema: List, value: unknown, place: Place): unknown[] {
  if (!Array.isArray(value)) throw place.mismatch(value, schema.go)
  return value.map((item: unknown, index) => {
    place.enterItem(index, value)
    const decoded = item === null && !schema.loose ? zero(schema.items, place) : decodeValue(schema.items, item, place)
    place.leave()
    return decoded
  })
}

function decodeDict(schema: Dict, value: unknown, place: Place): JsonObject {
  if (!isObject(value)) throw place.mismatch(value, schema.go)
  return decodeMembers(schema, value, Object.keys(value), place)
}

function decodeMembers(schema: Dict, value: JsonObject, keys: readonly string[], place: Place): JsonObject {
  const { values } = schema
  const isText = values.kind === 'scalar' && values.type === 'string'
  const result: JsonObject = {}
  for (const key of keys) {
    const item = value[key]
    if (isText && typeof item === 'string') {
      put(result, key, item)
      continue
    }
    place.enterKey(key, value)
    put(result, key, item === null && !schema.loose ? zero(values, place) : decodeValue(values, item, place))
    place.leave()
  }
  return result
}

function decodeEither(schema: Either, value: unknown, place: Place): unknown {
  if (isObject(value)) return decodeStruct(schema.struct, value, place)
  const right = schema.other === 'bool' ? typeof value === 'boolean' : Array.isArray(value)
  if (!right) throw new Mismatch(schema.other === 'bool' ? 'boolean or JSON schema expected' : 'array or JSON schema expected')
  if (schema.other !== 'structs') return value
  return (value as unknown[]).map((item) => decodeStruct(schema.struct, item, place))
}

function decodeStruct(schema: Struct, value: unknown, place: Place): JsonObject {
  if (!isObject(value)) throw place.mismatch(value, schema.go)
  const outer = place.struct
  place.struct = localName(schema)
  const result: JsonObject = {}
  const keys = Object.keys(value)
  let known = 0
  for (const field of keys.length * 4 < schema.fields.size ? worthALook(schema, keys) : schema.fields.values()) {
    const given = schema.loose && !Object.hasOwn(value, field.name) ? undefined : value[field.name]
    if (given !== undefined) known++
    else if (field.presence !== 'always') continue
    place.enterField(field.name, value)
    const decoded = decodeField(field, given, place)
    place.leaveField()
    if (decoded !== undefined) put(result, field.name, decoded)
  }
  if (keys.length > known) {
    for (const key of keys) {
      if (schema.fields.has(key)) continue
      if (schema.open) put(result, key, value[key])
      else if (value[key] !== undefined) place.noteUnknown(key)
    }
  }
  place.struct = outer
  return result
}

/** Of each struct: its fields, which place each has, and those that are there whatever is given. */
const outlines = new WeakMap<Struct, { fields: readonly Field[]; places: ReadonlyMap<string, number>; always: readonly number[] }>()

/** In the struct's order, the fields that are given and those that are always there. JSON schemas have 44, of which two or three are given. */
function worthALook(schema: Struct, keys: readonly string[]): Field[] {
  let outline = outlines.get(schema)
  if (!outline) {
    const fields = [...schema.fields.values()]
    const always = fields.flatMap(({ presence }, at) => (presence === 'always' ? [at] : []))
    outline = { fields, places: new Map(fields.map(({ name }, at) => [name, at])), always }
    outlines.set(schema, outline)
  }
  const { fields, places, always } = outline
  const found = new Set(always)
  for (const key of keys) {
    const at = places.get(key)
    if (at !== undefined) found.add(at)
  }
  return [...found].sort((a, b) => a - b).map((at) => fields[at] as Field)
}

function decodeField(field: Field, given: unknown, place: Place): unknown {
  if (given === null && field.nullable) return null
  const { schema } = field
  if (schema.kind === 'dict' && isObject(given)) {
    // To ask a map whether it is empty takes as long as to list its keys.
    const keys = Object.keys(given)
    return keys.length === 0 && field.presence === 'nonzero' ? undefined : decodeMembers(schema, given, keys, place)
  }
  const decoded = given === undefined || given === null ? undefined : decodeValue(field.schema, given, place)
  if (field.presence === 'always') return decoded ?? zero(field.schema, place)
  return field.presence === 'nonzero' && isZero(decoded) ? undefined : decoded
}

function isZero(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return !value
  for (const _ in value) return false
  return true
}

/** Go's zero value. A list that must be there is empty, where Go would print null. */
function zero(schema: Schema, place: Place): unknown {
  if (schema.kind === 'scalar') return zeros[schema.type]
  if (schema.kind === 'struct') return decodeStruct(schema, {}, place)
  if (schema.kind === 'list') return []
  return schema.kind === 'dict' ? {} : undefined
}

const zeros: Record<string, unknown> = {
  string: '',
  bool: false,
  uint8: 0,
  int32: 0,
  int64: 0,
  float64: 0,
  bytes: '',
  quantity: '0',
  intOrString: 0,
  duration: '0s',
  time: null,
  microTime: null,
  any: null,
  object: null,
}
