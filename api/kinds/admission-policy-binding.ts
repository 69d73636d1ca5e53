import type { ParamRef } from '../types/admissionregistration-v1.gen.ts'
import { MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBinding } from './index.ts'
import { defaultMatch, validateMatch, validateParamRef } from './rules/admission-rules.ts'
import { ageColumn, nameColumn, selectorText } from './rules/columns.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { Column, KindSpec } from './spec.ts'

type Binding = MutatingAdmissionPolicyBinding | ValidatingAdmissionPolicyBinding

function paramText(ref: ParamRef | undefined): string {
  if (ref?.name) return `${ref.namespace || '*'}/${ref.name}`
  return ref?.selector ? selectorText(ref.selector) : '<unset>'
}

const columns: Column<Binding>[] = [
  nameColumn,
  { name: 'PolicyName', cell: ({ spec }) => spec.policyName ?? '' },
  { name: 'ParamRef', cell: ({ spec }) => paramText(spec.paramRef) },
  ageColumn,
]

function defaults({ spec }: Binding): void {
  defaultMatch(spec?.matchResources)
}

function validate({ spec }: Binding, faults: Faults): void {
  if (!spec?.policyName) faults.required('spec.policyName')
  else faults.each('spec.policyName', spec.policyName, isDns1123Subdomain(spec.policyName))
  validateParamRef('spec.paramRef', spec?.paramRef, faults)
  if (spec?.matchResources) validateMatch('spec.matchResources', spec.matchResources, faults)
}

const common = { generation: true, nameRule: isDns1123Subdomain, columns, defaults, validate } as const

export const mutatingAdmissionPolicyBinding: KindSpec<MutatingAdmissionPolicyBinding> = {
  ...common,
  kind: MutatingAdmissionPolicyBinding,
  singular: 'mutatingadmissionpolicybinding',
}

export const validatingAdmissionPolicyBinding: KindSpec<ValidatingAdmissionPolicyBinding> = {
  ...common,
  kind: ValidatingAdmissionPolicyBinding,
  singular: 'validatingadmissionpolicybinding',
  validate(binding, faults) {
    validate(binding, faults)
    const actions = binding.spec?.validationActions ?? []
    const field = 'spec.validationActions'
    if (actions.length === 0) faults.required(field, 'at least one validation action is required')
    const repeated = repeats()
    for (const [i, action] of actions.entries()) {
      faults.oneOf(`${field}[${i}]`, action, ['Audit', 'Deny', 'Warn'])
      if (repeated(action)) faults.duplicate(`${field}[${i}]`, action)
    }
    if (actions.includes('Deny') && actions.includes('Warn'))
      faults.invalid(
        field,
        actions,
        'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
      )
  },
}
