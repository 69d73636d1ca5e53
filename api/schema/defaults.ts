// The defaults that the table declares (`+default`): protocol TCP, file system types and the like.
// Those that Kubernetes writes in code belong to the kinds.

import { isMisfit, type JsonObject, put } from './decode.ts'
import type { Field, Schema, Struct } from './schema.ts'

const empty = (value: unknown) => value === undefined || value === null || value === '' || value === 0

/** Fills `object`, a decoded one, in place. Defaults within a default, or within what was given instead of it, are set, too. */
export function setDefaults(schema: Struct, object: JsonObject): void {
  for (const field of affected(schema)) {
    let value = Object.hasOwn(object, field.name) ? object[field.name] : undefined
    if (field.default !== undefined && empty(value) && !(field.presence === 'given' && value !== undefined)) {
      value = typeof field.default === 'object' ? structuredClone(field.default) : field.default
      put(object, field.name, value)
    }
    if (value !== undefined) setWithin(field.schema, value)
  }
}

function setWithin(schema: Schema, value: unknown): void {
  if (typeof value !== 'object' || value === null || isMisfit(schema, value)) return
  if (schema.kind === 'struct') setDefaults(schema, value as JsonObject)
  else if (schema.kind === 'list' && Array.isArray(value)) for (const item of value) setWithin(schema.items, item)
  else if (schema.kind === 'dict') for (const item of Object.values(value)) setWithin(schema.values, item)
}

/** Of each struct, the fields that have a default or lead to one: the only ones worth walking. */
const leading = new WeakMap<Struct, Field[]>()

function affected(schema: Struct): Field[] {
  const known = leading.get(schema)
  if (known) return known
  leading.set(schema, []) // a struct within itself leads nowhere new
  const fields = [...schema.fields.values()].filter((field) => (field.default !== undefined ? !isNoDefault(field) : leads(field.schema)))
  leading.set(schema, fields)
  return fields
}

/** A default that is what the field holds without it. */
const isNoDefault = (field: Field) => empty(field.default) && field.presence !== 'given'

function leads(schema: Schema): boolean {
  switch (schema.kind) {
    case 'struct':
      return affected(schema).length > 0
    case 'list':
      return leads(schema.items)
    case 'dict':
      return leads(schema.values)
    default:
      return false
  }
}
