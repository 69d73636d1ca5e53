// Which pods disruption budgets protect at the moment.

import { byNamespace } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { PodDisruptionBudget } from '#api/kinds/index.ts'
import { labelSelector, matchesLabels } from '#api/selector/label.ts'
import type { PodInfo } from '../cluster/pod-info.ts'

export type Budgets = {
  /** Of pods that would go in this order, those that are one too many. */
  violatedBy(pods: readonly PodInfo[]): ReadonlySet<PodInfo>
}

export const budgetsOf = (informer: Pick<Informer<PodDisruptionBudget>, 'by' | 'size'>): Budgets => ({
  violatedBy(pods) {
    const violating = new Set<PodInfo>()
    if (informer.size === 0) return violating
    const left = new Map<PodDisruptionBudget, number>()
    for (const pod of pods) {
      for (const budget of informer.by(byNamespace, pod.namespace)) {
        const selector = labelSelector(budget.spec?.selector)
        if (!selector?.length || !matchesLabels(selector, pod.labels)) continue
        // It counts as disrupted already.
        if (budget.status?.disruptedPods?.[pod.pod.metadata.name]) continue
        const allowed = (left.get(budget) ?? budget.status?.disruptionsAllowed ?? 0) - 1
        left.set(budget, allowed)
        if (allowed < 0) violating.add(pod)
      }
    }
    return violating
  },
})
