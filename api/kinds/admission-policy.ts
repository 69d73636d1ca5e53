import type { MatchCondition, MatchResources, ParamKind, Variable } from '../types/admissionregistration-v1.gen.ts'
import { MutatingAdmissionPolicy, ValidatingAdmissionPolicy } from './index.ts'
import { defaultMatch, validateConditions, validateMatch } from './rules/admission-rules.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized']
const longestMessage = 5 * 1024
const paramText = (kind: ParamKind | undefined) => (kind ? `${kind.apiVersion}/${kind.kind}` : '<unset>')

type Spec = {
  paramKind?: ParamKind
  matchConstraints?: MatchResources
  failurePolicy?: string
  matchConditions?: MatchCondition[]
  variables?: Variable[]
}

export const validatingAdmissionPolicy: KindSpec<ValidatingAdmissionPolicy> = {
  kind: ValidatingAdmissionPolicy,
  singular: 'validatingadmissionpolicy',
  status: true,
  statusMeta: [],
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Validations', type: 'integer', cell: ({ spec }) => spec.validations?.length ?? 0 },
    { name: 'ParamKind', cell: ({ spec }) => paramText(spec.paramKind) },
    ageColumn,
  ],
  defaults({ spec }) {
    if (!spec) return
    spec.failurePolicy ??= 'Fail'
    defaultMatch(spec.matchConstraints)
  },
  prepareCreate(policy) {
    policy.status = {}
  },
  validate({ spec }, faults) {
    validateCommon(spec, faults)
    const { validations = [], auditAnnotations = [] } = spec
    if (validations.length === 0 && auditAnnotations.length === 0) {
      faults.required('spec.validations', 'validations or auditAnnotations must contain at least one item')
      faults.required('spec.auditAnnotations', 'validations or auditAnnotations must contain at least one item')
    }
    for (const [i, { expression, message, reason }] of validations.entries()) {
      const at = `spec.validations[${i}]`
      if (!expression?.trim()) faults.required(`${at}.expression`, 'expression is not specified')
      if (message !== undefined) {
        const trimmed = message.trim()
        if (trimmed === '') faults.invalid(`${at}.message`, message, 'message must be non-empty if specified')
        else if (trimmed.includes('\n')) faults.invalid(`${at}.message`, message, 'message must not contain line breaks')
        if (message.length > longestMessage) faults.tooLong(`${at}.message`, longestMessage)
      }
      if (reason !== undefined) faults.oneOf(`${at}.reason`, reason, reasons)
    }
    const repeated = repeats()
    for (const [i, { key, valueExpression }] of auditAnnotations.entries()) {
      const at = `spec.auditAnnotations[${i}]`
      if (!key) faults.required(`${at}.key`)
      else faults.each(`${at}.key`, key, isQualifiedName(key))
      if (!valueExpression?.trim()) faults.required(`${at}.valueExpression`, 'valueExpression is not specified')
      if (repeated(key)) faults.duplicate(`${at}.key`, key)
    }
  },
}

export const mutatingAdmissionPolicy: KindSpec<MutatingAdmissionPolicy> = {
  kind: MutatingAdmissionPolicy,
  singular: 'mutatingadmissionpolicy',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Mutations', type: 'integer', cell: ({ spec }) => spec.mutations?.length ?? 0 },
    { name: 'ParamKind', cell: ({ spec }) => paramText(spec.paramKind) },
    ageColumn,
  ],
  defaults({ spec }) {
    if (!spec) return
    spec.failurePolicy ??= 'Fail'
    spec.reinvocationPolicy ??= 'Never'
    defaultMatch(spec.matchConstraints)
  },
  validate({ spec }, faults) {
    validateCommon(spec, faults)
    faults.oneOf('spec.reinvocationPolicy', spec.reinvocationPolicy, ['IfNeeded', 'Never'])
    if (!spec.mutations?.length) faults.required('spec.mutations', 'mutations must contain at least one item')
    for (const [i, { patchType, applyConfiguration, jsonPatch }] of (spec.mutations ?? []).entries()) {
      const at = `spec.mutations[${i}]`
      const given = { ApplyConfiguration: applyConfiguration, JSONPatch: jsonPatch }
      const field = { ApplyConfiguration: 'applyConfiguration', JSONPatch: 'jsonPatch' }
      if (!patchType) faults.required(`${at}.patchType`)
      else if (!(patchType in given)) faults.notSupported(`${at}.patchType`, patchType, Object.keys(given))
      else if (!given[patchType]) faults.required(`${at}.${field[patchType]}`, `must be specified when patchType is ${patchType}`)
      else if (!given[patchType].expression?.trim()) faults.required(`${at}.${field[patchType]}.expression`, 'expression is not specified')
    }
  },
}

function validateCommon(spec: Spec, faults: Faults): void {
  faults.oneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore'])
  if (spec.paramKind) {
    if (!spec.paramKind.apiVersion) faults.required('spec.paramKind.apiVersion')
    if (!spec.paramKind.kind) faults.required('spec.paramKind.kind')
  }
  const match = spec.matchConstraints
  if (!match) faults.required('spec.matchConstraints')
  else {
    validateMatch('spec.matchConstraints', match, faults)
    if (!match.resourceRules?.length) faults.required('spec.matchConstraints.resourceRules')
  }
  validateConditions('spec.matchConditions', spec.matchConditions, faults)
  const names = new Set<string>()
  for (const [i, { name, expression }] of (spec.variables ?? []).entries()) {
    const at = `spec.variables[${i}]`
    if (!name?.trim()) faults.required(`${at}.name`, 'name is not specified')
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) faults.invalid(`${at}.name`, name, 'name is not a valid CEL identifier')
    else if (names.has(name)) faults.duplicate(`${at}.name`, name)
    names.add(name)
    if (!expression?.trim()) faults.required(`${at}.expression`, 'expression is not specified')
  }
}
