// What a ReplicaSet is short of, or has too much of, and what its status should say.

import { timestamp } from '#api/clock.ts'
import { isReady, isTerminal } from '#api/pods.ts'
import type { ReplicaSet, ReplicaSetStatus } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { isActive, type ReadyFor, untilAvailable } from '../pods.ts'
import { toGiveUp } from './rank.ts'

/** Pods created or deleted in one go; the rest follows at once, but others get their turn. */
const burst = 500

export type Scaling = { create: number; remove: Pod[] }

/** `pods` are the set's own; `related` those of all sets with the same owner, in any state. */
export function planScaling(set: ReplicaSet, pods: readonly Pod[], related: () => readonly Pod[]): Scaling {
  if (set.metadata.deletionTimestamp) return { create: 0, remove: [] }
  const active = pods.filter(isActive)
  const missing = (set.spec.replicas ?? 1) - active.length
  if (missing >= 0) return { create: Math.min(missing, burst), remove: [] }
  return { create: 0, remove: toGiveUp(active, Math.min(-missing, burst), related().filter(isActive)) }
}

export type Failure = { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined

/** `recheck`: milliseconds until a pod becomes available by the mere passing of time. */
export function planStatus(
  set: ReplicaSet,
  pods: readonly Pod[],
  failure: Failure,
  now: number,
  readyFor: ReadyFor,
): { status: ReplicaSetStatus; recheck?: number } {
  const active = pods.filter(isActive)
  const wanted = Object.entries(set.spec.template?.metadata?.labels ?? {})
  const waits = active.map((pod) => untilAvailable(pod, set.spec.minReadySeconds ?? 0, readyFor))
  const soon = waits.filter((ms) => ms > 0 && Number.isFinite(ms))
  const others = set.status?.conditions?.filter(({ type }) => type !== 'ReplicaFailure') ?? []
  const known = set.status?.conditions?.find(({ type }) => type === 'ReplicaFailure')
  // One that stands is left alone: the message names a pod, which is another each time, and each write is a new event.
  const fresh = failure && { type: 'ReplicaFailure' as const, status: 'True' as const, lastTransitionTime: timestamp(now), ...failure }
  const conditions = fresh ? [...others, known ?? fresh] : others
  return {
    status: {
      replicas: active.length,
      fullyLabeledReplicas: active.filter(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value)).length,
      readyReplicas: active.filter(isReady).length,
      availableReplicas: waits.filter((ms) => ms === 0).length,
      terminatingReplicas: pods.filter((pod) => pod.metadata.deletionTimestamp && !isTerminal(pod)).length,
      observedGeneration: set.metadata.generation ?? 0,
      ...(conditions.length && { conditions }),
    },
    ...(soon.length && { recheck: Math.min(...soon) }),
  }
}
