// What a DaemonSet says of itself: it counts nodes, not pods.

import { isReady } from '#api/pods.ts'
import type { DaemonSetStatus } from '#api/types/apps-v1.gen.ts'
import { isActive } from '../pods.ts'
import { oldestFirst, type Sight } from './plan.ts'

export function planStatus({ set, nodes, isUpdated, wait }: Sight, collisionCount: number): DaemonSetStatus {
  const wanted = nodes.filter(({ verdict }) => verdict.run)
  const placed = wanted.flatMap(({ pods }) => {
    const sorted = pods.toSorted(oldestFirst)
    const pod = sorted.find(isActive) ?? sorted[0]
    return pod ? [pod] : []
  })
  const available = placed.filter((pod) => wait(pod) === 0).length
  return {
    currentNumberScheduled: placed.length,
    numberMisscheduled: nodes.filter(({ verdict, pods }) => !verdict.run && pods.length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberReady: placed.filter(isReady).length,
    observedGeneration: set.metadata.generation ?? 0,
    updatedNumberScheduled: placed.filter(isUpdated).length,
    numberAvailable: available,
    numberUnavailable: wanted.length - available,
    ...(collisionCount && { collisionCount }),
    ...(set.status?.conditions?.length && { conditions: set.status.conditions }),
  }
}
