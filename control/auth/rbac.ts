// Role-based access control: what roles allow whom, by the bindings that name the user, one of its
// groups, or its service account. Rules only add up: nothing in a role can take away.

import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject } from '#api/types/rbac-v1.gen.ts'
import type { Attempt, Authorizer } from './authorizer.ts'
import type { User } from './user.ts'

/** The roles and bindings as they are now; a moment old at worst. */
export type Roles = {
  clusterRole(name: string): ClusterRole | undefined
  role(namespace: string, name: string): Role | undefined
  clusterRoleBindings(): Iterable<ClusterRoleBinding>
  roleBindings(namespace: string): Iterable<RoleBinding>
}

export const rbacAuthorizer =
  (roles: Roles): Authorizer =>
  (attempt) => {
    const namespace = attempt.resource === undefined ? undefined : attempt.namespace
    for (const { rules, because } of grantsOf(roles, attempt.user, namespace)) {
      if (rules.some((rule) => ruleAllows(rule, attempt))) return because()
    }
    return undefined
  }

/** Every rule that holds for `user` in `namespace`, or at the scope of the cluster without one. */
export function* rulesOf(roles: Roles, user: User, namespace: string | undefined): Generator<PolicyRule> {
  for (const { rules } of grantsOf(roles, user, namespace)) yield* rules
}

/** The rules of the role that a binding names; undefined where there is none. */
export function rulesOfRole(roles: Roles, ref: Pick<RoleRef, 'kind' | 'name'>, namespace: string | undefined): PolicyRule[] | undefined {
  if (ref.kind === 'ClusterRole') return roles.clusterRole(ref.name)?.rules ?? undefined
  return namespace === undefined ? undefined : (roles.role(namespace, ref.name)?.rules ?? undefined)
}

function* grantsOf(
  roles: Roles,
  user: User,
  namespace: string | undefined,
): Generator<{ rules: readonly PolicyRule[]; because: () => string }> {
  for (const binding of roles.clusterRoleBindings()) {
    const subject = binding.subjects?.find((s) => isSubject(s, user))
    if (!subject) continue
    const rules = rulesOfRole(roles, binding.roleRef, undefined) ?? []
    yield { rules, because: () => reason('ClusterRoleBinding', JSON.stringify(binding.metadata.name), binding.roleRef, subject) }
  }
  if (namespace === undefined) return
  for (const binding of roles.roleBindings(namespace)) {
    const subject = binding.subjects?.find((s) => isSubject(s, user, namespace))
    if (!subject) continue
    const rules = rulesOfRole(roles, binding.roleRef, namespace) ?? []
    const name = JSON.stringify(`${binding.metadata.name}/${namespace}`)
    yield { rules, because: () => reason('RoleBinding', name, binding.roleRef, subject) }
  }
}

function reason(kind: string, name: string, role: RoleRef, { kind: who, name: whom, namespace }: Subject): string {
  const subject = JSON.stringify(namespace ? `${whom}/${namespace}` : whom)
  return `RBAC: allowed by ${kind} ${name} of ${role.kind} ${JSON.stringify(role.name)} to ${who} ${subject}`
}

/** An account without a namespace is of the binding's. */
function isSubject({ kind, name, namespace: given }: Subject, user: User, namespace?: string): boolean {
  if (kind === 'User') return user.name === name
  if (kind === 'Group') return user.groups.includes(name)
  const home = given || namespace
  return kind === 'ServiceAccount' && home !== undefined && user.name === `system:serviceaccount:${home}:${name}`
}

const has = (list: readonly string[] | undefined, value: string): boolean => list?.some((item) => item === '*' || item === value) ?? false

function ruleAllows(rule: PolicyRule, attempt: Attempt): boolean {
  if (!has(rule.verbs, attempt.verb)) return false
  if (attempt.path !== undefined) return pathMatches(rule.nonResourceURLs, attempt.path)
  const { group, resource, subresource, name = '' } = attempt
  return has(rule.apiGroups, group) && resourceMatches(rule.resources, resource, subresource) && nameMatches(rule.resourceNames, name)
}

export const pathMatches = (urls: readonly string[] | undefined, path: string): boolean =>
  urls?.some((url) => url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, '')))) ?? false

/** `pods`, `pods/log`, `*`, and a subresource of anything: `* /scale` without the space. */
export function resourceMatches(list: readonly string[] | undefined, resource: string, subresource: string): boolean {
  const full = subresource ? `${resource}/${subresource}` : resource
  return list?.some((item) => item === '*' || item === full || (subresource !== '' && item === `*/${subresource}`)) ?? false
}

/** A rule with names allows nothing that has none yet: lists, creations. */
export const nameMatches = (names: readonly string[] | undefined, name: string): boolean => !names?.length || names.includes(name)
