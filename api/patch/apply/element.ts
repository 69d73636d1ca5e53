// Path elements: how fields, map keys and list items are named in field sets.

import { isMisfit, isObject } from '../../schema/decode.ts'
import { deduced, type List, type Schema } from '../../schema/schema.ts'

export const fieldElement = (name: string): string => `f:${name}`

/** The item's element: by its keys (defaults filled in) or, in a set, by its value. `undefined` where a key is missing. */
export function itemElement(list: List, item: unknown): string | undefined {
  if (list.type === 'set') return `v:${JSON.stringify(item)}`
  if (!isObject(item)) return undefined
  const [only] = list.keys
  if (only !== undefined && list.keys.length === 1) {
    const value = item[only] ?? keyDefault(list.items, only)
    return value === undefined ? undefined : `k:{${JSON.stringify(only)}:${JSON.stringify(value)}}`
  }
  const parts: string[] = []
  for (const key of sortedKeys(list)) {
    const value = item[key] ?? keyDefault(list.items, key)
    if (value === undefined) return undefined
    parts.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`)
  }
  return `k:{${parts.join(',')}}`
}

const sortedKeys = (list: List): string[] => list.keys.toSorted()

/** What a missing key field counts as: its default, or the zero that Go would print. */
function keyDefault(items: Schema, key: string): unknown {
  const field = items.kind === 'struct' ? items.fields.get(key) : undefined
  if (field?.default !== undefined) return field.default
  return field?.presence === 'nonzero' && field.schema.kind === 'scalar' ? zeros[field.schema.type] : undefined
}

const zeros: Record<string, unknown> = { string: '', int32: 0, int64: 0, bool: false }

/** Items by element, in order; items that cannot be told apart share one. */
export function itemsByElement(list: List, items: readonly unknown[]): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>()
  for (const item of items) {
    const element = itemElement(list, item) ?? `v:${JSON.stringify(item)}`
    const same = found.get(element)
    if (same) same.push(item)
    else found.set(element, [item])
  }
  return found
}

/** Whether the values, as far as they are there, are owned whole, with no paths of their own below them. */
export function isLeaf(schema: Schema, value: unknown, other?: unknown): boolean {
  if ((value !== undefined && isMisfit(schema, value)) || (other !== undefined && isMisfit(schema, other))) return true
  if (schema.kind === 'struct' || schema.kind === 'dict') return schema.atomic
  return schema.kind === 'list' ? schema.type === 'atomic' : true
}

export const childSchema = (schema: Schema, key: string): Schema | undefined => {
  if (schema.kind === 'dict') return schema.values
  if (schema.kind !== 'struct') return undefined
  return schema.fields.get(key)?.schema ?? (schema.open ? deduced : undefined)
}
