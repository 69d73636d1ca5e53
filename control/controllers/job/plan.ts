// Which pods a job is short of, and which it has too many of.

import type { Job } from '#api/kinds/index.ts'
import { isTerminal } from '#api/pods.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { isActive } from '../pods.ts'
import { toGiveUp } from '../replica-set/rank.ts'
import { delayAfter } from './backoff.ts'
import { missingIndexes, unionOf, withIndexes } from './indexes.ts'
import { type Outcome, succeededIn } from './outcome.ts'
import { failuresBefore, indexOf, isTracked, type Wanted } from './pod.ts'
import { matchFailure } from './policy.ts'
import { countsByIndex, isIndexed, replacesFailedOnly, type Tally, timesFailed } from './tally.ts'

/** Pods made or removed in one go; the rest follows at once, but others get their turn. */
const burst = 500

export type PodsPlan = {
  create: Wanted[]
  /** To delete; that they go counts as a failure. */
  fail: Pod[]
  /** To delete, because they are wanted no more: they are let go uncounted. */
  drop: Pod[]
  /** Active pods whose end would not be counted as they are. */
  track: Pod[]
  /** Milliseconds until pods may be made that are held back by failures. */
  after?: number
}

export type Waits = {
  /** Milliseconds that the job has to wait after failures. */
  backoffMs: number
  /** Milliseconds since a pod ended. */
  since: (pod: Pod) => number
}

export function planPods(job: Job, pods: readonly Pod[], counts: Tally, outcome: Outcome | undefined, waits: Waits): PodsPlan {
  const plan: PodsPlan = { create: [], fail: [], drop: [], track: [] }
  if (job.metadata.deletionTimestamp) return plan
  const active = pods.filter(isActive)
  if (outcome) {
    if (outcome.end === 'Failed') plan.fail = active
    else plan.drop = active
    return plan
  }
  const wanted = wantedActive(job, active.length, counts)
  plan.drop = surplus(job, active, wanted).slice(0, burst)
  // One at a time: what is made instead of a pod that goes is made when it has gone.
  if (plan.drop.length) return plan
  plan.track = active.filter((pod) => !isTracked(pod))
  const terminating = replacesFailedOnly(job) ? pods.filter((pod) => pod.metadata.deletionTimestamp && !isTerminal(pod)) : []
  const missing = Math.min(wanted - active.length - terminating.length, burst)
  if (missing <= 0) return plan
  const byIndex = countsByIndex(job)
  if (!byIndex && waits.backoffMs > 0) return { ...plan, after: waits.backoffMs }
  if (!isIndexed(job)) return { ...plan, create: Array.from({ length: missing }, () => ({})) }

  const busy = [...active, ...terminating].flatMap((pod) => indexOf(pod) ?? [])
  for (const index of missingIndexes(withIndexes(unionOf(counts.completed, counts.failedIndexes), busy), job.spec.completions ?? 0)) {
    if (plan.create.length === missing) break
    if (!byIndex) plan.create.push({ index })
    else {
      const last = counts.lastFailed.get(index)
      const wait = last ? delayAfter(timesFailed(last) + 1) - waits.since(last) : 0
      if (wait > 0) plan.after = Math.min(plan.after ?? wait, wait)
      else plan.create.push({ index, failures: failuresWith(job, last) })
    }
  }
  return plan
}

function wantedActive(job: Job, active: number, counts: Tally): number {
  const { suspend, completions, parallelism = 1 } = job.spec
  if (suspend) return 0
  const succeeded = succeededIn(job, counts)
  // Where nobody said how many: none is replaced once one has succeeded.
  if (completions === undefined) return succeeded > 0 ? Math.min(active, parallelism) : parallelism
  const lost = counts.failedIndexes.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  return Math.max(0, Math.min(parallelism, completions - succeeded - lost))
}

/** First of all those that are there twice or whose index is none of the job's. */
function surplus(job: Job, active: readonly Pod[], wanted: number): Pod[] {
  if (!isIndexed(job) || wanted === 0) return giveUp(active, active.length - wanted)
  const byIndex = Map.groupBy(active, indexOf)
  const useless = [...byIndex].flatMap(([index, same]) => {
    if (index === undefined || index >= (job.spec.completions ?? 0)) return same
    return giveUp(same, same.length - 1)
  })
  const going = new Set(useless)
  const left = active.filter((pod) => !going.has(pod))
  return [...useless, ...giveUp(left, left.length - wanted)]
}

/** First those that have been let go of already. */
function giveUp(pods: readonly Pod[], count: number): Pod[] {
  if (count <= 0) return []
  const free = pods.filter((pod) => !isTracked(pod)).slice(0, count)
  const held = pods.filter(isTracked)
  return [...free, ...toGiveUp(held, count - free.length, held)]
}

function failuresWith(job: Job, last: Pod | undefined) {
  if (!last) return { counted: 0, ignored: 0 }
  const { counted, ignored } = failuresBefore(last)
  return matchFailure(job, last)?.action === 'Ignore' ? { counted, ignored: ignored + 1 } : { counted: counted + 1, ignored }
}
