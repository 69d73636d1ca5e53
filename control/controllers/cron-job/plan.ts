// What a cron job calls for now: which of its times to start a job for, which jobs to remove, what its status
// says. Of the times that were missed only the last one is made up for, however many there were.

import { timestamp } from '#api/clock.ts'
import type { CronJob, Job } from '#api/kinds/index.ts'
import { CronError, parseCron } from '#api/kinds/rules/cron-schedule.ts'
import { rounded } from '#api/schema/exact.ts'
import type { CronJobStatus } from '#api/types/batch-v1.gen.ts'
import type { ObjectReference } from '#api/types/core-v1.gen.ts'
import { finishedAs } from '../job/conditions.ts'
import { lastDue, nextDue, offsetAt, type Schedule } from './times.ts'

/** More than these missed are worth a warning. */
const manyMissed = 100

/** The annotation of a job that says for which time it was started. */
export const scheduledAt = 'batch.kubernetes.io/cronjob-scheduled-timestamp'

/** `about` tells one occasion from another where the words are the same. */
export type Notice = { type: 'Normal' | 'Warning'; reason: string; message: string; about?: number }

export type CronPlan = {
  notices: Notice[]
  /** Finished jobs beyond the history that is kept. */
  expired: Job[]
  /** Jobs that still run and make room for the new one. */
  replaced: Job[]
  /** The time that a job is to be started for. */
  start?: number
  /** Before a job is started. */
  status: CronJobStatus
  /** The next time after now, if there is one. */
  next?: number
}

export type CronState = {
  /** All jobs that the cron job controls. */
  jobs: readonly Job[]
  now: number
  /** From when on times may have been missed; see `moments.ts`. */
  earliest: (next: (after: number) => number | undefined) => number
}

export function planCronJob(cron: CronJob, { jobs, now, earliest }: CronState): CronPlan {
  const { status, notices } = observe(cron, jobs)
  const plan: CronPlan = { notices, expired: expired(cron, jobs), replaced: [], status }
  if (cron.metadata.deletionTimestamp) return plan
  const { spec } = cron
  const schedule = readSchedule(cron, notices)
  if (!schedule || spec.suspend) return plan

  const base = Date.parse(cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp ?? '') || 0
  const nextAfter = (from: number, at: number) => nextDue(schedule, spec.timeZone, from, at)
  const from = earliest((at) => nextAfter(Math.min(base, at), at))
  const next = nextAfter(from, now)
  if (next !== undefined) plan.next = next
  const due = lastDue(schedule, spec.timeZone, from, now)
  if (due === undefined || status.active?.some(({ name }) => name === jobName(cron, due))) return plan
  if (spec.startingDeadlineSeconds !== undefined && due + rounded(spec.startingDeadlineSeconds) * 1000 < now) {
    const message = `Missed scheduled time to start a job: ${new Date(due).toUTCString().replace('GMT', '+0000')}`
    notices.push({ type: 'Warning', reason: 'MissSchedule', message })
    return plan
  }
  if (spec.concurrencyPolicy === 'Forbid' && status.active?.length) {
    const message = 'Not starting job because prior execution is running and concurrency policy is Forbid'
    notices.push({ type: 'Normal', reason: 'JobAlreadyActive', message, about: due })
    return plan
  }
  if (missedMany(schedule, spec.timeZone, from, due)) {
    const message = 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew'
    notices.push({ type: 'Warning', reason: 'TooManyMissedTimes', message, about: due })
  }
  if (spec.concurrencyPolicy === 'Replace') {
    const uids = new Set(status.active?.map(({ uid }) => uid))
    plan.replaced = jobs.filter(({ metadata }) => uids.has(metadata.uid))
    delete status.active
  }
  plan.start = due
  return plan
}

function missedMany(schedule: Schedule, zone: string | undefined, from: number, due: number): boolean {
  let at: number | undefined = from
  for (let count = 0; count <= manyMissed; count++) {
    at = nextDue(schedule, zone, from, at)
    if (at === undefined || at >= due) return false
  }
  return true
}

function readSchedule({ spec }: CronJob, notices: Notice[]): Schedule | undefined {
  try {
    offsetAt(spec.timeZone, 0)
  } catch {
    const message = `invalid timeZone: ${JSON.stringify(spec.timeZone)}: unknown time zone ${spec.timeZone}`
    notices.push({ type: 'Warning', reason: 'UnknownTimeZone', message })
    return undefined
  }
  try {
    return parseCron(spec.schedule)
  } catch (error) {
    if (!(error instanceof CronError)) throw error
    const message = `unparseable schedule: ${JSON.stringify(spec.schedule)} : ${error.message}`
    notices.push({ type: 'Warning', reason: 'UnparseableSchedule', message })
    return undefined
  }
}

/** What became of the jobs that were started. */
function observe(cron: CronJob, jobs: readonly Job[]): { status: CronJobStatus; notices: Notice[] } {
  const notices: Notice[] = []
  const active: ObjectReference[] = []
  const byUid = new Map(jobs.map((job) => [job.metadata.uid, job]))
  for (const reference of cron.status?.active ?? []) {
    const job = byUid.get(reference.uid ?? '')
    const finished = job && finishedAs(job)
    if (!job) notices.push({ type: 'Normal', reason: 'MissingJob', message: `Active job went missing: ${reference.name}` })
    else if (finished)
      notices.push({
        type: 'Normal',
        reason: 'SawCompletedJob',
        message: `Saw completed job: ${job.metadata.name}, condition: ${finished.type}`,
      })
    else active.push(reference)
  }
  const known = new Set(cron.status?.active?.map(({ uid }) => uid))
  for (const { metadata, ...job } of jobs) {
    if (known.has(metadata.uid) || finishedAs({ metadata, ...job }) || metadata.annotations?.[scheduledAt]) continue
    const message = `Saw a job that the controller did not create or forgot: ${metadata.name}`
    notices.push({ type: 'Warning', reason: 'UnexpectedJob', message })
  }
  let { lastSuccessfulTime } = cron.status ?? {}
  for (const job of jobs) {
    const { completionTime } = job.status ?? {}
    if (finishedAs(job)?.type === 'Complete' && completionTime && completionTime > (lastSuccessfulTime ?? ''))
      lastSuccessfulTime = completionTime
  }
  const { lastScheduleTime } = cron.status ?? {}
  const status = {
    ...(active.length && { active }),
    ...(lastScheduleTime && { lastScheduleTime }),
    ...(lastSuccessfulTime && { lastSuccessfulTime }),
  }
  return { status, notices }
}

function expired({ spec }: CronJob, jobs: readonly Job[]): Job[] {
  const oldestFirst = (a: Job, b: Job) => startOf(a).localeCompare(startOf(b)) || a.metadata.name.localeCompare(b.metadata.name)
  const beyond = (type: 'Complete' | 'Failed', limit: number | undefined) => {
    if (limit === undefined) return []
    const finished = jobs.filter((job) => finishedAs(job)?.type === type && !job.metadata.deletionTimestamp)
    return finished.sort(oldestFirst).slice(0, Math.max(0, finished.length - limit))
  }
  return [...beyond('Complete', spec.successfulJobsHistoryLimit), ...beyond('Failed', spec.failedJobsHistoryLimit)]
}

const startOf = ({ status, metadata }: Job): string => status?.startTime ?? metadata.creationTimestamp ?? ''

/** The same time has the same name, so that no time is started for twice. */
export const jobName = ({ metadata }: CronJob, at: number): string => `${metadata.name}-${Math.floor(at / 60_000)}`

/** RFC 3339, on the clocks of the time zone. */
export function localTime(at: number, zone: string | undefined): string {
  const offset = Math.round(offsetAt(zone, at) / 60_000)
  const wall = timestamp(at + offset * 60_000)
  if (offset === 0) return wall
  const two = (value: number) => String(value).padStart(2, '0')
  const minutes = Math.abs(offset)
  return wall.replace('Z', `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`)
}
