// Fields of a custom resource that field selectors may name.

import { type JsonSchema, propertyOf } from '../../schema/crd/json-schema.ts'
import type { SelectableField } from '../../types/apiextensions-v1.gen.ts'
import type { Faults } from './faults.ts'

const most = 8
const types = ['boolean', 'integer', 'string']

export function validateSelectableFields(fields: readonly SelectableField[], schema: JsonSchema, field: string, faults: Faults): void {
  if (fields.length > most) faults.tooMany(field, fields.length, most)
  const seen = new Set<string>()
  for (const [i, { jsonPath = '' }] of fields.entries()) {
    const at = `${field}[${i}].jsonPath`
    if (!jsonPath) {
      faults.required(at)
      continue
    }
    if (seen.has(jsonPath)) faults.duplicate(at, jsonPath)
    seen.add(jsonPath)
    if (!/^(\.[-\w]+)+$/.test(jsonPath)) faults.invalid(at, jsonPath, 'is an invalid path: must be a simple path of field names')
    else if (/^\.metadata(\.|$)/.test(jsonPath)) faults.invalid(at, jsonPath, 'must not point to fields in metadata')
    else {
      const target = jsonPath
        .slice(1)
        .split('.')
        .reduce<JsonSchema | undefined>((at, name) => at && propertyOf(at, name), schema)
      if (!target) faults.invalid(at, jsonPath, 'is an invalid path: does not refer to a field of the schema')
      else if (!types.includes(target.type ?? '')) {
        faults.invalid(at, jsonPath, `must point to a field of type boolean, integer or string: ${target.type || 'no type'} is none`)
      }
    }
  }
}
