// The rules of custom resources (x-kubernetes-validations) where they matter: when a definition brings
// them, and when an object may break them.

import { invalid } from '#api/errors.ts'
import { CustomResourceDefinition } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { Faults, same } from '#api/kinds/rules/faults.ts'
import { type JsonSchema, some } from '#api/schema/crd/json-schema.ts'
import { type Admission, isKind } from '#control/admission/admission.ts'
import { type Evaluator, TooCostly } from '#control/cel/evaluator.ts'

export type Rules = Pick<Evaluator, 'check' | 'evaluate'>

export const hasRules = (schema: JsonSchema): boolean => some(schema, (each) => (each['x-kubernetes-validations']?.length ?? 0) > 0)

/** Refuses a definition whose rules make no sense. */
export const definitionRules = (rules: Rules): Admission => ({
  name: 'CustomResourceRules',
  async validate(review) {
    const { operation, subresource, object, previous } = review
    const { group, kind } = CustomResourceDefinition
    if (operation === 'DELETE' || subresource !== '' || !isKind(review, group, kind)) return
    const before = (previous as CustomResourceDefinition | undefined)?.spec.versions
    const faults = new Faults()
    for (const [i, version] of (object as CustomResourceDefinition).spec.versions.entries()) {
      const schema = version.schema?.openAPIV3Schema as JsonSchema | undefined
      const old = before?.find(({ name }) => name === version.name)?.schema?.openAPIV3Schema
      if (schema && hasRules(schema) && !same(schema, old)) await check(rules, schema, `spec.versions[${i}].schema.openAPIV3Schema`, faults)
    }
    if (faults.list.length) throw invalid(group, kind, object.metadata.name, faults.list)
  },
})

async function check(rules: Rules, schema: JsonSchema, at: string, faults: Faults): Promise<void> {
  for (const fault of await rules.check(schema)) {
    const { path, field, message } = fault
    if (!field) {
      faults.forbidden(at, message)
      continue
    }
    const place = `${at}${path}.x-kubernetes-validations[${fault.index}].${field}`
    if (fault.isForbidden) faults.forbidden(place, message)
    else faults.invalid(place, fault.expression, message)
  }
}

/** What `next` breaks of the rules in `schema`. */
export async function judge(
  rules: Rules,
  schema: JsonSchema,
  next: KubeObject,
  previous: KubeObject | undefined,
  faults: Faults,
): Promise<void> {
  try {
    for (const { path, reason, type, message } of await rules.evaluate(schema, next, previous)) {
      const field = path || '<nil>'
      if (reason === 'FieldValueForbidden') faults.forbidden(field, message)
      else if (reason === 'FieldValueRequired') faults.required(field, message)
      else if (reason === 'FieldValueDuplicate') faults.duplicate(field, type)
      else faults.invalid(field, type, message)
    }
  } catch (error) {
    if (!(error instanceof TooCostly)) throw error
    faults.invalid('<nil>', '', 'validation failed due to running out of cost budget, no further validation rules will be run')
  }
}
