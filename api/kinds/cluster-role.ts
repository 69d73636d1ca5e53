import { ClusterRole } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { createdAtColumn } from './rules/created-at.ts'
import { isPathSegment } from './rules/forms.ts'
import { validateRules } from './rules/rbac-rules.ts'
import { validateLabelSelector } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const clusterRole: KindSpec<ClusterRole> = {
  kind: ClusterRole,
  singular: 'clusterrole',
  nameRule: isPathSegment,
  columns: [nameColumn, createdAtColumn],
  validate({ rules, aggregationRule }, faults) {
    validateRules(rules, false, faults)
    if (!aggregationRule) return
    const at = 'aggregationRule.clusterRoleSelectors'
    const selectors = aggregationRule.clusterRoleSelectors ?? []
    if (selectors.length === 0) faults.required(at, 'at least one clusterRoleSelector required if aggregationRule is non-nil')
    for (const [i, selector] of selectors.entries()) validateLabelSelector(`${at}[${i}]`, selector, faults)
  },
}
