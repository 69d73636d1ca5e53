import type { ScopedResourceSelectorRequirement } from '../types/core-v1.gen.ts'
import { ResourceQuota } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateQuantity, validateResourceName } from './rules/container-resources.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { isForQuotas } from './rules/resource-names.ts'
import type { KindSpec } from './spec.ts'

const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
]
/** Scopes that a pod is in or not: there are no values of them. */
const onlyThere = new Set(['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating', 'CrossNamespacePodAffinity'])
const scopeOperators = ['DoesNotExist', 'Exists', 'In', 'NotIn']

function usage(quota: ResourceQuota, limits: boolean): string {
  return Object.keys(quota.status?.hard ?? {})
    .sort()
    .filter((name) => name.startsWith('limits.') === limits)
    .map((name) => `${name}: ${quota.status.used?.[name] ?? '0'}/${quota.status.hard?.[name]}`)
    .join(', ')
}

export const resourceQuota: KindSpec<ResourceQuota> = {
  kind: ResourceQuota,
  singular: 'resourcequota',
  shortNames: ['quota'],
  status: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Request', cell: (quota) => usage(quota, false) },
    { name: 'Limit', cell: (quota) => usage(quota, true) },
    ageColumn,
  ],
  prepareCreate(quota) {
    quota.status = {}
  },
  validate({ spec, status }, faults) {
    validateAmounts('spec.hard', spec?.hard, faults)
    validateAmounts('status.hard', status?.hard, faults)
    validateAmounts('status.used', status?.used, faults)
    const names = Object.keys(spec?.hard ?? {}).filter(isForQuotas)
    for (const scope of spec?.scopes ?? []) {
      if (!scopes.includes(scope)) faults.invalid('spec.scopes', spec.scopes, 'unsupported scope')
      else if (!names.every((name) => counts(scope, name)))
        faults.invalid('spec.scopes', spec.scopes, 'unsupported scope applied to resource')
    }
    validateConflict('spec.scopes', spec?.scopes, spec, faults)
    const asked = spec?.scopeSelector?.matchExpressions ?? []
    for (const expression of asked) validateScope(expression, names, spec, faults)
    validateConflict(
      'spec.scopeSelector.matchExpressions',
      asked.map(({ scopeName }) => scopeName),
      spec,
      faults,
    )
  },
  validateUpdate(next, previous, faults) {
    const [now, before] = [new Set(next.spec.scopes), new Set(previous.spec.scopes)]
    if (now.symmetricDifference(before).size > 0) faults.invalid('spec.scopes', next.spec.scopes ?? [], 'field is immutable')
  },
}

function validateAmounts(at: string, amounts: Record<string, string> | undefined, faults: Faults): void {
  for (const [name, amount] of Object.entries(amounts ?? {})) {
    const field = `${at}[${name}]`
    validateResourceName(field, name, faults)
    if (!name.includes('/') && !isForQuotas(name)) faults.invalid(field, name, 'must be a standard resource for quota')
    validateQuantity(field, name, amount, faults)
  }
}

/** What pods without requests and limits can be held to. */
const ofBestEffort = new Set(['pods'])
const ofPods = new Set([
  'pods',
  ...['', 'requests.', 'limits.'].flatMap((kind) => ['cpu', 'memory', 'ephemeral-storage'].map((name) => `${kind}${name}`)),
])

/** Whether a quota of `name` can count only what is in `scope`. */
function counts(scope: string, name: string): boolean {
  if (scope === 'BestEffort') return ofBestEffort.has(name)
  if (scope === 'VolumeAttributesClass') return name === 'persistentvolumeclaims' || name === 'requests.storage'
  return ofPods.has(name) || /^(requests\.)?hugepages-/.test(name)
}

type Scopes = ResourceQuota['spec']

function validateConflict(at: string, given: readonly string[] | undefined, spec: Scopes, faults: Faults): void {
  const there = new Set(given)
  for (const [one, other] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ] as const) {
    if (there.has(one) && there.has(other)) faults.invalid(at, spec.scopes ?? given, 'conflicting scopes')
  }
}

function validateScope(
  { scopeName, operator, values }: ScopedResourceSelectorRequirement,
  names: readonly string[],
  { scopeSelector }: Scopes,
  faults: Faults,
): void {
  const at = 'spec.scopeSelector.matchExpressions'
  if (!scopes.includes(scopeName)) faults.invalid(`${at}.scopeName`, scopeName, 'unsupported scope')
  else if (!names.every((name) => counts(scopeName, name))) faults.invalid(at, scopeSelector, 'unsupported scope applied to resource')
  if (onlyThere.has(scopeName) && operator !== 'Exists') {
    const why =
      "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
    faults.invalid(`${at}.operator`, operator, why)
  }
  if (!scopeOperators.includes(operator)) return faults.invalid(`${at}.operator`, operator, 'not a valid selector operator')
  const listed = operator === 'In' || operator === 'NotIn'
  if (listed && !values?.length)
    faults.required(`${at}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
  if (!listed && values?.length)
    faults.invalid(`${at}.values`, values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
}
