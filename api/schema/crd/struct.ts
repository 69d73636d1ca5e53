// The schema of a custom resource as the nodes that decoding, defaults, patches and server-side apply walk.
// Scalars are not judged here: a value of the wrong type is for validation to name.

import { compile } from '../compile.ts'
import { deduced, type Field, type Scalar, type Schema, type Struct } from '../schema.ts'
import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, keepsUnknown, valuesOf } from './json-schema.ts'

const any: Scalar = { kind: 'scalar', type: 'any', go: 'interface {}' }
const metadata = compile('apimachinery/pkg/apis/meta/v1.ObjectMeta')
const noWire: Struct['wire'] = new Map()

/** `go` and `name`: of the type, e.g. `v1.Widget` and `com.example.v1.Widget`. */
export function structOf(schema: JsonSchema, { go, name }: { go: string; name: string }): Struct {
  return { ...object(schema, 'root'), go, name }
}

function nodeOf(schema: JsonSchema): Schema {
  if (isIntOrString(schema)) return any
  const items = itemsOf(schema)
  switch (schema.type) {
    case 'array':
      return {
        kind: 'list',
        go: '[]interface {}',
        items: items ? nodeOf(items) : any,
        type:
          schema['x-kubernetes-list-type'] === 'map' || schema['x-kubernetes-list-type'] === 'set'
            ? schema['x-kubernetes-list-type']
            : 'atomic',
        keys: schema['x-kubernetes-list-map-keys'] ?? [],
        loose: true,
      }
    case 'object':
      return schema.additionalProperties === undefined || schema.properties
        ? object(schema, isEmbedded(schema) ? 'embedded' : 'plain')
        : dict(schema)
    case undefined:
    case '':
      return schema.properties || isEmbedded(schema) ? object(schema, 'plain') : deduced
    default:
      return any
  }
}

const isAtomic = (schema: JsonSchema) => schema['x-kubernetes-map-type'] === 'atomic'

function dict(schema: JsonSchema): Schema {
  const values = valuesOf(schema)
  return { kind: 'dict', go: 'map[string]interface {}', values: values ? nodeOf(values) : deduced, atomic: isAtomic(schema), loose: true }
}

/** Large schemas are mostly never looked into: the fields are made when first asked for. */
function object(schema: JsonSchema, as: 'root' | 'embedded' | 'plain'): Struct {
  let fields: ReadonlyMap<string, Field> | undefined
  return {
    kind: 'struct',
    go: 'map[string]interface {}',
    name: '',
    atomic: isAtomic(schema),
    open: keepsUnknown(schema) || schema.additionalProperties === true,
    loose: true,
    get fields() {
      fields ??= fieldsOf(schema, as)
      return fields
    },
    wire: noWire,
  }
}

function fieldsOf(schema: JsonSchema, as: 'root' | 'embedded' | 'plain'): Map<string, Field> {
  const fields = new Map<string, Field>()
  const required = new Set(schema.required)
  if (as !== 'plain') {
    fields.set('apiVersion', { name: 'apiVersion', schema: any, presence: 'given', required: false })
    fields.set('kind', { name: 'kind', schema: any, presence: 'given', required: false })
    fields.set('metadata', { name: 'metadata', schema: metadata, presence: as === 'root' ? 'always' : 'given', required: false })
  }
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    if (!fields.has(name)) fields.set(name, fieldOf(name, property, required.has(name)))
  return fields
}

function fieldOf(name: string, property: JsonSchema, required: boolean): Field {
  let node: Schema | undefined
  return {
    name,
    get schema() {
      node ??= nodeOf(property)
      return node
    },
    presence: 'given',
    required,
    ...(property.default !== undefined && { default: property.default }),
    // Where there is no type, null is as good a value as any.
    ...((property.nullable || (!property.type && !isIntOrString(property))) && { nullable: true }),
  }
}
