// Takes out of an object what an applier named before, names no more, and nobody else owns.

import { isObject, type JsonObject, put } from '../../schema/decode.ts'
import type { Schema } from '../../schema/schema.ts'
import { childSchema, itemElement } from './element.ts'
import { type Fields, isMember, none } from './fields.ts'

/** `last`: the applier's former set. `owned`: the union of all sets as they are now. */
export function prune(schema: Schema, value: unknown, last: Fields, owned: Fields): unknown {
  if (Array.isArray(value))
    return schema.kind === 'list' ? pruneItems(value, schema.items, last, owned, (item) => itemElement(schema, item)) : value
  if (!isObject(value)) return value
  let result: JsonObject | undefined
  for (const [element, node] of Object.entries(last)) {
    const key = element.slice(2)
    if (!element.startsWith('f:') || !Object.hasOwn(value, key)) continue
    const held = owned[element]
    const child = childSchema(schema, key)
    if (!held) {
      result ??= { ...value }
      delete result[key]
    } else if (child && !(isMember(node) && Object.keys(node).length === 0)) {
      const next = prune(child, value[key], node, held)
      if (next === value[key]) continue
      result ??= { ...value }
      put(result, key, next)
    }
  }
  return result ?? value
}

function pruneItems(
  items: unknown[],
  schema: Schema,
  last: Fields,
  owned: Fields,
  elementOf: (item: unknown) => string | undefined,
): unknown[] {
  let changed = false
  const result = items.flatMap((item): unknown[] => {
    const element = elementOf(item)
    const node = element === undefined ? undefined : last[element]
    if (element === undefined || !node) return [item]
    if (!owned[element]) {
      changed = true
      return []
    }
    const next = prune(schema, item, node, owned[element] ?? none)
    changed ||= next !== item
    return [next]
  })
  return changed ? result : items
}
