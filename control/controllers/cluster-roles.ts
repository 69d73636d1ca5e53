// Cluster roles that gather the rules of others: by label, in the order of the others' names.

import { ClusterRole } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import { labelSelector, matchesLabels } from '#api/selector/label.ts'
import type { PolicyRule } from '#api/types/rbac-v1.gen.ts'
import type { Deps } from './deps.ts'

export function clusterRoles({ client, informers }: Deps): Reconciler {
  const roles = informers.of(ClusterRole)
  return {
    name: 'clusterrole-aggregation',
    watches: [mapped(ClusterRole, () => [...roles.list()].filter((role) => role.aggregationRule).map((role) => role.metadata.name))],
    async reconcile(name, signal) {
      const role = roles.get(name)
      if (!role?.aggregationRule) return done
      const rules = gathered(role, [...roles.list()])
      if (!same(rules, role.rules ?? [])) await client.update(ClusterRole, { ...role, rules }, { signal })
      return done
    },
  }
}

/** Without those that say the same as an earlier one. */
export function gathered(role: ClusterRole, all: readonly ClusterRole[]): PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map((selector) => labelSelector(selector))
  const rules: PolicyRule[] = []
  for (const other of all.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    if (other.metadata.name === role.metadata.name || !selectors.some((s) => matchesLabels(s, other.metadata.labels))) continue
    for (const rule of other.rules ?? []) if (!rules.some((r) => same(r, rule))) rules.push(rule)
  }
  return rules
}
