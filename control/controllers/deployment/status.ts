// What a Deployment says of itself: counts, whether it is available, and whether its rollout moves.

import { timestamp } from '#api/clock.ts'
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '#api/types/apps-v1.gen.ts'
import { limitsOf } from './limits.ts'

const reasons = {
  updated: 'ReplicaSetUpdated',
  complete: 'NewReplicaSetAvailable',
  timedOut: 'ProgressDeadlineExceeded',
  paused: 'DeploymentPaused',
  resumed: 'DeploymentResumed',
  notCreated: 'ReplicaSetCreateError',
} as const

const sum = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number | undefined): number =>
  sets.reduce((total, set) => total + (of(set) ?? 0), 0)

type Counts = Required<
  Pick<
    DeploymentStatus,
    'replicas' | 'updatedReplicas' | 'readyReplicas' | 'availableReplicas' | 'unavailableReplicas' | 'terminatingReplicas'
  >
>

function count(current: ReplicaSet | undefined, old: readonly ReplicaSet[]): Counts {
  const all = current ? [...old, current] : old
  const availableReplicas = sum(all, ({ status }) => status?.availableReplicas)
  return {
    replicas: sum(all, ({ status }) => status?.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: sum(all, ({ status }) => status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, sum(all, ({ spec }) => spec.replicas ?? 1) - availableReplicas),
    terminatingReplicas: sum(all, ({ status }) => status?.terminatingReplicas),
  }
}

/** Every pod is of the current template and available, and no other is left. */
export function isComplete(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): boolean {
  const { replicas } = limitsOf(deployment)
  const { replicas: all, updatedReplicas, availableReplicas } = count(current, old)
  return updatedReplicas === replicas && all === replicas && availableReplicas === replicas
}

export type Report = { status: DeploymentStatus; recheck?: number }

/** Milliseconds that the deployment has told of the progress that it told of at `time`. */
export type Idle = (time: string | undefined) => number

/** `recheck`: milliseconds until the progress deadline would pass. `notCreated`: why there is no current set. */
export function planStatus(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  now: number,
  idle: Idle,
  notCreated?: string,
): Report {
  const counts = count(current, old)
  const before = deployment.status ?? {}
  const conditions = new Map((before.conditions ?? []).map((condition) => [condition.type, condition]))
  const set = (condition: Omit<DeploymentCondition, 'lastUpdateTime' | 'lastTransitionTime'>) => put(conditions, condition, now)

  const { replicas, unavailable } = limitsOf(deployment)
  if (counts.availableReplicas >= replicas - unavailable)
    set({ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' })
  else
    set({
      type: 'Available',
      status: 'False',
      reason: 'MinimumReplicasUnavailable',
      message: 'Deployment does not have minimum availability.',
    })

  const recheck = progress(deployment, current, old, counts, conditions, { now, idle, notCreated })

  const failure = [...(current ? [current] : []), ...old]
    .map((each) => each.status?.conditions?.find(({ type }) => type === 'ReplicaFailure'))
    .find(Boolean)
  if (failure) set({ type: 'ReplicaFailure', status: failure.status, reason: failure.reason ?? '', message: failure.message ?? '' })
  else conditions.delete('ReplicaFailure')

  return {
    status: {
      observedGeneration: deployment.metadata.generation ?? 0,
      ...counts,
      ...(before.collisionCount && { collisionCount: before.collisionCount }),
      conditions: [...conditions.values()],
    },
    ...(recheck !== undefined && { recheck }),
  }
}

type Conditions = Map<string, DeploymentCondition>

function progress(
  deployment: Deployment,
  current: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  counts: Counts,
  conditions: Conditions,
  { now, idle, notCreated }: { now: number; idle: Idle; notCreated: string | undefined },
): number | undefined {
  const deadline = deployment.spec.progressDeadlineSeconds ?? 600
  const known = conditions.get('Progressing')
  const set = (status: 'True' | 'False' | 'Unknown', reason: string, message: string, moved = false) =>
    put(conditions, { type: 'Progressing', status, reason, message }, now, moved)
  // What counts as "no deadline" to Kubernetes: the largest int32.
  if (deadline === 2 ** 31 - 1) {
    conditions.delete('Progressing')
    return undefined
  }
  if (deployment.spec.paused) {
    if (known?.reason !== reasons.timedOut) set('Unknown', reasons.paused, 'Deployment is paused')
    return undefined
  }
  if (known?.reason === reasons.paused) {
    set('Unknown', reasons.resumed, 'Deployment is resumed')
    return deadline * 1000
  }
  if (notCreated !== undefined) {
    // One that stands is left alone: what the server says may be different each time, and each write is a new event.
    if (known?.reason !== reasons.notCreated) set('False', reasons.notCreated, notCreated)
    return undefined
  }
  const name = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`
  if (isComplete(deployment, current, old)) {
    set('True', reasons.complete, `${name} has successfully progressed.`)
    return undefined
  }
  // Scaling a finished rollout is not a new one.
  if (known?.reason === reasons.complete && counts.replicas === counts.updatedReplicas && current) return undefined
  const before = deployment.status ?? {}
  const oldBefore = (before.replicas ?? 0) - (before.updatedReplicas ?? 0)
  const moved =
    counts.updatedReplicas > (before.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < oldBefore ||
    counts.readyReplicas > (before.readyReplicas ?? 0) ||
    counts.availableReplicas > (before.availableReplicas ?? 0)
  if (moved || !known || known.reason === reasons.complete || known.reason === reasons.notCreated) {
    set('True', reasons.updated, `${name} is progressing.`, true)
    return deadline * 1000
  }
  if (known.reason === reasons.timedOut) return undefined
  const left = deadline * 1000 - idle(known.lastUpdateTime)
  if (left > 0) return left
  set('False', reasons.timedOut, `${name} has timed out progressing.`)
  return undefined
}

/** Times move only with what they tell of: transition with the status, update with reason, message or `moved`. */
function put(
  conditions: Conditions,
  next: Omit<DeploymentCondition, 'lastUpdateTime' | 'lastTransitionTime'>,
  now: number,
  moved = false,
): void {
  const known = conditions.get(next.type)
  const same = known && known.status === next.status && known.reason === next.reason && known.message === next.message
  if (same && !moved) return
  const lastTransitionTime = known?.status === next.status ? known.lastTransitionTime : timestamp(now)
  conditions.set(next.type, { ...next, lastUpdateTime: timestamp(now), ...(lastTransitionTime && { lastTransitionTime }) })
}
