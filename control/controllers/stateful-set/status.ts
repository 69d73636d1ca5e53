// What a StatefulSet says of itself.

import { isReady } from '#api/pods.ts'
import type { ControllerRevision, StatefulSet, StatefulSetStatus } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { revisionOf } from './identity.ts'

export type StatusSight = {
  set: StatefulSet
  current: ControllerRevision
  update: ControllerRevision
  collisionCount: number
  pods: readonly Pod[]
  wait: (pod: Pod) => number
}

export function planStatus({ set, current, update, collisionCount, pods, wait }: StatusSight): StatefulSetStatus {
  const count = (counts: (pod: Pod) => boolean) => pods.filter(counts).length
  const of = ({ metadata }: ControllerRevision) => count((pod) => !pod.metadata.deletionTimestamp && revisionOf(pod) === metadata.name)
  const running = (pod: Pod) => pod.status?.phase === 'Running'
  const replicas = pods.length
  const readyReplicas = count((pod) => running(pod) && isReady(pod))
  const updatedReplicas = of(update)
  const wanted = set.spec.replicas ?? 1
  // The update is over: what was new is what all are made of.
  const complete = updatedReplicas === wanted && replicas === wanted && readyReplicas === wanted
  return {
    observedGeneration: set.metadata.generation ?? 0,
    replicas,
    readyReplicas,
    availableReplicas: count((pod) => running(pod) && wait(pod) === 0),
    currentReplicas: complete ? updatedReplicas : of(current),
    updatedReplicas,
    currentRevision: (complete ? update : current).metadata.name,
    updateRevision: update.metadata.name,
    collisionCount,
    ...(set.status?.conditions?.length && { conditions: set.status.conditions }),
  }
}
