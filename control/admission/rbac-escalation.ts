// Nobody hands out rights that they do not have: a role may only be written, and bound, by those who
// may do all of it, or who may `escalate` or `bind` it.

import { StatusError } from '#api/errors.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { rbacGroup } from '#api/kinds/rules/rbac-rules.ts'
import type { ClusterRole, PolicyRule, RoleBinding } from '#api/types/rbac-v1.gen.ts'
import { type Authorizer, allowedBy } from '#control/auth/authorizer.ts'
import { type Roles, rulesOf, rulesOfRole } from '#control/auth/rbac.ts'
import { compacted, listText, ruleText, uncovered } from '#control/auth/rbac-cover.ts'
import { masters } from '#control/auth/user.ts'
import { type Admission, forbidden, type Review } from './admission.ts'

/** What it takes to let a role gather rules: they may come to be anything. */
const everything: PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
]

type Deps = { roles: Roles; authorizers: readonly Authorizer[] }

export const rbacEscalation = (deps: Deps): Admission => ({
  name: 'RBACEscalation',
  async validate(review) {
    const { spec, operation, user } = review
    if (spec.kind.group !== rbacGroup || operation === 'DELETE' || user.groups.includes(masters)) return
    const { kind, plural } = spec.kind
    if (kind === 'Role' || kind === 'ClusterRole')
      return await confirm(deps, review, askedOf(review), { verb: 'escalate', plural, name: review.name })
    const { roleRef, subjects } = review.object as RoleBinding
    if (review.previous && same(subjects, (review.previous as RoleBinding).subjects)) return
    const role = { plural: roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles', name: roleRef.name }
    const may = () => rulesOfRole(deps.roles, roleRef, review.namespace) ?? absent(role)
    await confirm(deps, review, may, { verb: 'bind', ...role })
  },
})

/** The rules of a role that it did not have before. */
function askedOf({ object, previous }: Review): () => PolicyRule[] {
  const { rules, aggregationRule } = object as ClusterRole
  const before = previous as ClusterRole | undefined
  const gathers = aggregationRule && !same(aggregationRule, before?.aggregationRule)
  return () => [...(same(rules, before?.rules) ? [] : (rules ?? [])), ...(gathers ? everything : [])]
}

function absent({ plural, name }: { plural: string; name: string }): never {
  throw new StatusError('NotFound', `${plural}.${rbacGroup} ${JSON.stringify(name)} not found`, { name, group: rbacGroup, kind: plural })
}

async function confirm(
  { roles, authorizers }: Deps,
  review: Review,
  asked: () => readonly PolicyRule[],
  { verb, plural, name }: { verb: string; plural: string; name: string },
): Promise<void> {
  const { user, namespace } = review
  const attempt = { user, verb, group: rbacGroup, version: 'v1', resource: plural, subresource: '', namespace, name }
  if ((await allowedBy(authorizers, attempt)) !== undefined) return
  const missing = compacted(uncovered([...rulesOf(roles, user, namespace)], asked()))
  if (missing.length === 0) return
  const who = `user ${JSON.stringify(user.name)} (groups=${listText(user.groups)})`
  throw forbidden(review, `${who} is attempting to grant RBAC permissions not currently held:\n${missing.map(ruleText).sort().join('\n')}`)
}
