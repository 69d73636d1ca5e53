// How a pod counts to those who keep pods running.

import { isTerminal, readyCondition } from '#api/pods.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'

/** Neither at its end nor on the way out. */
export const isActive = (pod: Pod): boolean => !isTerminal(pod) && !pod.metadata.deletionTimestamp

/** Milliseconds that a pod has been ready. */
export type ReadyFor = (pod: Pod) => number

/**
 * Milliseconds until the pod has been ready for `minReadySeconds`: 0 once it has; Infinity while it is not ready. How
 * long it has been is asked always: where the seconds are raised later, it is known.
 */
export function untilAvailable(pod: Pod, minReadySeconds: number, readyFor: ReadyFor): number {
  const ready = readyCondition(pod)
  if (ready?.status !== 'True') return Number.POSITIVE_INFINITY
  const left = minReadySeconds * 1000 - readyFor(pod)
  if (minReadySeconds === 0) return 0
  return ready.lastTransitionTime ? Math.max(0, left) : Number.POSITIVE_INFINITY
}
