// Rules for roles and bindings of either scope (pkg/apis/rbac/validation).

import type { PolicyRule, RoleRef, Subject } from '../../types/rbac-v1.gen.ts'
import type { KubeObject } from '../kind.ts'
import type { Column } from '../spec.ts'
import { ageColumn, nameColumn } from './columns.ts'
import { type Faults, same } from './faults.ts'
import { isPathSegment } from './forms.ts'
import { isDns1123Subdomain } from './names.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'

export function validateRules(rules: readonly PolicyRule[] | undefined, namespaced: boolean, faults: Faults): void {
  for (const [i, rule] of (rules ?? []).entries()) {
    const at = `rules[${i}]`
    if (!rule.verbs?.length) faults.required(`${at}.verbs`, 'verbs must contain at least one value')
    if (rule.nonResourceURLs?.length) {
      if (namespaced) faults.invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs')
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
        faults.invalid(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs')
      continue
    }
    if (!rule.apiGroups?.length) faults.required(`${at}.apiGroups`, 'resource rules must supply at least one api group')
    if (!rule.resources?.length) faults.required(`${at}.resources`, 'resource rules must supply at least one resource')
  }
}

type Binding = KubeObject & { subjects?: Subject[]; roleRef: RoleRef }

/** The group of a role or a subject goes without saying. */
export function defaultBinding({ roleRef, subjects }: Binding): void {
  if (roleRef) roleRef.apiGroup ||= rbacGroup
  for (const subject of subjects ?? []) if (subject.kind === 'User' || subject.kind === 'Group') subject.apiGroup ||= rbacGroup
}

export function validateBinding({ roleRef, subjects }: Binding, namespaced: boolean, faults: Faults): void {
  if (roleRef?.apiGroup !== rbacGroup) faults.notSupported('roleRef.apiGroup', roleRef?.apiGroup ?? '', [rbacGroup])
  faults.oneOf('roleRef.kind', roleRef?.kind ?? '', namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'])
  if (!roleRef?.name) faults.required('roleRef.name')
  else faults.each('roleRef.name', roleRef.name, isPathSegment(roleRef.name))
  for (const [i, subject] of (subjects ?? []).entries()) validateSubject(`subjects[${i}]`, subject, namespaced, faults)
}

function validateSubject(at: string, { kind, apiGroup = '', name, namespace }: Subject, namespaced: boolean, faults: Faults): void {
  if (!name) faults.required(`${at}.name`)
  if (kind === 'ServiceAccount') {
    if (name) faults.each(`${at}.name`, name, isDns1123Subdomain(name))
    if (apiGroup) faults.notSupported(`${at}.apiGroup`, apiGroup, [''])
    if (!namespaced && !namespace) faults.required(`${at}.namespace`)
  } else if (kind === 'User' || kind === 'Group') {
    if (apiGroup !== rbacGroup) faults.notSupported(`${at}.apiGroup`, apiGroup, [rbacGroup])
  } else faults.notSupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group'])
}

export function validateRoleRef(next: Binding, previous: Binding, faults: Faults): void {
  if (!same(next.roleRef, previous.roleRef)) faults.invalid('roleRef', next.roleRef, 'cannot change roleRef')
}

const subjectsOf =
  (kind: string) =>
  ({ subjects }: Binding): string =>
    (subjects ?? [])
      .filter((s) => s.kind === kind)
      .map((s) => (kind === 'ServiceAccount' && s.namespace ? `${s.namespace}/${s.name}` : s.name))
      .join(', ')

export const bindingColumns: Column<Binding>[] = [
  nameColumn,
  { name: 'Role', cell: ({ roleRef }) => `${roleRef.kind}/${roleRef.name}` },
  ageColumn,
  { name: 'Users', wide: true, cell: subjectsOf('User') },
  { name: 'Groups', wide: true, cell: subjectsOf('Group') },
  { name: 'ServiceAccounts', wide: true, cell: subjectsOf('ServiceAccount') },
]
