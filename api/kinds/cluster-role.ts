import type { ClusterRole as ClusterRoleType } from '../types/rbac-v1.gen.ts'
import { nameColumn } from './columns.ts'
import { createdAtColumn } from './created-at.ts'
import { isPathSegment } from './forms.ts'
import { ClusterRole } from './index.ts'
import { validateRules } from './rbac-rules.ts'
import type { KindSpec } from './spec.ts'
import { validateLabelSelector } from './workload.ts'

export const clusterRole: KindSpec<ClusterRoleType> = {
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
