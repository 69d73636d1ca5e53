// The pods of a target as its autoscaler counts them: who is ready, who is not yet, of whom nothing is known, and
// what they request.

import { isReady, readyCondition } from '#api/pods.ts'
import { millis } from '#api/quantity.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { isActive } from '../pods.ts'
import { NoMetrics, type PodGroups } from './replicas.ts'

/** After its start a pod may be busy with that: for so long its CPU counts only while it is ready. */
const startingMs = 300_000
/** A pod that became unready so soon after its start has never been ready. */
const readinessDelayMs = 30_000

/** Since a pod started, and since it became ready or unready, in milliseconds. */
export type PodAges = { started: number; turned: number }

export function groupPods(
  pods: readonly Pod[],
  resource: string | undefined,
  windowOf: (pod: Pod) => number | undefined,
  agesOf: (pod: Pod) => PodAges,
): PodGroups {
  const [ready, unready, missing] = [new Set<string>(), new Set<string>(), new Set<string>()]
  for (const pod of pods) {
    if (!isActive(pod)) continue
    const window = windowOf(pod)
    if (pod.status.phase === 'Pending') unready.add(pod.metadata.name)
    else if (window === undefined) missing.add(pod.metadata.name)
    else if (resource === 'cpu' && isStarting(pod, window, agesOf(pod))) unready.add(pod.metadata.name)
    else ready.add(pod.metadata.name)
  }
  return { ready, unready, missing }
}

function isStarting(pod: Pod, windowMs: number, { started, turned }: PodAges): boolean {
  const condition = readyCondition(pod)
  if (!condition || !pod.status.startTime) return true
  // What was used before it was ready is still in the measure.
  if (started < startingMs) return !isReady(pod) || turned < windowMs
  const began = Date.parse(pod.status.startTime)
  return !isReady(pod) && Date.parse(condition.lastTransitionTime ?? '') <= began + readinessDelayMs
}

/** By pod, in thousandths. Throws where one does not say: then nobody knows what a percentage is of. */
export function requestsBy(pods: readonly Pod[], resource: string, container?: string): Map<string, number> {
  return new Map(
    pods.map((pod) => {
      const sidecars = pod.spec.initContainers?.filter(({ restartPolicy }) => restartPolicy === 'Always') ?? []
      const counted = [...pod.spec.containers, ...sidecars].filter(({ name }) => container === undefined || name === container)
      if (container !== undefined && counted.length === 0)
        throw new NoMetrics(`container ${container} not found in Pod ${pod.metadata.name}`)
      return [pod.metadata.name, counted.reduce((total, each) => total + requestOf(each, resource, pod), 0)]
    }),
  )
}

function requestOf({ name, resources }: Container, resource: string, pod: Pod): number {
  const amount = resources?.requests?.[resource]
  if (amount === undefined) throw new NoMetrics(`missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`)
  return millis(amount)
}
