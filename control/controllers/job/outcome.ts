// Whether a job has come to its end, and which: asked in the order of upstream's controller, failures first.

import type { Job } from '#api/kinds/index.ts'
import { rounded } from '#api/schema/exact.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { isActive } from '../pods.ts'
import { trueCondition } from './conditions.ts'
import { countIndexes } from './indexes.ts'
import { matchFailure, matchSuccess } from './policy.ts'
import { countsByIndex, hasFailed, isIndexed, type Tally } from './tally.ts'

export type Outcome = { end: 'Complete' | 'Failed'; reason: string; message: string }

/** `activeForMs`: since the job was started, or resumed. */
export function outcomeOf(job: Job, pods: readonly Pod[], counts: Tally, activeForMs: number): Outcome | undefined {
  return decided(job) ?? failure(job, pods, counts, activeForMs) ?? success(job, pods, counts)
}

/** What is in the status stays so. */
function decided(job: Job): Outcome | undefined {
  const failing = trueCondition(job, 'FailureTarget')
  const { reason = '', message = '' } = failing ?? trueCondition(job, 'SuccessCriteriaMet') ?? {}
  if (failing) return { end: 'Failed', reason, message }
  return trueCondition(job, 'SuccessCriteriaMet') && { end: 'Complete', reason, message }
}

function failure(job: Job, pods: readonly Pod[], counts: Tally, activeForMs: number): Outcome | undefined {
  const { spec } = job
  const failed = (reason: string, message: string): Outcome => ({ end: 'Failed', reason, message })
  if (spec.podFailurePolicy) {
    for (const pod of pods) {
      const matched = hasFailed(job, pod) ? matchFailure(job, pod) : undefined
      if (matched?.action === 'FailJob') return failed('PodFailurePolicy', matched.why)
    }
  }
  const limit = spec.backoffLimit ?? 6
  if (counts.failures > limit || restartedTooOften(job, pods, limit))
    return failed('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  if (spec.activeDeadlineSeconds !== undefined && !spec.suspend && activeForMs >= rounded(spec.activeDeadlineSeconds) * 1000)
    return failed('DeadlineExceeded', 'Job was active longer than specified deadline')
  if (!countsByIndex(job)) return undefined
  const lost = countIndexes(counts.failedIndexes)
  if (spec.maxFailedIndexes !== undefined && lost > spec.maxFailedIndexes)
    return failed('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes')
  if (lost > 0 && lost + countIndexes(counts.completed) >= (spec.completions ?? 0)) return failed('FailedIndexes', 'Job has failed indexes')
  return undefined
}

/** Containers that are restarted in place count as much as pods that are replaced. */
function restartedTooOften({ spec }: Job, pods: readonly Pod[], limit: number): boolean {
  if (spec.template.spec?.restartPolicy !== 'OnFailure') return false
  let restarts = 0
  for (const { status } of pods) {
    if (status.phase !== 'Running' && status.phase !== 'Pending') continue
    for (const { restartCount } of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) restarts += restartCount
  }
  return limit === 0 ? restarts > 0 : restarts >= limit
}

function success(job: Job, pods: readonly Pod[], counts: Tally): Outcome | undefined {
  const { completions } = job.spec
  if (job.spec.successPolicy) {
    const message = matchSuccess(job, counts.completed)
    if (message) return { end: 'Complete', reason: 'SuccessPolicy', message }
  }
  const succeeded = succeededIn(job, counts)
  // Where nobody said how many: one that succeeds knows that all is done, and the others come to their end.
  const enough = completions === undefined ? succeeded > 0 && !pods.some(isActive) : succeeded >= completions
  return enough ? { end: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' } : undefined
}

/** With those that are not in the status yet. */
export const succeededIn = (job: Job, { completed, succeeded, uncounted, ended }: Tally): number =>
  isIndexed(job) ? countIndexes(completed) : succeeded + uncounted.succeeded.size + ended.succeeded.length
