import type { NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject } from '../types/flowcontrol-v1.gen.ts'
import { FlowSchema } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { validateConditionTypes } from './rules/conditions.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Label, isDns1123Subdomain } from './rules/names.ts'
import { allVerbs, type KindSpec } from './spec.ts'

const mostPrecedence = 10_000
const verbs = [...allVerbs, 'proxy'].sort()

export const flowSchema: KindSpec<FlowSchema> = {
  kind: FlowSchema,
  singular: 'flowschema',
  status: true,
  statusMeta: [],
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'PriorityLevel', cell: ({ spec }) => spec.priorityLevelConfiguration.name },
    { name: 'MatchingPrecedence', type: 'integer', cell: ({ spec }) => spec.matchingPrecedence },
    { name: 'DistinguisherMethod', cell: ({ spec }) => spec.distinguisherMethod?.type ?? none },
    ageColumn,
    { name: 'MissingPL', cell: ({ status }) => status?.conditions?.find((c) => c.type === 'Dangling')?.status ?? '?' },
  ],
  defaults({ spec }) {
    if (spec) spec.matchingPrecedence ||= 1000
  },
  prepareCreate(f) {
    f.status = {}
  },
  validateUpdate({ status }, _previous, faults) {
    validateConditionTypes('status.conditions', status?.conditions, faults)
  },
  validate({ metadata: { name }, spec }, faults) {
    const { matchingPrecedence: precedence, priorityLevelConfiguration: level } = spec
    if (precedence <= 0) faults.invalid('spec.matchingPrecedence', precedence, 'must be a positive value')
    if (precedence > mostPrecedence) faults.invalid('spec.matchingPrecedence', precedence, `must not be greater than ${mostPrecedence}`)
    if (precedence === 1 && name !== 'exempt')
      faults.invalid('spec.matchingPrecedence', precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
    if (spec.distinguisherMethod) faults.oneOf('spec.distinguisherMethod.type', spec.distinguisherMethod.type, ['ByNamespace', 'ByUser'])
    if (!level?.name) faults.required('spec.priorityLevelConfiguration.name', 'must reference a priority level')
    else faults.each('spec.priorityLevelConfiguration.name', level.name, isDns1123Subdomain(level.name))
    for (const [i, rule] of (spec.rules ?? []).entries()) validateRule(`spec.rules[${i}]`, rule, faults)
  },
}

function validateRule(at: string, { subjects, resourceRules = [], nonResourceRules = [] }: PolicyRulesWithSubjects, faults: Faults): void {
  if (subjects.length === 0) faults.required(`${at}.subjects`, 'subjects must contain at least one value')
  for (const [i, subject] of subjects.entries()) validateSubject(`${at}.subjects[${i}]`, subject, faults)
  if (resourceRules.length === 0 && nonResourceRules.length === 0)
    faults.required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty')
  for (const [i, rule] of resourceRules.entries()) validateResources(`${at}.resourceRules[${i}]`, rule, faults)
  for (const [i, rule] of nonResourceRules.entries()) validatePaths(`${at}.nonResourceRules[${i}]`, rule, faults)
}

const subjectFields = { ServiceAccount: 'serviceAccount', User: 'user', Group: 'group' } as const

function validateSubject(at: string, subject: Subject, faults: Faults): void {
  const own = subjectFields[subject.kind]
  if (!own) return faults.notSupported(`${at}.kind`, subject.kind, ['Group', 'ServiceAccount', 'User'])
  for (const [kind, field] of Object.entries(subjectFields)) {
    if (field !== own && subject[field]) faults.forbidden(`${at}.${field}`, `${field} is forbidden when subject kind is not '${kind}'`)
  }
  const named = subject[own]
  if (!named) return faults.required(`${at}.${own}`, `${own} is required when subject kind is '${subject.kind}'`)
  if (!named.name) faults.required(`${at}.${own}.name`)
  if (!subject.serviceAccount || own !== 'serviceAccount') return
  const { name, namespace } = subject.serviceAccount
  if (name && name !== '*') faults.each(`${at}.serviceAccount.name`, name, isDns1123Subdomain(name))
  if (!namespace) faults.required(`${at}.serviceAccount.namespace`, 'must specify namespace for service account')
  else faults.each(`${at}.serviceAccount.namespace`, namespace, isDns1123Label(namespace))
}

function validateVerbs(at: string, given: readonly string[] | undefined, faults: Faults): void {
  if (!given?.length) faults.required(`${at}.verbs`, 'verbs must contain at least one value')
  else if (given.includes('*')) {
    if (given.length > 1) faults.invalid(`${at}.verbs`, given, "if '*' is present, must not specify other verbs")
  } else if (!given.every((verb) => verbs.includes(verb))) faults.notSupported(`${at}.verbs`, given, verbs)
}

function validateList(field: string, given: readonly string[] | undefined, missing: string, others: string, faults: Faults): void {
  if (!given?.length) faults.required(field, missing)
  else if (given.length > 1 && given.includes('*')) faults.invalid(field, given, `if '*' is present, must not specify other ${others}`)
}

function validateResources(at: string, rule: ResourcePolicyRule, faults: Faults): void {
  validateVerbs(at, rule.verbs, faults)
  validateList(`${at}.apiGroups`, rule.apiGroups, 'resource rules must supply at least one api group', 'api groups', faults)
  validateList(`${at}.resources`, rule.resources, 'resource rules must supply at least one resource', 'resources', faults)
  if (rule.clusterScope && !rule.namespaces?.length) return
  const field = `${at}.namespaces`
  const missing = 'resource rules that are not cluster scoped must supply at least one namespace'
  validateList(field, rule.namespaces, missing, 'namespaces', faults)
  for (const [i, name] of (rule.namespaces ?? []).entries()) {
    if (name === '*') continue
    for (const wrong of isDns1123Label(name))
      faults.invalid(`${field}[${i}]`, name, `each member of this list must be '*' or a DNS-1123 label; ${wrong}`)
  }
}

function validatePaths(at: string, rule: NonResourcePolicyRule, faults: Faults): void {
  validateVerbs(at, rule.verbs, faults)
  const field = `${at}.nonResourceURLs`
  validateList(field, rule.nonResourceURLs, 'nonResourceURLs must contain at least one value', 'non-resource URLs', faults)
  for (const [i, path] of (rule.nonResourceURLs ?? []).entries()) {
    if (path === '*') continue
    if (path === '') faults.invalid(`${field}[${i}]`, path, 'must not be empty')
    else if (!path.startsWith('/')) faults.invalid(`${field}[${i}]`, path, 'must start with slash')
    else if (path.includes(' ')) faults.invalid(`${field}[${i}]`, path, 'must not contain white-space')
    else if (path.includes('//')) faults.invalid(`${field}[${i}]`, path, 'must not contain double slash')
    else if (path.slice(0, -1).includes('*') || (path.endsWith('*') && !path.endsWith('/*')))
      faults.invalid(`${field}[${i}]`, path, 'wildcard can only do suffix matching')
  }
}
