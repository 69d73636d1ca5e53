// A kind of the schema table as a JSON schema, for the types of expressions about its objects.

import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import type { ScalarType, Schema, Struct } from '#api/schema/schema.ts'

/** What nobody has described. */
const anything: JsonSchema = { type: 'object' }

const scalars: Readonly<Record<ScalarType, JsonSchema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  uint8: { type: 'integer' },
  int32: { type: 'integer' },
  int64: { type: 'integer' },
  float64: { type: 'number' },
  bytes: { type: 'string', format: 'byte' },
  quantity: { type: 'string' },
  intOrString: { 'x-kubernetes-int-or-string': true },
  time: { type: 'string', format: 'date-time' },
  microTime: { type: 'string', format: 'date-time' },
  duration: { type: 'string' },
  object: anything,
  fieldsV1: anything,
  any: {},
}

/** A type that holds itself is described once: within itself it is anything. */
export function described(schema: Schema, within: ReadonlySet<Struct> = new Set()): JsonSchema {
  switch (schema.kind) {
    case 'scalar':
      return scalars[schema.type]
    case 'list':
      return { type: 'array', items: described(schema.items, within) }
    case 'dict':
      return { type: 'object', additionalProperties: described(schema.values, within) }
    case 'either':
      return {}
    default: {
      if (schema.open || within.has(schema)) return anything
      const inside = new Set(within).add(schema)
      const properties = [...schema.fields.values()].map((field) => [field.name, described(field.schema, inside)] as const)
      return { type: 'object', properties: Object.fromEntries(properties) }
    }
  }
}
