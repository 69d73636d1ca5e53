// Objects as Kubernetes' protobuf bodies, byte for byte as Go's generated code writes them: fields by
// their numbers, keys of maps in order, a zero for everything that is no pointer there.

import { compile } from './compile.ts'
import { parseDuration } from './duration.ts'
import type { Either, Field, ScalarType, Schema, Struct } from './schema.ts'
import { WireWriter } from './wire-writer.ts'

type Json = Record<string, unknown>
type Typed = { readonly apiVersion: string; readonly kind: string }
/** Writes one occurrence with its tag. */
type Put = (out: WireWriter, value: unknown) => void
type FieldPlan = { readonly name: string; readonly put: Put; readonly absent: Put | undefined }

const magic = Buffer.from('k8s\0')
/** The wire type. */
const length = 2
const raw = 2 * 8 + length
/** Kept for the next object, as most are no larger than the last. */
const shared = new WireWriter(64 * 1024)
const plans = new WeakMap<Struct, readonly (FieldPlan | Put)[]>()

/** With `k8s` before it, and its kind. */
export function encodeProtobuf(schema: Struct, object: Typed): Uint8Array {
  return written(() => {
    encodings(shared)
    message(shared, raw, () => structFields(shared, schema, object))
    typeMeta(shared, object)
  })
}

/** What `write` puts into the shared writer, which is empty after it even where a value fits no field. */
function written(write: () => void): Uint8Array {
  try {
    write()
    return shared.take()
  } catch (error) {
    shared.clear()
    throw error
  }
}

/**
 * Items of a list as its field 2, from `objects` until they are `size` bytes or there are no more. Written
 * from the end, so each is a piece that is then put behind the one before.
 */
export function encodeItems(schema: Struct, objects: Iterator<object>, size: number): Uint8Array {
  const put = putOf(2, schema)
  const pieces: Uint8Array[] = []
  let total = 0
  while (total < size) {
    const { done, value } = objects.next()
    if (done) break
    const piece = written(() => put(shared, value))
    total += piece.length
    pieces.push(piece)
  }
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces)
}

/** What stands before and behind `itemsLength` bytes of items. */
export function listEnvelope(of: Typed, metadata: Json, itemsLength: number): { head: Uint8Array; tail: Uint8Array } {
  const tail = written(() => encodings(shared))
  const head = written(() => {
    putOf(1, compile('apimachinery/pkg/apis/meta/v1.ListMeta'))(shared, metadata)
    shared.varint(shared.length + itemsLength)
    shared.tag(raw)
    typeMeta(shared, of)
  })
  return { head, tail }
}

/** A meta/v1 WatchEvent around an object in its envelope. */
export function encodeWatchEvent(type: string, object: Uint8Array): Uint8Array {
  return written(() => {
    message(shared, 2 * 8 + length, () => {
      shared.delimited(object)
      shared.tag(8 + length)
    })
    shared.text(type)
    shared.tag(8 + length)
  })
}

/** runtime.Unknown's contentType and contentEncoding: neither. */
function encodings(out: WireWriter): void {
  out.text('')
  out.tag(4 * 8 + length)
  out.text('')
  out.tag(3 * 8 + length)
}

function typeMeta(out: WireWriter, { apiVersion, kind }: Typed): void {
  message(out, 8 + length, () => {
    out.text(kind)
    out.tag(2 * 8 + length)
    out.text(apiVersion)
    out.tag(8 + length)
  })
  out.bytes(magic)
}

function message(out: WireWriter, tag: number, fields: () => void): void {
  const before = out.length
  fields()
  out.varint(out.length - before)
  out.tag(tag)
}

function structFields(out: WireWriter, schema: Struct, object: Json): void {
  for (const field of planOf(schema)) {
    if (typeof field === 'function') field(out, object)
    else {
      const value = object[field.name]
      if (value !== undefined && value !== null) field.put(out, value)
      else field.absent?.(out, undefined)
    }
  }
}

/** Backwards, as it is written. */
function planOf(schema: Struct): readonly (FieldPlan | Put)[] {
  let plan = plans.get(schema)
  if (!plan) {
    const numbers = [...schema.wire.keys()].sort((a, b) => b - a)
    plan = numbers.map((number) => {
      const entry = schema.wire.get(number) as Field | Struct
      return 'kind' in entry ? putOf(number, entry) : fieldPlan(number, entry)
    })
    plans.set(schema, plan)
  }
  return plan
}

function fieldPlan(number: number, { name, schema, pointer }: Field): FieldPlan {
  return { name, put: manyOf(number, schema), absent: pointer ? undefined : zeroOf(number, schema) }
}

/** What stands for a field that Go has by value. */
function zeroOf(number: number, schema: Schema): Put | undefined {
  const put = putOf(number, schema)
  if (schema.kind === 'struct') return (out) => put(out, {})
  if (schema.kind !== 'scalar') return undefined
  const tag = number * 8 + length
  switch (schema.type) {
    case 'bytes':
      return undefined
    case 'time':
    case 'microTime':
    case 'object':
    case 'fieldsV1':
    case 'any':
      return (out) => message(out, tag, () => {})
    default: {
      const zero = zeros[schema.type]
      return (out) => put(out, zero)
    }
  }
}

const zeros: Partial<Record<ScalarType, unknown>> = {
  string: '',
  bool: false,
  uint8: 0,
  int32: 0,
  int64: 0,
  float64: 0,
  quantity: '0',
  intOrString: 0,
  duration: '0s',
}

/** Lists and maps are a field again and again. */
function manyOf(number: number, schema: Schema): Put {
  if (schema.kind === 'list' && !schema.wrapped) {
    const put = putOf(number, schema.items)
    return (out, value) => {
      const items = value as readonly unknown[]
      for (let i = items.length - 1; i >= 0; i -= 1) put(out, items[i])
    }
  }
  if (schema.kind !== 'dict') return putOf(number, schema)
  const put = putOf(2, schema.values)
  const tag = number * 8 + length
  return (out, value) => {
    const map = value as Json
    const keys = Object.keys(map).sort(byBytes)
    for (let i = keys.length - 1; i >= 0; i -= 1) {
      const key = keys[i] as string
      const before = out.length
      put(out, map[key])
      out.text(key)
      out.tag(8 + length)
      out.varint(out.length - before)
      out.tag(tag)
    }
  }
}

/** As Go orders strings; other than by UTF-16 only beyond the characters that have one unit. */
const byBytes = (a: string, b: string): number => {
  if (!beyond.test(a) && !beyond.test(b)) return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
const beyond = /[\ud800-\uffff]/

function putOf(number: number, schema: Schema): Put {
  const tag = number * 8 + length
  switch (schema.kind) {
    case 'scalar':
      return scalarOf(number, schema.type)
    case 'struct':
      return (out, value) => {
        const before = out.length
        structFields(out, schema, (value ?? {}) as Json)
        out.varint(out.length - before)
        out.tag(tag)
      }
    case 'either':
      return (out, value) => message(out, tag, () => either(out, schema, value))
    default: {
      const put = manyOf(1, schema.kind === 'list' ? { ...schema, wrapped: false } : schema)
      return (out, value) => message(out, tag, () => put(out, value))
    }
  }
}

function either(out: WireWriter, { struct, other }: Either, value: unknown): void {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  const object = (number: number, each: unknown) => message(out, number * 8 + length, () => structFields(out, struct, each as Json))
  if (other === 'bool') {
    // What has a schema is allowed.
    if (isObject) object(2, value)
    out.byte(isObject || value === true ? 1 : 0)
    out.tag(8)
  } else if (isObject) object(1, value)
  else {
    for (const item of (value as unknown[]).toReversed()) {
      if (other === 'structs') object(2, item)
      else {
        out.text(String(item))
        out.tag(2 * 8 + length)
      }
    }
  }
}

/** Also of what is no string, as an object that nobody checked may hold. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null ? '' : typeof value === 'bigint' ? String(value) : JSON.stringify(value)
}

function scalarOf(number: number, type: ScalarType): Put {
  const varint = number * 8
  const tag = number * 8 + length
  switch (type) {
    case 'bool':
      return (out, value) => {
        out.byte(value ? 1 : 0)
        out.tag(varint)
      }
    case 'uint8':
    case 'int32':
    case 'int64':
      return (out, value) => {
        out.varint(value as number | bigint)
        out.tag(varint)
      }
    case 'float64':
      return (out, value) => {
        out.double(value as number)
        out.tag(number * 8 + 1)
      }
    case 'string':
      return (out, value) => {
        out.text(textOf(value))
        out.tag(tag)
      }
    case 'bytes':
      return (out, value) => {
        out.delimited(Buffer.from((value ?? '') as string, 'base64'))
        out.tag(tag)
      }
    default: {
      const inner = wrappedOf(type)
      return (out, value) => {
        const before = out.length
        inner(out, value)
        out.varint(out.length - before)
        out.tag(tag)
      }
    }
  }
}

/** The scalars that are small messages. */
function wrappedOf(type: ScalarType): Put {
  switch (type) {
    case 'quantity':
      return (out, value) => {
        out.text(textOf(value ?? '0'))
        out.tag(8 + length)
      }
    case 'intOrString':
      return (out, value) => {
        const isText = typeof value === 'string'
        out.text(isText ? value : '')
        out.tag(3 * 8 + length)
        out.varint(isText ? 0 : ((value ?? 0) as number))
        out.tag(2 * 8)
        out.byte(isText ? 1 : 0)
        out.tag(8)
      }
    case 'time':
    case 'microTime':
      return (out, value) => {
        if (typeof value === 'string') time(out, value, type === 'microTime')
      }
    case 'duration':
      return (out, value) => {
        out.varint(parseDuration((value ?? '0s') as string) ?? 0n)
        out.tag(8)
      }
    default:
      return (out, value) => {
        out.delimited(Buffer.from(JSON.stringify(value ?? null)))
        out.tag(8 + length)
      }
  }
}

function time(out: WireWriter, text: string, micro: boolean): void {
  out.varint(micro ? Number(text.slice(20, 26)) * 1000 : 0)
  out.tag(2 * 8)
  out.varint(Date.parse(`${text.slice(0, 19)}Z`) / 1000)
  out.tag(8)
}
