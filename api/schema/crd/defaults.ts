// Defaults that a schema declares must be values that the schema would accept.

import type { Faults } from '../../kinds/rules/faults.ts'
import { decode, isObject } from '../decode.ts'
import { type JsonSchema, structureOf } from './json-schema.ts'
import type { Patterns } from './pattern.ts'
import { structOf } from './struct.ts'
import { validator } from './validate.ts'

/** `schema` is structural. */
export function validateDefaults(schema: JsonSchema, path: string, { patterns, faults }: { patterns: Patterns; faults: Faults }): void {
  const check = validator({ patterns })
  const visit = (schema: JsonSchema, at: string): void => {
    const value = schema.default
    if (value !== undefined) {
      const place = `${at}.default`
      check({ schema, value, path: place, faults })
      if (hasUnknown(schema, value)) faults.invalid(place, value, 'must not have unknown fields')
    }
    for (const [step, inner] of structureOf(schema)) visit(inner, at + step)
  }
  visit(schema, path)
}

/** As a field of an object: what decoding would drop. */
function hasUnknown(schema: JsonSchema, value: unknown): boolean {
  if (!isObject(value) && !Array.isArray(value)) return false
  const struct = structOf({ type: 'object', properties: { value: schema } }, { go: '', name: '' })
  return decode(struct, { value }, { fieldValidation: 'Warn' }).warnings.length > 0
}
