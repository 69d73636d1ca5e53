// Runs the pods of each Job until enough of them have succeeded or too many have failed, and counts each once.
// One pass: what ended is tallied (`tally.ts`), the job's outcome judged (`outcome.ts`), pods made and removed
// (`plan.ts`), then the status written (`status.ts`) and only then the pods in it let go of their finalizer.

import { byOwner } from '#api/informer/indexes.ts'
import { Job, Pod } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler, type Result } from '#api/queue/reconciler.ts'
import { rounded } from '#api/schema/exact.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { Ages } from '../ages.ts'
import type { WorkloadDeps } from '../deps.ts'
import { isControlledBy } from '../ownership.ts'
import { podWatches } from '../pod-control/pod-control.ts'
import { canonical } from '../template.ts'
import { Backoffs } from './backoff.ts'
import { finishedAs } from './conditions.ts'
import { outcomeOf } from './outcome.ts'
import { planPods } from './plan.ts'
import { isTracked, jobPod } from './pod.ts'
import { isResumed, planStatus } from './status.ts'
import { hasFailed, tally } from './tally.ts'
import { letGo, track } from './tracking.ts'

/** A job of many pods looks at them no more often than this: each look is a write of its status. */
const pauseMs = 1000
const manyPods = 16

/** Jobs of another name in `managedBy` are somebody else's. */
export const isOurs = ({ spec }: Job): boolean => spec.managedBy === undefined || spec.managedBy === 'kubernetes.io/job-controller'

export function jobs(deps: WorkloadDeps): Reconciler {
  const { client, informers, podControlFor, recorderFor, clock } = deps
  const all = informers.of(Job)
  const pods = informers.of(Pod)
  const events = recorderFor('job-controller')
  const control = podControlFor('job-controller')
  const ages = new Ages(clock)
  const backoffs = new Backoffs(clock)
  const looked = new Map<string, { at: number; generation: number | undefined }>()
  const matches = (job: Job) => selectorMatcher(job.spec.selector)
  const ownPods = (job: Job) => pods.by(byOwner, job.metadata.uid).filter((pod) => isControlledBy(pod, job))
  all.on({
    delete: ({ metadata }) => {
      ages.forget(metadata.uid)
      backoffs.forget(metadata.uid)
      looked.delete(metadata.uid)
    },
  })

  /** Milliseconds until it is looked again what became of its pods; what is asked of the job itself is heard at once. */
  function pauseOf({ metadata, spec }: Job): number {
    const last = looked.get(metadata.uid)
    if (!last || (spec.parallelism ?? 1) <= manyPods || metadata.deletionTimestamp || last.generation !== metadata.generation) return 0
    return Math.max(0, last.at + pauseMs - clock.monotonic())
  }

  async function advance(job: Job, signal: AbortSignal): Promise<Result> {
    const owner = { kind: Job, object: job }
    const own = await control.claim(owner, matches(job), signal)
    const started = job.status?.startTime
    const activeForMs = started && !isResumed(job) ? ages.of(job.metadata.uid, started) : 0
    const before = tally(job, own)
    const outcome = outcomeOf(job, own, before, activeForMs)
    const backoffMs = backoffs.remaining(
      job.metadata.uid,
      own.filter(({ status }) => status.phase === 'Succeeded'),
      own.filter((pod) => hasFailed(job, pod) && (isTracked(pod) || pod.status.phase === 'Failed')),
    )
    const plan = planPods(job, own, before, outcome, { backoffMs, since: (pod) => backoffs.since(pod) })

    const wanted = plan.create.map((each) => jobPod(job, each))
    const created = await control.create(owner, wanted, signal)
    // Let go first: what is deleted because nobody wants it has not failed.
    const dropped = await letGo(deps, plan.drop, signal)
    const removed = await control.delete(owner, [...plan.fail, ...dropped], signal)
    for (const pod of plan.track) await track(deps, pod, signal)

    const changed = plan.create.length + plan.drop.length + plan.fail.length + plan.track.length > 0
    const now = changed ? ownPods(job) : own
    const counts = tally(job, now, outcome?.end === 'Failed')
    const { status, release, notices } = planStatus(job, now, counts, outcome, clock.now())
    if (canonical(status) !== canonical(job.status)) {
      await client.update(Job, { ...job, status }, { subresource: 'status', signal })
      for (const { type, reason, message } of notices) events.event(job, type, reason, message)
    }
    await letGo(deps, release, signal)
    const error = created.error ?? removed.error
    if (error !== undefined) throw error

    const deadline = rounded(job.spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000 - activeForMs
    const soon = Math.min(plan.after ?? Number.POSITIVE_INFINITY, outcome || job.spec.suspend ? Number.POSITIVE_INFINITY : deadline)
    return Number.isFinite(soon) ? after(Math.max(soon, 0)) : done
  }

  return {
    name: 'job',
    watches: [of(Job), ...podWatches(Job, all, matches, () => 0)],
    async reconcile(key, signal) {
      const job = all.get(key)
      if (!job || !isOurs(job)) return done
      if (!finishedAs(job)) {
        const pause = pauseOf(job)
        if (pause > 0) return after(pause)
        looked.set(job.metadata.uid, { at: clock.monotonic(), generation: job.metadata.generation })
        try {
          return await advance(job, signal)
        } catch (error) {
          // When it is tried again is the queue's to say, ever later.
          looked.delete(job.metadata.uid)
          throw error
        }
      }
      backoffs.forget(job.metadata.uid)
      await letGo(deps, ownPods(job).filter(isTracked), signal)
      return done
    },
  }
}
