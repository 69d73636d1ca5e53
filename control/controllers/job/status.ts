// What a job's status says, and which pods its word lets go of their finalizer once it is written.

import { timestamp } from '#api/clock.ts'
import type { Job } from '#api/kinds/index.ts'
import { isReady, isTerminal } from '#api/pods.ts'
import type { JobCondition, JobConditionType, JobStatus } from '#api/types/batch-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { isActive } from '../pods.ts'
import { trueCondition } from './conditions.ts'
import { countIndexes, formatIndexes } from './indexes.ts'
import type { Outcome } from './outcome.ts'
import { indexOf, isTracked } from './pod.ts'
import { matchFailure } from './policy.ts'
import { countsByIndex, isIndexed, type Tally } from './tally.ts'

/** Uids that a status lists at most; the rest have their turn once these are numbers. */
const uncountedMax = 500

export type Notice = { type: 'Normal' | 'Warning'; reason: string; message: string }

export type StatusPlan = {
  status: JobStatus
  /** To be let go of their finalizer once the status is written. */
  release: Pod[]
  notices: Notice[]
}

/** `counts` are of these very pods, and of a job that ends in `outcome`, if it ends. */
export function planStatus(job: Job, pods: readonly Pod[], counts: Tally, outcome: Outcome | undefined, now: number): StatusPlan {
  const { release, uncounted, full } = tracking(job, pods, counts, outcome)
  const active = pods.filter(isActive)
  const terminating = pods.filter((pod) => pod.metadata.deletionTimestamp && !isTerminal(pod))
  const conditions = [...(job.status?.conditions ?? [])]
  const notices: Notice[] = []
  const set = (type: JobConditionType, status: JobCondition['status'], reason: string, message: string): boolean => {
    const at = conditions.findIndex((condition) => condition.type === type)
    if (conditions[at]?.status === status || (at < 0 && status === 'False')) return false
    const made = { type, status, lastProbeTime: timestamp(now), lastTransitionTime: timestamp(now), reason, message }
    if (at < 0) conditions.push(made)
    else conditions[at] = made
    return true
  }

  let { startTime, completionTime } = job.status ?? {}
  if (!startTime && !job.spec.suspend) startTime = timestamp(now)
  if (outcome) {
    const { end, reason, message } = outcome
    set(end === 'Failed' ? 'FailureTarget' : 'SuccessCriteriaMet', 'True', reason, message)
    // The last word is said when no pod can change a thing any more.
    const open = release.length + uncounted.succeeded.length + uncounted.failed.length + active.length + terminating.length
    if (open === 0 && !full) {
      set(end, 'True', reason, message)
      if (end === 'Complete') completionTime = timestamp(Math.max(now, Date.parse(startTime ?? '') || 0))
      if (end === 'Complete') notices.push({ type: 'Normal', reason: 'Completed', message: 'Job completed' })
      else notices.push({ type: 'Warning', reason, message })
    }
  } else if (job.spec.suspend) {
    if (set('Suspended', 'True', 'JobSuspended', 'Job suspended'))
      notices.push({ type: 'Normal', reason: 'Suspended', message: 'Job suspended' })
  } else if (set('Suspended', 'False', 'JobResumed', 'Job resumed')) {
    notices.push({ type: 'Normal', reason: 'Resumed', message: 'Job resumed' })
    startTime = timestamp(now)
  }

  const succeeded = isIndexed(job) ? countIndexes(counts.completed) : counts.succeeded
  const status: JobStatus = {
    ...(conditions.length && { conditions }),
    ...(startTime && { startTime }),
    ...(completionTime && { completionTime }),
    // Where these are none, the API knows no field for it.
    ...(active.length && { active: active.length }),
    ...(succeeded && { succeeded }),
    ...(counts.failed && { failed: counts.failed }),
    terminating: terminating.length,
    ready: active.filter(isReady).length,
    ...(isIndexed(job) && counts.completed.length && { completedIndexes: formatIndexes(counts.completed) }),
    ...(countsByIndex(job) && { failedIndexes: formatIndexes(counts.failedIndexes) }),
    uncountedTerminatedPods: {
      ...(uncounted.succeeded.length && { succeeded: uncounted.succeeded }),
      ...(uncounted.failed.length && { failed: uncounted.failed }),
    },
  }
  return { status, release, notices }
}

function tracking(job: Job, pods: readonly Pod[], { uncounted, ended, lastFailed }: Tally, outcome: Outcome | undefined) {
  const [succeeded, failed] = [[...uncounted.succeeded], [...uncounted.failed]]
  const listed = new Set([...succeeded, ...failed])
  const mayGo = new Set(listed)
  const delayed = outcome || job.metadata.deletionTimestamp ? new Set<Pod>() : new Set(lastFailed.values())
  const [endedWell, endedBadly] = [new Set(ended.succeeded), new Set(ended.failed)]
  let full = false
  for (const pod of pods) {
    const { uid } = pod.metadata
    if (!isTracked(pod) || listed.has(uid) || delayed.has(pod)) continue
    const counts = endedWell.has(pod) ? !isIndexed(job) : endedBadly.has(pod) && matchFailure(job, pod)?.action !== 'Ignore'
    if (counts && succeeded.length + failed.length >= uncountedMax) {
      full = true
      continue
    }
    if (counts) (endedWell.has(pod) ? succeeded : failed).push(uid)
    const isOver = isTerminal(pod) || endedBadly.has(pod) || outcome || job.metadata.deletionTimestamp
    // Removed by somebody else, with an index that is none of the job's.
    const isStray =
      isIndexed(job) && pod.metadata.deletionTimestamp && (indexOf(pod) ?? Number.POSITIVE_INFINITY) >= (job.spec.completions ?? 0)
    if (counts || isOver || isStray) mayGo.add(uid)
  }
  return { uncounted: { succeeded, failed }, release: pods.filter((pod) => isTracked(pod) && mayGo.has(pod.metadata.uid)), full }
}

export const isResumed = (job: Job): boolean => !job.spec.suspend && trueCondition(job, 'Suspended') !== undefined
