// What to do next about a StatefulSet's pods. Those that are missing come first, then those that are too many go, then
// those of an old template are replaced, from the highest ordinal down.
//
// Under OrderedReady one thing is done at a time, and only where all pods of lower ordinals are available. There are
// two exceptions to waiting, without which a mistake could not be mended: a pod of an old template that is not ready
// is replaced, since it might never become so; and pods that are to go are not waited for to become ready first.

import { isReady, isTerminal } from '#api/pods.ts'
import type { ControllerRevision, StatefulSet } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { scaled } from '../deployment/limits.ts'
import { firstOrdinal, hasStorage, ordinalOf, revisionOf } from './identity.ts'

/** Missing pods that are looked at in one go; the rest follows once these are there. A set may ask for two billion. */
const burst = 500

export type Move =
  | { do: 'create'; ordinal: number; revision: ControllerRevision }
  /** `failed`: it came to its end, and is made again. */
  | { do: 'delete'; pod: Pod; why: 'failed' | 'scale' | 'update' }

export type Plan = {
  moves: Move[]
  /** Milliseconds until the mere passing of time makes another plan. */
  recheck?: number
}

export type Sight = {
  set: StatefulSet
  /** What pods below the partition are made of, and what all others are. */
  current: ControllerRevision
  update: ControllerRevision
  /** The set's own, in any state. */
  pods: readonly Pod[]
  /** Milliseconds until a pod is available: 0 once it is; Infinity while it is not ready. */
  wait: (pod: Pod) => number
  /** Milliseconds until a pod that came to its end may be made again. */
  heldBack: (pod: Pod) => number
  /** Whether the claims of a pod to be made are there, or can be made. */
  claimable: (ordinal: number) => boolean
}

export function planPods(sight: Sight): Plan {
  const { set, pods, wait, heldBack, claimable } = sight
  const ordered = set.spec.podManagementPolicy !== 'Parallel'
  const { replicas, condemned } = sort(set, pods)
  const isEnded = (pod: Pod) => isTerminal(pod) && !pod.metadata.deletionTimestamp
  const waits = replicas
    .flatMap((pod) => (pod ? [isEnded(pod) ? heldBack(pod) : wait(pod)] : []))
    .filter((ms) => ms > 0 && Number.isFinite(ms))
  const moves: Move[] = []
  const plan: Plan = { moves, ...(waits.length && { recheck: Math.min(...waits) }) }

  for (const [i, pod] of replicas.entries()) {
    if (!pod) {
      const ordinal = firstOrdinal(set) + i
      if (claimable(ordinal)) moves.push({ do: 'create', ordinal, revision: revisionFor(sight, i) })
    } else if (pod.metadata.deletionTimestamp) {
      // Its successor has to have its name.
    } else if (isEnded(pod)) {
      if (heldBack(pod) === 0) moves.push({ do: 'delete', pod, why: 'failed' })
    } else if (wait(pod) === 0) continue
    else if (ordered && isOutdated(sight, pod, i) && !isRunningAndReady(pod)) moves.push({ do: 'delete', pod, why: 'update' })
    if (ordered) return plan
  }

  for (const pod of condemned) {
    if (!pod.metadata.deletionTimestamp) moves.push({ do: 'delete', pod, why: 'scale' })
    if (ordered) return plan
  }

  moves.push(...replace(sight, replicas))
  return plan
}

/** Pods of an old template: first those of no use, then as many of the others as may be unavailable. */
function replace(sight: Sight, replicas: readonly (Pod | undefined)[]): Move[] {
  const { set, wait } = sight
  const isAvailable = (pod: Pod | undefined) => pod && !pod.metadata.deletionTimestamp && !isTerminal(pod) && wait(pod) === 0
  const unavailable = (set.spec.replicas ?? 1) - replicas.filter(isAvailable).length
  const outdated = [...replicas.entries()]
    .flatMap(([i, pod]) => (pod && !pod.metadata.deletionTimestamp && !isTerminal(pod) && isOutdated(sight, pod, i) ? [pod] : []))
    .reverse()
  const useless = outdated.filter((pod) => !isRunningAndReady(pod))
  const most = mostUnavailable(set)
  const doomed = [
    ...useless.slice(0, Math.max(0, most - (unavailable - useless.length))),
    ...outdated.filter(isAvailable).slice(0, Math.max(0, most - unavailable)),
  ]
  return doomed.map((pod) => ({ do: 'delete', pod, why: 'update' }))
}

/** Places from the first on; a pod beyond so many gaps keeps its place, and is looked at when they are filled. */
function sort(set: StatefulSet, pods: readonly Pod[]): { replicas: (Pod | undefined)[]; condemned: Pod[] } {
  const first = firstOrdinal(set)
  const end = first + (set.spec.replicas ?? 1)
  const replicas: (Pod | undefined)[] = Array.from({ length: Math.min(end - first, pods.length + burst) })
  const condemned: { ordinal: number; pod: Pod }[] = []
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod)
    if (ordinal === undefined) continue
    if (ordinal >= first && ordinal < first + replicas.length) replicas[ordinal - first] = pod
    else if (ordinal < first || ordinal >= end) condemned.push({ ordinal, pod })
  }
  return { replicas, condemned: condemned.sort((a, b) => b.ordinal - a.ordinal).map(({ pod }) => pod) }
}

const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isReady(pod)

const partitionOf = ({ spec }: StatefulSet): number => spec.updateStrategy?.rollingUpdate?.partition ?? 0

const isOnDelete = ({ spec }: StatefulSet): boolean => spec.updateStrategy?.type === 'OnDelete'

const revisionFor = ({ set, current, update }: Sight, index: number): ControllerRevision =>
  !isOnDelete(set) && index < partitionOf(set) ? current : update

/** Whether an update should replace it: `index` is its place in the set, counted from 0. */
function isOutdated({ set, update }: Sight, pod: Pod, index: number): boolean {
  if (isOnDelete(set) || index < partitionOf(set)) return false
  return revisionOf(pod) !== update.metadata.name || !hasStorage(set, pod, firstOrdinal(set) + index)
}

const mostUnavailable = ({ spec }: StatefulSet): number =>
  Math.max(1, scaled(spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, spec.replicas ?? 1, Math.floor))
