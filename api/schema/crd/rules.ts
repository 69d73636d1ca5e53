// Form of x-kubernetes-validations. Whether an expression makes sense is for the evaluator to say.

import type { Faults } from '../../kinds/rules/faults.ts'
import { type JsonSchema, propertyOf, structureOf, valuesOf } from './json-schema.ts'

const reasons = ['FieldValueForbidden', 'FieldValueInvalid', 'FieldValueDuplicate', 'FieldValueRequired']

export function validateRules(schema: JsonSchema, path: string, faults: Faults): void {
  for (const [i, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const at = `${path}.x-kubernetes-validations[${i}]`
    if (!rule.rule?.trim()) faults.required(`${at}.rule`, 'rule is not specified')
    if (rule.message !== undefined && !rule.message.trim())
      faults.invalid(`${at}.message`, rule.message, 'message must be non-empty if specified')
    if (rule.message?.trim() !== rule.message?.trim().replaceAll('\n', ' ')) {
      faults.invalid(`${at}.message`, rule.message, 'message must not contain line breaks')
    }
    if (rule.rule?.includes('\n') && rule.message === undefined && !rule.messageExpression) {
      faults.required(`${at}.message`, 'message must be specified if rule contains line breaks')
    }
    if (rule.messageExpression !== undefined && !rule.messageExpression.trim()) {
      faults.required(`${at}.messageExpression`, 'messageExpression must be non-empty if specified')
    }
    if (rule.reason) faults.oneOf(`${at}.reason`, rule.reason, reasons)
    if (rule.fieldPath !== undefined && !refersTo(schema, rule.fieldPath)) {
      faults.invalid(`${at}.fieldPath`, rule.fieldPath, 'fieldPath must be a valid path: it does not refer to a field of the schema')
    }
  }
  for (const [step, inner] of structureOf(schema)) validateRules(inner, path + step, faults)
}

/** `.spec.name`, `['quoted']` and `.map["key"]`; lists have no fields. */
function refersTo(schema: JsonSchema, path: string): boolean {
  let at: JsonSchema | undefined = schema
  const steps = /\.([A-Za-z_][\w-]*)|\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/gy
  let end = 0
  for (const match of path.matchAll(steps)) {
    const name: string = match[1] ?? match[2] ?? match[3] ?? ''
    at = at && (propertyOf(at, name) ?? valuesOf(at))
    end = match.index + match[0].length
  }
  return at !== undefined && end === path.length && end > 0
}
