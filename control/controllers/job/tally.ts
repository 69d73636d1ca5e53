// How many pods of a job succeeded and failed, each counted once whatever happens in between: a pod that ended is
// first written into the status by its uid (`uncountedTerminatedPods`), then loses its tracking finalizer, then
// becomes a number. An index that succeeded is in a set from the first and needs no uid.

import type { Job } from '#api/kinds/index.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { isActive } from '../pods.ts'
import { hasIndex, type Indexes, none, parseIndexes, withIndexes } from './indexes.ts'
import { failuresBefore, indexOf, isTracked } from './pod.ts'
import { matchFailure } from './policy.ts'

export type Tally = {
  /** What the status may say in numbers. */
  succeeded: number
  failed: number
  /** Uids in the status of pods that still have their finalizer. */
  uncounted: { succeeded: Set<string>; failed: Set<string> }
  /** Tracked pods that ended and are not in the status yet. */
  ended: { succeeded: Pod[]; failed: Pod[] }
  /** What the limits are held against: all that failed, but for what the failure policy ignores. */
  failures: number
  /** Of an indexed job, with those that are new. */
  completed: Indexes
  /** Of a job that limits failures by index. */
  failedIndexes: Indexes
  /** By index: the failed pod that must stay until another one carries on its count of failures. */
  lastFailed: Map<number, Pod>
}

export const isIndexed = ({ spec }: Job): boolean => spec.completionMode === 'Indexed'
export const countsByIndex = (job: Job): boolean => isIndexed(job) && job.spec.backoffLimitPerIndex !== undefined
/** Replaced are only pods that have come to their end, not those that are on the way there. */
export const replacesFailedOnly = ({ spec }: Job): boolean => spec.podReplacementPolicy === 'Failed' || spec.podFailurePolicy !== undefined

export function hasFailed(job: Job, { metadata, status }: Pod): boolean {
  if (status.phase === 'Failed') return true
  return !replacesFailedOnly(job) && Boolean(metadata.deletionTimestamp) && status.phase !== 'Succeeded'
}

/** `ending`: whoever has not succeeded by now will not. */
export function tally(job: Job, pods: readonly Pod[], ending = false): Tally {
  const { status, spec } = job
  const byUid = new Map(pods.map((pod) => [pod.metadata.uid, pod]))
  const isOpen = (uid: string) => {
    const pod = byUid.get(uid)
    return pod !== undefined && isTracked(pod)
  }
  const [told, toldFailed] = [status?.uncountedTerminatedPods?.succeeded ?? [], status?.uncountedTerminatedPods?.failed ?? []]
  const uncounted = { succeeded: new Set(told.filter(isOpen)), failed: new Set(toldFailed.filter(isOpen)) }
  const fresh = pods.filter(
    (pod) => isTracked(pod) && !uncounted.succeeded.has(pod.metadata.uid) && !uncounted.failed.has(pod.metadata.uid),
  )
  const isMeant = (pod: Pod) => !isIndexed(job) || isWithin(indexOf(pod), spec.completions)
  const ended = {
    succeeded: fresh.filter((pod) => pod.status.phase === 'Succeeded' && isMeant(pod)),
    failed: fresh.filter((pod) => pod.status.phase !== 'Succeeded' && (ending || hasFailed(job, pod)) && isMeant(pod)),
  }
  const counting = ended.failed.filter((pod) => matchFailure(job, pod)?.action !== 'Ignore')
  const failed = (status?.failed ?? 0) + toldFailed.length - uncounted.failed.size
  const base = {
    succeeded: (status?.succeeded ?? 0) + told.length - uncounted.succeeded.size,
    failed,
    uncounted,
    ended,
    failures: failed + uncounted.failed.size + counting.length,
  }
  if (!isIndexed(job)) return { ...base, completed: none, failedIndexes: none, lastFailed: new Map() }
  const completions = spec.completions ?? 0
  const indexesOf = (some: readonly Pod[]) => some.map((pod) => indexOf(pod)!)
  const completed = withIndexes(parseIndexes(status?.completedIndexes, completions), indexesOf(ended.succeeded))
  if (!countsByIndex(job)) return { ...base, completed, failedIndexes: none, lastFailed: new Map() }
  const lost = ended.failed.filter((pod) => isLast(job, pod))
  const failedIndexes = withIndexes(parseIndexes(status?.failedIndexes, completions), indexesOf(lost))
  return { ...base, completed, failedIndexes, lastFailed: lastFailedOf(pods, ended.failed, completed, failedIndexes) }
}

/** With this pod its index has failed for good. */
function isLast(job: Job, pod: Pod): boolean {
  const action = matchFailure(job, pod)?.action
  return action === 'FailIndex' || (action !== 'Ignore' && failuresBefore(pod).counted >= (job.spec.backoffLimitPerIndex ?? 0))
}

function lastFailedOf(pods: readonly Pod[], failed: readonly Pod[], completed: Indexes, failedIndexes: Indexes): Map<number, Pod> {
  const active = new Set(pods.filter(isActive).map(indexOf))
  const last = new Map<number, Pod>()
  for (const pod of failed) {
    const index = indexOf(pod)!
    if (active.has(index) || hasIndex(completed, index) || hasIndex(failedIndexes, index)) continue
    const known = last.get(index)
    if (!known || timesFailed(pod) > timesFailed(known)) last.set(index, pod)
  }
  return last
}

/** Before this pod, in whatever way. */
export const timesFailed = (pod: Pod): number => failuresBefore(pod).counted + failuresBefore(pod).ignored

const isWithin = (index: number | undefined, completions: number | undefined): boolean => index !== undefined && index < (completions ?? 0)
