// The schema nodes as OpenAPI schemas. Version 3 and version 2 differ in the place of references, in what
// may stand beside a `$ref`, and in unions, which version 2 does not have.

import { compile } from '../compile.ts'
import { listMeta, objectMeta, type Published, publishedList, publishedObject } from '../crd/publish.ts'
import type { Field, Gvk, Scalar, Schema, Struct } from '../schema.ts'
import type { Docs } from './docs.ts'
import type { Json } from './json.ts'

export type Dialect = 2 | 3

const prefixes = { 2: '#/definitions/', 3: '#/components/schemas/' }
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'

/** Scalars that OpenAPI names, with their schema in each version. */
const named: Partial<Record<Scalar['type'], { name: string; schema: Json; schema3?: Json }>> = {
  quantity: {
    name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    schema: { type: 'string' },
    schema3: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  },
  intOrString: {
    name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    schema: { format: 'int-or-string', type: 'string' },
    schema3: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  },
  time: { name: `${meta}.Time`, schema: { format: 'date-time', type: 'string' } },
  microTime: { name: `${meta}.MicroTime`, schema: { format: 'date-time', type: 'string' } },
  duration: { name: `${meta}.Duration`, schema: { type: 'string' } },
  fieldsV1: { name: `${meta}.FieldsV1`, schema: { type: 'object' } },
  object: { name: 'io.k8s.apimachinery.pkg.runtime.RawExtension', schema: { type: 'object' } },
}

const plain: Partial<Record<Scalar['type'], Json>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  uint8: { format: 'byte', type: 'integer' },
  int32: { format: 'int32', type: 'integer' },
  int64: { format: 'int64', type: 'integer' },
  float64: { format: 'double', type: 'number' },
  bytes: { format: 'byte', type: 'string' },
}

export class Definitions {
  readonly #dialect: Dialect
  readonly #docs: Docs
  readonly #found = new Map<string, Json>()

  constructor(dialect: Dialect, docs: Docs) {
    this.#dialect = dialect
    this.#docs = docs
  }

  /** A reference to the struct; it and all that it needs are then among the definitions. */
  ref(struct: Struct, kinds?: readonly Json[]): Json {
    if (!this.#found.has(struct.name)) {
      this.#found.set(struct.name, {}) // holds the place of a type that contains itself
      this.#found.set(struct.name, this.#struct(struct))
    }
    const definition = this.#found.get(struct.name)
    if (kinds && definition) definition['x-kubernetes-group-version-kind'] = kinds
    return this.#refTo(struct.name)
  }

  /** A reference to a custom resource, or the list of such. */
  custom(published: Published, { group, version }: Gvk, as: 'object' | 'list'): Json {
    const { name, kind, listKind } = published
    const listName = `${name.slice(0, -kind.length)}${listKind}`
    if (!this.#found.has(name)) {
      for (const type of [objectMeta, listMeta]) this.ref(compile(`apimachinery/pkg/apis/meta/v1.${type.split('.').at(-1)}`) as Struct)
      const context = { dialect: this.#dialect, refTo: (type: string) => this.#refTo(type) }
      const define = (name: string, kind: string, schema: Json) =>
        this.#found.set(name, { ...schema, 'x-kubernetes-group-version-kind': [{ group, kind, version }] })
      define(name, kind, publishedObject(published, context))
      define(listName, listKind, publishedList(published, context))
    }
    return this.#refTo(as === 'list' ? listName : name)
  }

  /** By name, in order. */
  all(): Record<string, Json> {
    return Object.fromEntries([...this.#found].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  #refTo(name: string): Json {
    return { $ref: prefixes[this.#dialect] + name }
  }

  #struct(struct: Struct): Json {
    const docs = this.#docs[struct.name] ?? {}
    const properties: Json = {}
    const required: string[] = []
    for (const field of struct.fields.values()) {
      properties[field.name] = this.#property(field, docs[field.name])
      if (field.required) required.push(field.name)
    }
    return {
      ...(docs[''] && { description: docs[''] }),
      type: 'object',
      ...(required.length && { required: required.sort() }),
      ...(struct.fields.size && { properties }),
      ...(struct.atomic && { 'x-kubernetes-map-type': 'atomic' }),
    }
  }

  #property(field: Field, description: string | undefined): Json {
    const value = field.schema.kind === 'struct' && field.presence === 'always' ? {} : field.default
    const beside: Json = {
      ...(description && { description }),
      ...(value !== undefined && { default: value }),
      ...extensionsOf(field),
    }
    const schema = this.#schema(field.schema)
    if (!('$ref' in schema)) return { ...beside, ...schema }
    if (this.#dialect === 2) return { ...schema, ...beside }
    return Object.keys(beside).length ? { ...beside, allOf: [schema] } : schema
  }

  #schema(schema: Schema): Json {
    switch (schema.kind) {
      case 'struct':
        return this.ref(schema)
      case 'list':
        return { type: 'array', items: this.#item(schema.items) }
      case 'dict':
        return { type: 'object', additionalProperties: this.#item(schema.values) }
      case 'either':
        this.ref(schema.struct)
        return this.#name(schema.name, {})
      default:
        return this.#scalar(schema)
    }
  }

  #item(schema: Schema): Json {
    const item = this.#schema(schema)
    return schema.kind === 'struct' && this.#dialect === 3 ? { allOf: [item], default: {} } : item
  }

  #scalar({ type, enum: values }: Scalar): Json {
    const known = named[type]
    if (known) return this.#name(known.name, this.#dialect === 3 ? (known.schema3 ?? known.schema) : known.schema)
    return { ...plain[type], ...(values?.length && { enum: values }) }
  }

  #name(name: string, schema: Json): Json {
    const description = this.#docs[name]?.['']
    this.#found.set(name, { ...(description && { description }), ...schema })
    return this.#refTo(name)
  }
}

function extensionsOf({ schema, patch }: Field): Json {
  const strategies = patch
    ? [...(patch.merge ? ['merge'] : []), ...(patch.replace ? ['replace'] : []), ...(patch.retainKeys ? ['retainKeys'] : [])]
    : []
  return {
    ...(schema.kind === 'list' && schema.keys.length && { 'x-kubernetes-list-map-keys': schema.keys }),
    ...(schema.kind === 'list' && { 'x-kubernetes-list-type': schema.type }),
    ...(schema.kind === 'dict' && schema.atomic && { 'x-kubernetes-map-type': 'atomic' }),
    ...(patch?.key && { 'x-kubernetes-patch-merge-key': patch.key }),
    ...(strategies.length && { 'x-kubernetes-patch-strategy': strategies.join(',') }),
  }
}
