import { PodDisruptionBudget } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateStatusConditions } from './rules/conditions.ts'
import { isPathSegment } from './rules/forms.ts'
import { validateCounts } from './rules/status-counts.ts'
import { validateAtMostAll, validateIntOrPercent, validateLabelSelector } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const podDisruptionBudget: KindSpec<PodDisruptionBudget> = {
  kind: PodDisruptionBudget,
  singular: 'poddisruptionbudget',
  shortNames: ['pdb'],
  status: true,
  generation: true,
  nameRule: isPathSegment,
  columns: [
    nameColumn,
    { name: 'Min Available', cell: (b) => String(b.spec.minAvailable ?? 'N/A') },
    { name: 'Max Unavailable', cell: (b) => String(b.spec.maxUnavailable ?? 'N/A') },
    { name: 'Allowed Disruptions', type: 'integer', cell: (b) => b.status?.disruptionsAllowed ?? 0 },
    ageColumn,
  ],
  prepareCreate(b) {
    b.status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }
  },
  validate({ spec }, faults) {
    const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy: policy } = spec ?? {}
    if (minAvailable !== undefined && maxUnavailable !== undefined)
      faults.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set')
    for (const [name, value] of Object.entries({ minAvailable, maxUnavailable })) {
      if (value === undefined) continue
      validateIntOrPercent(`spec.${name}`, value, faults)
      validateAtMostAll(`spec.${name}`, value, faults)
    }
    if (selector) validateLabelSelector('spec.selector', selector, faults)
    if (policy !== undefined) faults.oneOf('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget'])
  },
  validateUpdate(next, _previous, faults, subresource) {
    if (subresource !== 'status') return
    validateStatusConditions('status.conditions', next.status?.conditions, faults)
    validateCounts(next, ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'], faults)
  },
}
