// Validating admission policies and where they are bound, ready to be asked.

import type {
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicySpec,
} from '#api/types/admissionregistration-v1.gen.ts'
import type { Expressions } from '#control/cel/expressions.ts'
import { type Criteria, criteriaOf } from '../match.ts'

export type Binding = { name: string; spec: ValidatingAdmissionPolicyBinding['spec']; criteria: Criteria | undefined }
export type Policy = {
  name: string
  spec: ValidatingAdmissionPolicySpec
  criteria: Criteria
  expressions: Expressions
  bindings: readonly Binding[]
}

/** Those that are bound somewhere, by name. */
export function policiesOf(
  policies: readonly ValidatingAdmissionPolicy[],
  bindings: readonly ValidatingAdmissionPolicyBinding[],
): Policy[] {
  const bound = Map.groupBy(bindings.toSorted(byName), ({ spec }) => spec.policyName ?? '')
  return policies.toSorted(byName).flatMap(({ metadata, spec }) => {
    const own = bound.get(metadata.name)
    if (!own) return []
    const criteria = criteriaOf({
      ...spec.matchConstraints,
      rules: spec.matchConstraints?.resourceRules,
      except: spec.matchConstraints?.excludeResourceRules,
    })
    return [{ name: metadata.name, spec, criteria, expressions: expressionsOf(spec), bindings: own.map(bindingOf) }]
  })
}

const byName = (a: { metadata: { name: string } }, b: { metadata: { name: string } }) => (a.metadata.name < b.metadata.name ? -1 : 1)

function bindingOf({ metadata, spec }: ValidatingAdmissionPolicyBinding): Binding {
  const match = spec.matchResources
  const rules = match?.resourceRules?.length ? match.resourceRules : undefined
  return { name: metadata.name, spec, criteria: match && criteriaOf({ ...match, rules, except: match.excludeResourceRules }) }
}

/** Compiled expressions are known by this object: one for each state of the policy. */
export const expressionsOf = (spec: ValidatingAdmissionPolicySpec): Expressions => ({
  matchConditions: spec.matchConditions ?? [],
  policy: {
    variables: spec.variables ?? [],
    validations: spec.validations ?? [],
    auditAnnotations: spec.auditAnnotations ?? [],
    hasParams: spec.paramKind !== undefined,
  },
})
