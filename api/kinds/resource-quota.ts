import { compareQuantity } from '../quantity.ts'
import type { ResourceQuota as ResourceQuotaType } from '../types/core-v1.gen.ts'
import { ageColumn, nameColumn } from './columns.ts'
import type { Faults } from './faults.ts'
import { ResourceQuota } from './index.ts'
import { isDns1123Subdomain, isQualifiedName } from './names.ts'
import type { KindSpec } from './spec.ts'

const counted = [
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]
const measured = [
  'cpu',
  'memory',
  'ephemeral-storage',
  ...['requests', 'limits'].flatMap((kind) => ['cpu', 'memory', 'ephemeral-storage'].map((name) => `${kind}.${name}`)),
  'requests.storage',
]
const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
]
const scopeOperators = ['DoesNotExist', 'Exists', 'In', 'NotIn']

function usage(quota: ResourceQuotaType, limits: boolean): string {
  return Object.keys(quota.status?.hard ?? {})
    .sort()
    .filter((name) => name.startsWith('limits.') === limits)
    .map((name) => `${name}: ${quota.status.used?.[name] ?? '0'}/${quota.status.hard?.[name]}`)
    .join(', ')
}

export const resourceQuota: KindSpec<ResourceQuotaType> = {
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
  validate({ spec }, faults) {
    for (const [name, amount] of Object.entries(spec?.hard ?? {})) validateAmount(`spec.hard[${name}]`, name, amount, faults)
    for (const scope of spec?.scopes ?? []) {
      if (!scopes.includes(scope)) faults.invalid('spec.scopes', spec.scopes, 'unsupported scope')
    }
    for (const [i, { scopeName, operator, values }] of (spec?.scopeSelector?.matchExpressions ?? []).entries()) {
      const at = `spec.scopeSelector.matchExpressions[${i}]`
      if (!scopes.includes(scopeName)) faults.invalid(`${at}.scopeName`, scopeName, 'unsupported scope')
      if (!scopeOperators.includes(operator)) faults.invalid(`${at}.operator`, operator, 'not a valid selector operator')
      const listed = operator === 'In' || operator === 'NotIn'
      if (listed && !values?.length)
        faults.required(`${at}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
      if (!listed && values?.length)
        faults.invalid(`${at}.values`, values, "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector")
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec.scopes', [...(next.spec.scopes ?? [])].sort(), [...(previous.spec.scopes ?? [])].sort())
  },
}

function validateAmount(at: string, name: string, amount: string, faults: Faults): void {
  faults.each(at, name, isQualifiedName(name))
  const known = counted.includes(name) || measured.includes(name) || /^(requests\.)?hugepages-/.test(name)
  if (!name.includes('/') && !known) faults.invalid(at, name, 'must be a standard resource for quotas')
  if (compareQuantity(amount, '0') < 0) faults.invalid(at, amount, 'must be greater than or equal to 0')
  if (counted.includes(name) && !/^\d+$/.test(amount)) faults.invalid(at, amount, 'must be an integer')
}
