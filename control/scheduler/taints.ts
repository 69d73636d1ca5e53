// Taints and tolerations (core/v1 helper rules), for the scheduler and for eviction alike.

import { isReady } from '#api/pods.ts'
import type { Node, Taint, Toleration } from '#api/types/core-v1.gen.ts'

export const notReadyTaint = 'node.kubernetes.io/not-ready'
export const unreachableTaint = 'node.kubernetes.io/unreachable'
export const unschedulableTaint = 'node.kubernetes.io/unschedulable'

export const tolerates = (toleration: Toleration, taint: Taint): boolean =>
  (!toleration.effect || toleration.effect === taint.effect) &&
  (!toleration.key || toleration.key === taint.key) &&
  valueTolerated(toleration, taint)

function valueTolerated({ operator, key, value }: Toleration, taint: Taint): boolean {
  // An empty key tolerates everything, and only with Exists.
  if (operator === 'Exists') return true
  return Boolean(key) && (value ?? '') === (taint.value ?? '')
}

export const untolerated = (taints: readonly Taint[], tolerations: readonly Toleration[] = []): Taint[] =>
  taints.filter((taint) => !tolerations.some((toleration) => tolerates(toleration, taint)))

/** The node's taints, and those that its state implies before the node controller has written them. */
export function effectiveTaints(node: Node): Taint[] {
  const taints = [...(node.spec.taints ?? [])]
  const imply = (key: string) => {
    if (!taints.some((taint) => taint.key === key && taint.effect === 'NoSchedule')) taints.push({ key, effect: 'NoSchedule' })
  }
  if (node.spec.unschedulable) imply(unschedulableTaint)
  if (!isReady(node) && !taints.some((taint) => taint.key === unreachableTaint)) imply(notReadyTaint)
  return taints
}
