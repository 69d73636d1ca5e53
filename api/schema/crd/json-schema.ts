// openAPIV3Schema of a CustomResourceDefinition as JSON has it: where Go's types have unions of a schema
// and something else, the value itself stands here.

import type { JSONSchemaProps } from '../../types/apiextensions-v1.gen.ts'

type Nested =
  | 'items'
  | 'additionalProperties'
  | 'properties'
  | 'allOf'
  | 'anyOf'
  | 'oneOf'
  | 'not'
  | 'definitions'
  | 'patternProperties'
  | 'dependencies'
  | 'additionalItems'

export type JsonSchema = Omit<JSONSchemaProps, Nested> & {
  items?: JsonSchema | JsonSchema[]
  additionalProperties?: JsonSchema | boolean
  properties?: Readonly<Record<string, JsonSchema>>
  allOf?: readonly JsonSchema[]
  anyOf?: readonly JsonSchema[]
  oneOf?: readonly JsonSchema[]
  not?: JsonSchema
  definitions?: Readonly<Record<string, JsonSchema>>
  patternProperties?: Readonly<Record<string, JsonSchema>>
  dependencies?: Readonly<Record<string, unknown>>
  additionalItems?: JsonSchema | boolean
}

/** Own properties only: a schema may well name one `constructor`. */
export const propertyOf = (schema: JsonSchema, name: string): JsonSchema | undefined =>
  schema.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined

export const itemsOf = ({ items }: JsonSchema): JsonSchema | undefined => (Array.isArray(items) ? undefined : items)

export const valuesOf = ({ additionalProperties: values }: JsonSchema): JsonSchema | undefined =>
  typeof values === 'object' ? values : undefined

export const keepsUnknown = (schema: JsonSchema): boolean => schema['x-kubernetes-preserve-unknown-fields'] === true
export const isEmbedded = (schema: JsonSchema): boolean => schema['x-kubernetes-embedded-resource'] === true
export const isIntOrString = (schema: JsonSchema): boolean => schema['x-kubernetes-int-or-string'] === true

/** Each schema within `schema` that says what a value looks like, with its step of the path; not those under allOf and the like. */
export function* structureOf(schema: JsonSchema): Generator<[step: string, schema: JsonSchema]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) yield [`.properties[${name}]`, property]
  const items = itemsOf(schema)
  if (items) yield ['.items', items]
  const values = valuesOf(schema)
  if (values) yield ['.additionalProperties', values]
}

/** Whether anything in the structure of `schema` satisfies `test`. */
export function some(schema: JsonSchema, test: (schema: JsonSchema) => boolean): boolean {
  if (test(schema)) return true
  for (const [, inner] of structureOf(schema)) if (some(inner, test)) return true
  return false
}
