// Random objects of any schema, the same for the same seed: for property tests.

import { put } from './decode.ts'
import type { Scalar, Schema, Struct } from './schema.ts'

export type Random = {
  /** An integer from 0 to below `limit`. */
  below(limit: number): number
}

/** mulberry32 */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  return {
    below(limit) {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
    },
  }
}

/** A value that decoding keeps as it is, save for what it adds. `depth` bounds the nesting. */
export function randomValue(schema: Schema, random: Random, depth: number): unknown {
  switch (schema.kind) {
    case 'scalar':
      return randomScalar(schema, random)
    case 'struct':
      return randomObject(schema, random, depth)
    case 'dict':
      return Object.fromEntries(
        some(random, 1 + random.below(3)).map((key) => [`key-${key}`, randomValue(schema.values, random, depth - 1)]),
      )
    case 'list': {
      const items = some(random, 1 + random.below(3)).map(() => randomValue(schema.items, random, depth - 1))
      const seen = new Set<string>()
      return items.filter((item) => {
        const id =
          schema.type === 'map' ? JSON.stringify(schema.keys.map((key) => (item as Record<string, unknown>)[key])) : JSON.stringify(item)
        return schema.type === 'atomic' || (!seen.has(id) && seen.add(id))
      })
    }
    default:
      return depth > 0 ? randomObject(schema.struct, random, depth) : schema.other === 'bool' ? true : []
  }
}

const some = (random: Random, count: number): number[] => Array.from({ length: count }, () => random.below(1000))

export function randomObject(struct: Struct, random: Random, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  const keys = keyFields.get(struct.go)
  const wired = wiredFields(struct)
  for (const field of struct.fields.values()) {
    if (wired.size && !wired.has(field.name)) continue
    const scalar = field.schema.kind === 'scalar'
    if (!scalar && depth <= 0) continue
    const wanted = keys?.includes(field.name) || random.below(scalar ? 2 : 3) === 0
    if (wanted) put(result, field.name, randomValue(field.schema, random, depth - 1))
  }
  return result
}

/** What protobuf carries of a struct: not the kind of an object within another. */
const wiredFields = (struct: Struct): Set<string> =>
  new Set([...struct.wire.values()].flatMap((entry) => ('kind' in entry ? [...wiredFields(entry)] : [entry.name])))

/** Fields that lists identify their items by, and so never leave out. */
const keyFields = new Map<string, readonly string[]>()

/** Notes the keys of every list below `schema`. */
export function noteKeys(schema: Schema, seen = new Set<Schema>()): void {
  if (seen.has(schema)) return
  seen.add(schema)
  if (schema.kind === 'list') {
    if (schema.type === 'map') keyFields.set(schema.items.go, [...new Set([...(keyFields.get(schema.items.go) ?? []), ...schema.keys])])
    noteKeys(schema.items, seen)
  } else if (schema.kind === 'dict') noteKeys(schema.values, seen)
  else if (schema.kind === 'struct') for (const field of schema.fields.values()) noteKeys(field.schema, seen)
}

function randomScalar({ type }: Scalar, random: Random): unknown {
  const number = random.below(100_000)
  switch (type) {
    case 'bool':
      return true
    case 'uint8':
      return 1 + (number % 255)
    case 'int32':
      return 1 + number
    case 'int64':
      return number % 2 ? -number : number * 1_000_003 + 1
    case 'float64':
      return number / 7 + 1
    case 'bytes':
      return Buffer.from(`bytes ${number}`).toString('base64')
    case 'quantity':
      return ['500m', '1', '1500', '2k', '3Gi', '1536Mi', '7n', '12e6'][number % 8]
    case 'intOrString':
      return number % 2 ? number : `${number}%`
    case 'time':
      return `20${10 + (number % 80)}-02-28T23:59:${10 + (number % 50)}Z`
    case 'microTime':
      return `2024-02-29T00:00:00.${String(number).padStart(6, '0')}Z`
    case 'duration':
      return ['1h0m0s', '1m30s', '250ms', '1.5µs'][number % 4]
    case 'object':
    case 'fieldsV1':
    case 'any':
      return { 'f:any': { number } }
    default:
      return `text-${number} é`
  }
}
