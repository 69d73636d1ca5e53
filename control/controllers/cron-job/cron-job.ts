// Starts jobs at the times of their cron job's schedule, and keeps a short history of them.

import { timestamp } from '#api/clock.ts'
import { isNamespaceTerminating, isStatus } from '#api/errors.ts'
import { byOwner } from '#api/informer/indexes.ts'
import { CronJob, Job } from '#api/kinds/index.ts'
import { after, done, of, ownedBy, type Reconciler } from '#api/queue/reconciler.ts'
import type { ObjectReference } from '#api/types/core-v1.gen.ts'
import type { Deps } from '../deps.ts'
import { finishedAs } from '../job/conditions.ts'
import { controllerRef, isControlledBy, refOf } from '../ownership.ts'
import { canonical } from '../template.ts'
import { Moments } from './moments.ts'
import { jobName, localTime, type Notice, planCronJob, scheduledAt } from './plan.ts'

/** The clock on the wall may be set at any moment: no longer than this passes until that is noticed. */
const lookMs = 60_000

export function cronJobs({ client, informers, recorderFor, clock }: Deps): Reconciler {
  const crons = informers.of(CronJob)
  const jobs = informers.of(Job)
  const events = recorderFor('cronjob-controller')
  const moments = new Moments(clock)
  /** What was last told of each, by uid: the same is not told at every look. */
  const told = new Map<string, Set<string>>()
  crons.on({
    delete: ({ metadata }) => {
      moments.forget(metadata.uid)
      told.delete(metadata.uid)
    },
  })

  function tell(cron: CronJob, notices: Notice[]): void {
    const before = told.get(cron.metadata.uid)
    const now = new Set<string>()
    for (const { type, reason, message, about } of notices) {
      const id = `${reason} ${message} ${about ?? ''}`
      if (!before?.has(id)) events.event(cron, type, reason, message)
      now.add(id)
    }
    if (now.size) told.set(cron.metadata.uid, now)
    else told.delete(cron.metadata.uid)
  }

  async function remove(cron: CronJob, job: Job, signal: AbortSignal): Promise<void> {
    const options = { propagationPolicy: 'Background', preconditions: { uid: job.metadata.uid }, signal } as const
    try {
      await client.delete(Job, refOf(job), options)
      events.event(cron, 'Normal', 'SuccessfulDelete', `Deleted job ${job.metadata.name}`)
    } catch (error) {
      if (isStatus(error, 'NotFound')) return
      events.event(cron, 'Warning', 'FailedDelete', `Deleted job: ${error instanceof Error ? error.message : String(error)}`)
      throw error
    }
  }

  async function start(cron: CronJob, at: number, signal: AbortSignal): Promise<Job> {
    const { metadata, spec } = cron.spec.jobTemplate
    const name = jobName(cron, at)
    const namespace = cron.metadata.namespace ?? ''
    try {
      const job = await client.create(
        Job,
        {
          metadata: {
            name,
            namespace,
            ...(metadata?.labels && { labels: metadata.labels }),
            annotations: { ...metadata?.annotations, [scheduledAt]: localTime(at, cron.spec.timeZone) },
            ownerReferences: [controllerRef(CronJob, cron)],
          },
          spec,
        },
        { signal },
      )
      events.event(cron, 'Normal', 'SuccessfulCreate', `Created job ${name}`)
      return job
    } catch (error) {
      if (isStatus(error, 'AlreadyExists')) {
        // We were here before, and were stopped before we could say so.
        const job = await client.find(Job, { namespace, name }, { signal })
        if (job && isControlledBy(job, cron)) return job
      }
      if (isNamespaceTerminating(error)) throw error
      events.event(cron, 'Warning', 'FailedCreate', `Error creating job: ${error instanceof Error ? error.message : String(error)}`)
      throw error
    }
  }

  async function report(cron: CronJob, status: CronJob['status'], signal: AbortSignal): Promise<CronJob> {
    if (canonical(status) === canonical(cron.status)) return cron
    return await client.update(CronJob, { ...cron, status }, { subresource: 'status', signal })
  }

  return {
    name: 'cronjob',
    watches: [of(CronJob), ownedBy(CronJob, Job)],
    async reconcile(key, signal) {
      const cron = crons.get(key)
      if (!cron) return done
      const now = clock.now()
      const own = jobs.by(byOwner, cron.metadata.uid).filter((job) => isControlledBy(job, cron))
      const plan = planCronJob(cron, { jobs: own, now, earliest: (next) => moments.earliest(cron, now, next) })
      tell(cron, plan.notices)
      for (const job of plan.expired) await remove(cron, job, signal)
      for (const job of plan.replaced) await remove(cron, job, signal)
      let reported = await report(cron, plan.status, signal)
      if (plan.start !== undefined) {
        const job = await start(cron, plan.start, signal)
        const active = [...(plan.status.active ?? []), ...(finishedAs(job) ? [] : [referenceTo(job)])]
        const status = { ...plan.status, ...(active.length && { active }), lastScheduleTime: timestamp(plan.start) }
        reported = await report(reported, status, signal)
      }
      if (plan.next === undefined || reported.spec.suspend) return done
      return after(Math.min(Math.max(plan.next - clock.now(), 0), lookMs))
    },
  }
}

const referenceTo = ({ apiVersion, kind, metadata }: Job): ObjectReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  namespace: metadata.namespace,
  uid: metadata.uid,
  resourceVersion: metadata.resourceVersion,
})
