// The status of a PodDisruptionBudget: how many of its pods may be taken away right now. Pure
// (kubernetes pkg/controller/disruption).

import { timestamp } from '#api/clock.ts'
import { isReady } from '#api/pods.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { Condition } from '#api/types/meta-v1.gen.ts'
import type { PodDisruptionBudget, PodDisruptionBudgetStatus } from '#api/types/policy-v1.gen.ts'

/** Milliseconds that an eviction is given to become a deletion. */
const deletionWithin = 2 * 60_000

export type Situation = {
  budget: PodDisruptionBudget
  /** Those that it selects. */
  pods: readonly Pod[]
  /** Replicas that the pods' controllers want together; a text says why nobody knows. */
  wanted: number | string
  now: number
  /** Milliseconds since the eviction of a pod was granted, at `since`. */
  grantedFor(this: void, pod: Pod, since: string): number
}

/** `recheck` in milliseconds: when an eviction that came to nothing gives its place back. */
export function planBudget(situation: Situation): { status: PodDisruptionBudgetStatus; recheck: number | undefined } {
  const { budget, pods, now } = situation
  const { disruptedPods, recheck } = stillDisrupted(situation)
  const healthy = pods.filter((pod) => !pod.metadata.deletionTimestamp && !disruptedPods?.[pod.metadata.name] && isReady(pod)).length
  const need = needOf(situation)
  const allowed = typeof need === 'string' || need.expected <= 0 ? 0 : Math.max(healthy - need.desired, 0)
  const reason = typeof need === 'string' ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods'
  return {
    recheck,
    status: {
      observedGeneration: budget.metadata.generation,
      ...(disruptedPods && { disruptedPods }),
      disruptionsAllowed: allowed,
      currentHealthy: healthy,
      desiredHealthy: typeof need === 'string' ? (budget.status?.desiredHealthy ?? 0) : need.desired,
      expectedPods: typeof need === 'string' ? (budget.status?.expectedPods ?? 0) : need.expected,
      conditions: [conditionOf(budget, allowed > 0, reason, typeof need === 'string' ? need : '', now)],
    },
  }
}

/** Pods whose eviction was granted and which are still there, as they were. */
function stillDisrupted({ budget, pods, grantedFor }: Situation): {
  disruptedPods?: Record<string, string>
  recheck: number | undefined
} {
  let recheck = Number.POSITIVE_INFINITY
  const kept = Object.entries(budget.status?.disruptedPods ?? {}).filter(([name, since]) => {
    const pod = pods.find((p) => p.metadata.name === name)
    if (!pod || pod.metadata.deletionTimestamp) return false
    const left = deletionWithin - grantedFor(pod, since)
    if (left > 0) recheck = Math.min(recheck, left)
    return left > 0
  })
  if (kept.length === 0) return { recheck: undefined }
  return { disruptedPods: Object.fromEntries(kept), recheck }
}

function needOf({ budget, pods, wanted }: Situation): { expected: number; desired: number } | string {
  const { minAvailable, maxUnavailable } = budget.spec
  if (maxUnavailable !== undefined) {
    if (typeof wanted === 'string') return wanted
    return { expected: wanted, desired: Math.max(wanted - scaled(maxUnavailable, wanted), 0) }
  }
  if (typeof minAvailable !== 'string') return { expected: pods.length, desired: minAvailable ?? 0 }
  return typeof wanted === 'string' ? wanted : { expected: wanted, desired: scaled(minAvailable, wanted) }
}

/** Percentages round up. */
const scaled = (value: number | string, of: number): number =>
  typeof value === 'number' ? value : Math.ceil((Number.parseInt(value, 10) * of) / 100)

function conditionOf(budget: PodDisruptionBudget, allowed: boolean, reason: string, message: string, now: number): Condition {
  const status = allowed ? 'True' : 'False'
  const before = budget.status?.conditions?.find(({ type }) => type === 'DisruptionAllowed')
  return {
    type: 'DisruptionAllowed',
    status,
    reason,
    message,
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : timestamp(now),
    ...(budget.metadata.generation !== undefined && { observedGeneration: budget.metadata.generation }),
  }
}
