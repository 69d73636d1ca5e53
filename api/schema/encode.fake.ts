// The protobuf encoder that the API server does not need and its decoder's tests do: as Go's generated
// code writes objects.

import { parseDuration } from './duration.ts'
import type { Either, Field, Scalar, Schema, Struct } from './schema.ts'

type Json = Record<string, unknown>

export function encodeProtobuf(schema: Struct, object: Json): Uint8Array {
  const text = (value: unknown) => Buffer.from(String(value))
  const meta = Buffer.concat([delimited(1, text(object.apiVersion)), delimited(2, text(object.kind))])
  return Buffer.concat([
    Buffer.from('k8s\0'),
    delimited(1, meta),
    delimited(2, struct(schema, object)),
    delimited(3, text('')),
    delimited(4, text('')),
  ])
}

function struct(schema: Struct, object: Json): Buffer {
  return Buffer.concat(
    [...schema.wire].flatMap(([number, entry]): Buffer[] => {
      if ('kind' in entry) return [delimited(number, struct(entry, object))]
      const value = object[entry.name]
      return value === undefined ? [] : [field(number, entry, value)]
    }),
  )
}

function field(number: number, { schema }: Pick<Field, 'schema'>, value: unknown): Buffer {
  if (schema.kind === 'list' && !schema.wrapped)
    return Buffer.concat((value as unknown[]).map((item) => single(number, schema.items, item)))
  if (schema.kind !== 'dict') return single(number, schema, value)
  return Buffer.concat(
    Object.entries(value as Json).map(([key, item]) =>
      delimited(number, Buffer.concat([delimited(1, Buffer.from(key)), single(2, schema.values, item)])),
    ),
  )
}

function single(number: number, schema: Schema, value: unknown): Buffer {
  switch (schema.kind) {
    case 'scalar':
      return scalar(number, schema, value)
    case 'struct':
      return delimited(number, struct(schema, value as Json))
    case 'either':
      return delimited(number, either(schema, value))
    case 'list':
      return delimited(number, field(1, { schema: { ...schema, wrapped: false } }, value))
    default:
      return delimited(number, field(1, { schema }, value))
  }
}

function either({ struct: object, other }: Either, value: unknown): Buffer {
  const [structAt, otherAt] = other === 'bool' ? [2, 1] : [1, 2]
  if (typeof value === 'boolean') return Buffer.concat([varint(otherAt * 8), varint(value ? 1 : 0)])
  if (!Array.isArray(value)) return delimited(structAt, struct(object, value as Json))
  return Buffer.concat(
    value.map((item) => delimited(otherAt, other === 'strings' ? Buffer.from(String(item)) : struct(object, item as Json))),
  )
}

function scalar(number: number, { type }: Scalar, value: unknown): Buffer {
  const int = (at: number, value: number | bigint) => Buffer.concat([varint(at * 8), varint(value)])
  switch (type) {
    case 'bool':
      return int(number, value ? 1 : 0)
    case 'uint8':
    case 'int32':
    case 'int64':
      return int(number, value as number)
    case 'float64': {
      const double = Buffer.alloc(8)
      double.writeDoubleLE(value as number)
      return Buffer.concat([varint(number * 8 + 1), double])
    }
    case 'string':
      return delimited(number, Buffer.from(value as string))
    case 'bytes':
      return delimited(number, Buffer.from(value as string, 'base64'))
    case 'quantity':
      return delimited(number, delimited(1, Buffer.from(value as string)))
    case 'intOrString': {
      const isText = typeof value === 'string'
      const parts = [int(1, isText ? 1 : 0), int(2, isText ? 0 : (value as number)), delimited(3, Buffer.from(isText ? value : ''))]
      return delimited(number, Buffer.concat(parts))
    }
    case 'time':
    case 'microTime': {
      const text = value as string
      const nanos = type === 'microTime' ? Number(text.slice(20, 26)) * 1000 : 0
      return delimited(number, Buffer.concat([int(1, Date.parse(text.slice(0, 19) + 'Z') / 1000), int(2, nanos)]))
    }
    case 'duration':
      return delimited(number, int(1, parseDuration(value as string) ?? 0n))
    default:
      return delimited(number, delimited(1, Buffer.from(JSON.stringify(value))))
  }
}

function delimited(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(bytes.length), bytes])
}

function varint(value: number | bigint): Buffer {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}
