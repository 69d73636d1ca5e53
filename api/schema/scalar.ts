// Scalars: what JSON form each accepts, and the one spelling in which it is kept.

import { parseDuration } from './duration.ts'
import { describe, Mismatch, type Place } from './mismatch.ts'
import { formatQuantity, parseQuantity, QuantityError } from './quantity.ts'
import type { Scalar } from './schema.ts'
import { normalizeTime } from './time.ts'

/** The value as it is kept. Throws Mismatch. */
export function decodeScalar(schema: Scalar, value: unknown, place: Place): unknown {
  switch (schema.type) {
    case 'string':
      if (typeof value !== 'string') throw place.mismatch(value, schema.go)
      return value
    case 'bool':
      if (typeof value !== 'boolean') throw place.mismatch(value, schema.go)
      return value
    case 'int32':
      return integer(value, -0x8000_0000, 0x7fff_ffff, schema.go, place)
    case 'int64':
      return typeof value === 'bigint' && place.floatHere() === undefined
        ? value
        : integer(value, -(2 ** 63), 2 ** 63 - 1024, schema.go, place)
    case 'uint8':
      return integer(value, 0, 255, schema.go, place)
    case 'float64':
      if (typeof value === 'bigint') return Number(value)
      if (typeof value !== 'number') throw place.mismatch(value, schema.go)
      return value
    case 'bytes':
      if (typeof value !== 'string') throw place.mismatch(value, schema.go)
      return base64(value)
    case 'quantity':
      return quantity(value)
    case 'intOrString':
      return intOrString(value, place)
    case 'time':
    case 'microTime':
      return time(value, schema.type === 'microTime')
    case 'duration':
      if (typeof value !== 'string') throw new Mismatch(`json: cannot unmarshal ${describe(value)} into Go value of type string`)
      if (parseDuration(value) === undefined) throw new Mismatch(`time: invalid duration ${JSON.stringify(value)}`)
      return value
    default:
      return value // any JSON
  }
}

function integer(value: unknown, min: number, max: number, go: string, place: Place): number {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw place.mismatch(value, go)
  const float = place.floatHere()
  if (float !== undefined || typeof value === 'bigint' || !Number.isInteger(value) || value < min || value > max) {
    const error = place.mismatch(value, go)
    error.message = error.message.replace('unmarshal number', `unmarshal number ${float ?? value}`)
    throw error
  }
  return value
}

function base64(text: string): string {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return text
  const clean = text.replace(/[\r\n]/g, '')
  if (clean.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(clean)) return clean
  const bad = /[^A-Za-z0-9+/\r\n]/.exec(text)
  throw new Mismatch(`illegal base64 data at input byte ${bad ? bad.index : text.length - (clean.length % 4)}`)
}

function quantity(value: unknown): string {
  const text =
    typeof value === 'string'
      ? value.trim()
      : typeof value === 'number' || typeof value === 'bigint'
        ? String(value)
        : JSON.stringify(value)
  try {
    return formatQuantity(parseQuantity(text))
  } catch (error) {
    if (error instanceof QuantityError) throw new Mismatch(error.message)
    throw error
  }
}

function intOrString(value: unknown, place: Place): number | string {
  if (typeof value === 'string') return value
  if (typeof value !== 'number' && typeof value !== 'bigint')
    throw new Mismatch(`json: cannot unmarshal ${describe(value)} into Go value of type int32`)
  const float = place.floatHere()
  if (float === undefined && typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fff_ffff) return value
  throw new Mismatch(`json: cannot unmarshal number ${float ?? value} into Go value of type int32`)
}

function time(value: unknown, micro: boolean): string {
  if (typeof value !== 'string') throw new Mismatch(`json: cannot unmarshal ${describe(value)} into Go value of type string`)
  const normal = normalizeTime(value, micro)
  if (normal !== undefined) return normal
  const layout = `2006-01-02T15:04:05${micro ? '.000000' : ''}Z07:00`
  throw new Mismatch(`parsing time ${JSON.stringify(value)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(value)} as "2006"`)
}
