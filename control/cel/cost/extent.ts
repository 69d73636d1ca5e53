// How large the values of a schema can get, as Kubernetes estimates it before any of them exists: by the
// limits that the schema sets, or else by what a request can hold (apiserver pkg/cel/common/schemas.go).

import { isEmbedded, isIntOrString, itemsOf, type JsonSchema, valuesOf } from '#api/schema/crd/json-schema.ts'
import { celName, implicitOf } from '../types.ts'

/** `most`: elements, characters or entries; 0 for what has none. `least`: bytes of its shortest JSON. */
export type Extent = { most: number; least: number; item?: Extent; key?: Extent; fields?: ReadonlyMap<string, Extent> }

const request = 3 * 1024 * 1024
const textLeast = 2
const longest = request - 2
const text: Extent = { most: 0, least: textLeast }

/** How often something of `least` bytes fits into a request. */
export const mostOf = ({ least }: Extent): number => Math.floor(request / (least + 1))

/** Undefined for what has no type in CEL. `root`: the schema of a whole object. */
export function extentOf(schema: JsonSchema, root = false): Extent | undefined {
  const { maxLength } = schema
  if (isIntOrString(schema)) return { most: maxLength === undefined ? longest : positive(maxLength) * 4, least: 1 }
  switch (schema.type) {
    case 'string':
      return textExtent(schema)
    case 'boolean':
      return { most: 0, least: 4 }
    case 'integer':
    case 'number':
      return { most: 0, least: 1 }
    case 'array': {
      const items = itemsOf(schema)
      const item = items && extentOf(items, isEmbedded(items))
      return item && { most: positive(schema.maxItems ?? Math.floor(longest / (item.least + 1))), least: 2, item }
    }
    case 'object':
      return objectExtent(schema, root)
    default:
      return undefined
  }
}

function objectExtent(schema: JsonSchema, root: boolean): Extent | undefined {
  const values = valuesOf(schema)
  if (values) {
    const item = extentOf(values, isEmbedded(values))
    return item && { most: positive(schema.maxProperties ?? Math.floor(longest / (item.least + 6))), least: 2, item, key: text }
  }
  const fields = new Map<string, Extent>()
  let least = 2
  for (const [name, property] of Object.entries({ ...schema.properties, ...(root && implicitOf) })) {
    const extent = extentOf(property, isEmbedded(property))
    if (!extent) continue
    const spelled = celName(name)
    if (spelled) fields.set(spelled, extent)
    if (schema.required?.includes(name) && property.default === undefined) least += name.length + extent.least + 4
  }
  return { most: 0, least, fields }
}

function textExtent({ format, maxLength, enum: values }: JsonSchema): Extent {
  switch (format) {
    case 'byte':
      return { most: maxLength === undefined ? longest : positive(maxLength), least: textLeast }
    case 'duration':
      return { most: 32, least: 3 }
    case 'date':
      return { most: 12, least: 12 }
    case 'date-time':
      return { most: 32, least: 21 }
    default:
      // A character takes up to four bytes.
      if (maxLength !== undefined) return { most: positive(maxLength) * 4, least: textLeast }
      if (!values?.length) return { most: longest, least: textLeast }
      return { most: Math.max(...values.map((value) => (typeof value === 'string' ? Buffer.byteLength(value) : 0))), least: textLeast }
  }
}

const positive = (value: number): number => Math.max(0, value)
