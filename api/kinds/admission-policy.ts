import type { MatchCondition, MatchResources, ParamKind, Variable } from '../types/admissionregistration-v1.gen.ts'
import { MutatingAdmissionPolicy, ValidatingAdmissionPolicy } from './index.ts'
import { defaultMatch, validateConditions, validateMatch } from './rules/admission-rules.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateStatusConditions } from './rules/conditions.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { isDns1035Label, isDns1123Subdomain, isQualifiedName } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const reasons = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized']
const longestExpression = 5 * 1024
const mostAnnotations = 20
/** Names that CEL has for itself. */
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(' '),
)
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
  validateUpdate({ status }, _previous, faults, subresource) {
    if (subresource !== 'status') return
    for (const [i, { fieldRef, warning }] of (status?.typeChecking?.expressionWarnings ?? []).entries()) {
      const at = `status.typeChecking.expressionWarnings[${i}]`
      if (!warning) faults.required(`${at}.warning`)
      if (!fieldRef) faults.required(`${at}.fieldRef`)
    }
    validateStatusConditions('status.conditions', status?.conditions, faults)
  },
  validate({ metadata, spec }, faults) {
    validateCommon(spec, faults)
    const { validations = [], auditAnnotations = [] } = spec
    if (validations.length === 0 && auditAnnotations.length === 0) {
      faults.required('spec.validations', 'validations or auditAnnotations must contain at least one item')
      faults.required('spec.auditAnnotations', 'validations or auditAnnotations must contain at least one item')
    }
    for (const [i, { expression, message, messageExpression, reason }] of validations.entries()) {
      const at = `spec.validations[${i}]`
      if (!expression?.trim()) faults.required(`${at}.expression`, 'expression is not specified')
      if (messageExpression && !messageExpression.trim())
        faults.invalid(`${at}.messageExpression`, messageExpression, 'must be non-empty if specified')
      if (message) {
        const trimmed = message.trim()
        if (trimmed === '') faults.invalid(`${at}.message`, message, 'must be non-empty if specified')
        else if (/[\r\n]/.test(trimmed)) faults.invalid(`${at}.message`, message, 'must not contain line breaks')
      }
      if (reason !== undefined) faults.oneOf(`${at}.reason`, reason, reasons)
    }
    if (auditAnnotations.length > mostAnnotations)
      faults.invalid('spec.auditAnnotations', auditAnnotations, `must not have more than ${mostAnnotations} auditAnnotations`)
    const repeated = repeats()
    for (const [i, { key, valueExpression }] of auditAnnotations.entries()) {
      const at = `spec.auditAnnotations[${i}]`
      // They are told of with the policy's name before them.
      const told = `${metadata.name}/${key ?? ''}`
      faults.each(`${at}.key`, told, isQualifiedName(told))
      if (!valueExpression?.trim()) faults.required(`${at}.valueExpression`, 'valueExpression is not specified')
      else if (valueExpression.trim().length > longestExpression)
        faults.required(`${at}.valueExpression`, `must not exceed ${longestExpression} bytes in length`)
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

function validateParamKind({ apiVersion, kind }: ParamKind, faults: Faults): void {
  const at = 'spec.paramKind'
  const parts = (apiVersion ?? '').split('/')
  const [version = '', group = ''] = parts.toReversed()
  if (!apiVersion) faults.required(`${at}.apiVersion`)
  else if (parts.length > 2) faults.invalid(`${at}.apiVersion`, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)
  else {
    const [wrong, wrongVersion] = [group ? isDns1123Subdomain(group) : [], isDns1035Label(version)]
    if (wrong.length > 0) faults.invalid(`${at}.apiVersion`, group, wrong.join(','))
    if (version === '') faults.invalid(`${at}.apiVersion`, apiVersion, 'version must be specified')
    else if (wrongVersion.length > 0) faults.invalid(`${at}.apiVersion`, version, wrongVersion.join(','))
  }
  if (!kind) return faults.required(`${at}.kind`)
  const wrong = isDns1035Label(kind.toLowerCase())
  if (wrong.length > 0) faults.invalid(`${at}.kind`, kind, `may have mixed case, but should otherwise match: ${wrong.join(',')}`)
}

function validateCommon(spec: Spec, faults: Faults): void {
  faults.oneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore'])
  if (spec.paramKind) {
    validateParamKind(spec.paramKind, faults)
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
    else if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || reserved.has(name))
      faults.invalid(`${at}.name`, name, 'must be a valid CEL identifier')
    else if (names.has(name)) faults.duplicate(`${at}.name`, name)
    names.add(name)
    if (!expression?.trim()) faults.required(`${at}.expression`, 'expression is not specified')
  }
}
