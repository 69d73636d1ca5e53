// The schema of a custom resource as OpenAPI shows it: with what every object has, and, for version 2,
// without what that version has no words for.

import type { Json } from '../openapi/json.ts'
import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, keepsUnknown, valuesOf } from './json-schema.ts'

/** How a custom resource is published: see Definitions.custom. */
export type Published = { name: string; listKind: string; kind: string; plural: string; schema: JsonSchema }

type Context = { dialect: 2 | 3; refTo: (name: string) => Json }

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const conventions = 'https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md'
const apiVersion: Json = {
  description: `APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: ${conventions}#resources`,
  type: 'string',
}
const kind: Json = {
  description: `Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: ${conventions}#types-kinds`,
  type: 'string',
}
const metadataText = `Standard object's metadata. More info: ${conventions}#metadata`

/** Names of the types that the published ones refer to. */
export const objectMeta = `${meta}.ObjectMeta`
export const listMeta = `${meta}.ListMeta`

export function publishedObject({ schema }: Published, context: Context): Json {
  return { ...published(schema, context), type: 'object', properties: withMeta(schema, context) }
}

export function publishedList({ kind: itemKind, plural, name }: Published, context: Context): Json {
  return {
    description: `${itemKind}List is a list of ${itemKind}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion,
      items: { description: `List of ${plural}. More info: ${conventions}`, type: 'array', items: context.refTo(name) },
      kind,
      metadata: refWith(listMeta, `Standard list metadata. More info: ${conventions}#types-kinds`, context),
    },
  }
}

const refWith = (name: string, description: string, { dialect, refTo }: Context): Json =>
  dialect === 2 ? { ...refTo(name), description } : { description, allOf: [refTo(name)] }

const withMeta = (schema: JsonSchema, context: Context): Json => ({
  ...propertiesOf(schema, context),
  apiVersion,
  kind,
  metadata: refWith(objectMeta, metadataText, context),
})

const propertiesOf = ({ properties }: JsonSchema, context: Context): Json =>
  Object.fromEntries(Object.entries(properties ?? {}).map(([name, property]) => [name, published(property, context)]))

/** Where version 2 has no words for what a value may be, nothing is said of it, so that old clients let it pass. */
const isBeyond2 = (schema: JsonSchema) => schema.nullable || keepsUnknown(schema) || isIntOrString(schema)

function published(schema: JsonSchema, context: Context): Json {
  const { properties, items: _items, additionalProperties, anyOf, oneOf, allOf, not, nullable, ...rest } = schema
  if (context.dialect === 2 && isBeyond2(schema)) {
    const { type: _type, ...untyped } = rest
    return untyped
  }
  const items = itemsOf(schema)
  const values = valuesOf(schema)
  return {
    ...rest,
    ...(items && { items: published(items, context) }),
    ...(additionalProperties !== undefined && { additionalProperties: values ? published(values, context) : additionalProperties }),
    ...(isEmbedded(schema) ? { properties: withMeta(schema, context) } : properties && { properties: propertiesOf(schema, context) }),
    ...(context.dialect === 3 && {
      ...(nullable && { nullable }),
      ...(anyOf && { anyOf }),
      ...(oneOf && { oneOf }),
      ...(allOf && { allOf }),
      ...(not && { not }),
    }),
  }
}
