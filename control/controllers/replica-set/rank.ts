// Which pods to give up first when there are too many (upstream's ActivePodsWithRanks, in its order).

import { isReady, readyCondition } from '#api/pods.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'

const phases: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 }
const deletionCost = 'controller.kubernetes.io/pod-deletion-cost'

/** `related` are active pods of the same purpose: of those that share a node, one is less of a loss. */
export function toGiveUp(pods: readonly Pod[], count: number, related: readonly Pod[]): Pod[] {
  if (count >= pods.length) return [...pods]
  const crowd = new Map<string, number>()
  for (const { spec } of related) if (spec.nodeName) crowd.set(spec.nodeName, (crowd.get(spec.nodeName) ?? 0) + 1)
  const crowdOf = ({ spec }: Pod) => (spec.nodeName ? (crowd.get(spec.nodeName) ?? 0) : 0)
  return pods.toSorted((a, b) => compare(a, b, crowdOf)).slice(0, count)
}

/** Negative: `a` goes first. */
function compare(a: Pod, b: Pod, crowdOf: (pod: Pod) => number): number {
  return (
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    phaseOf(a) - phaseOf(b) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    costOf(a) - costOf(b) ||
    crowdOf(b) - crowdOf(a) ||
    readySince(b) - readySince(a) ||
    restarts(b) - restarts(a) ||
    Date.parse(b.metadata.creationTimestamp ?? '') - Date.parse(a.metadata.creationTimestamp ?? '') ||
    0
  )
}

const phaseOf = (pod: Pod): number => phases[pod.status?.phase ?? 'Pending'] ?? 0
const costOf = ({ metadata }: Pod): number => Number.parseInt(metadata.annotations?.[deletionCost] ?? '0', 10) || 0
const readySince = (pod: Pod): number => (isReady(pod) ? Date.parse(readyCondition(pod)?.lastTransitionTime ?? '') || 0 : 0)
const restarts = ({ status }: Pod): number => Math.max(0, ...(status?.containerStatuses ?? []).map(({ restartCount }) => restartCount))
