// Printer columns of custom resources: those that the definition names, or the age.

import { since } from '#api/kinds/rules/age.ts'
import { ageColumn, nameColumn } from '#api/kinds/rules/columns.ts'
import type { Column } from '#api/kinds/spec.ts'
import { type JsonPath, jsonPath } from '#api/schema/crd/json-path.ts'
import type { CustomResourceColumnDefinition } from '#api/types/apiextensions-v1.gen.ts'

export function columnsOf(definitions: readonly CustomResourceColumnDefinition[] | undefined): Column[] {
  return [nameColumn, ...(definitions?.length ? definitions.map(columnOf) : [ageColumn])]
}

function columnOf({ name, type, format, description, priority, jsonPath: source }: CustomResourceColumnDefinition): Column {
  let path: JsonPath | undefined
  return {
    name,
    ...(isTyped(type) && { type }),
    ...(format && { format }),
    description: description ?? `Custom resource definition column (in JSONPath format): ${source}`,
    ...(priority && { wide: true }),
    cell(object, now) {
      path ??= parsed(source)
      const [value] = path.find(object)
      return cellOf(type, value, now)
    },
  }
}

const isTyped = (type: string): type is 'integer' | 'number' | 'boolean' | 'date' => ['integer', 'number', 'boolean', 'date'].includes(type)

/** A definition from before its paths were checked shows nothing. */
function parsed(source: string): JsonPath {
  try {
    return jsonPath(source)
  } catch {
    return { find: () => [] }
  }
}

function cellOf(type: string, value: unknown, now: number): string | number | bigint | boolean | null {
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      if (typeof value === 'bigint') return value
      return typeof value === 'number' ? Math.trunc(value) : null
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      if (typeof value !== 'string') return null
      return Number.isNaN(Date.parse(value)) ? '<invalid>' : since(value, now)
    default:
      return typeof value === 'string' ? value : JSON.stringify(value)
  }
}
