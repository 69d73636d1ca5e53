// What a cron job calls for, as text.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CronJob, Job } from '#api/kinds/index.ts'
import { localTime, planCronJob } from './plan.ts'

const day = '2025-06-01T'
const ms = (time: string) => Date.parse(time.includes('T') ? time : `${day}${time}:00Z`)

function cron(spec: Partial<CronJob['spec']> = {}, status: CronJob['status'] = {}): CronJob {
  return {
    metadata: { name: 'c', namespace: 'default', uid: 'c', creationTimestamp: '2025-05-01T00:00:00Z' },
    spec: { schedule: '0 * * * *', timeZone: 'UTC', jobTemplate: { spec: {} }, ...spec },
    status,
  } as unknown as CronJob
}

function job(name: string, end?: 'Complete' | 'Failed', start = name): Job {
  return {
    metadata: { name, uid: name, annotations: { 'batch.kubernetes.io/cronjob-scheduled-timestamp': 'then' } },
    status: {
      startTime: `${day}${start}:00Z`,
      ...(end && { conditions: [{ type: end, status: 'True' }] }),
      ...(end === 'Complete' && { completionTime: `${day}${start}:30Z` }),
    },
  } as unknown as Job
}

const active = (...names: string[]) => ({ active: names.map((name) => ({ name, uid: name })) })

function text(of: CronJob, now: string, jobs: Job[] = []): string {
  const base = Date.parse(of.status.lastScheduleTime ?? of.metadata.creationTimestamp ?? '')
  const { notices, expired, replaced, start, status, next } = planCronJob(of, { jobs, now: ms(now), earliest: () => base })
  const time = (at: number) => new Date(at).toISOString().replace(day, '').replace(':00.000Z', '')
  return [
    ...notices.map(({ reason, message }) => `${reason}: ${message}`),
    ...expired.map(({ metadata }) => `expire ${metadata.name}`),
    ...replaced.map(({ metadata }) => `replace ${metadata.name}`),
    ...(start === undefined ? [] : [`start ${time(start)}`]),
    ...(status.active ? [`active ${status.active.map(({ name }) => name).join(' ')}`] : []),
    ...(status.lastSuccessfulTime ? [`succeeded ${status.lastSuccessfulTime.slice(11, 19)}`] : []),
    ...(next === undefined ? [] : [`next ${time(next)}`]),
  ].join('\n')
}

const ran = (time: string, more: CronJob['status'] = {}) => ({ lastScheduleTime: `${day}${time}:00Z`, ...more })

test('a time that has come', () => {
  assert.equal(text(cron({}, ran('09:00')), '09:59'), 'next 10:00')
  assert.equal(text(cron({}, ran('09:00')), '10:00'), 'start 10:00\nnext 11:00')
  assert.equal(text(cron({}, ran('10:00')), '10:00'), 'next 11:00')
})

test('of many that were missed the last one is run, and once', () => {
  assert.equal(text(cron({}, ran('01:00')), '07:25'), 'start 07:00\nnext 08:00')
  assert.equal(
    text(cron({ schedule: '* * * * *' }, ran('01:00')), '07:25'),
    'TooManyMissedTimes: too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew\nstart 07:25\nnext 07:26',
  )
})

test('what comes too late is not run', () => {
  const late = cron({ startingDeadlineSeconds: 600 }, ran('09:00'))
  assert.equal(text(late, '10:10'), 'start 10:00\nnext 11:00')
  assert.equal(text(late, '10:11'), 'MissSchedule: Missed scheduled time to start a job: Sun, 01 Jun 2025 10:00:00 +0000\nnext 11:00')
})

test('suspended, in an unknown zone, or with a schedule of which nothing is known', () => {
  assert.equal(text(cron({ suspend: true }, ran('09:00')), '10:00'), '')
  assert.equal(
    text(cron({ timeZone: 'Mars/Olympus' }, ran('09:00')), '10:00'),
    'UnknownTimeZone: invalid timeZone: "Mars/Olympus": unknown time zone Mars/Olympus',
  )
  assert.match(
    text(cron({ schedule: 'soon' }, ran('09:00')), '10:00'),
    /^UnparseableSchedule: unparseable schedule: "soon" : expected exactly 5/,
  )
  assert.equal(text(cron({ schedule: '0 0 30 2 *' }, ran('09:00')), '10:00'), '')
})

test('when the one before still runs', () => {
  const running = ran('09:00', active('09:00'))
  const jobs = [job('09:00')]
  assert.equal(text(cron({ concurrencyPolicy: 'Allow' }, running), '10:00', jobs), 'start 10:00\nactive 09:00\nnext 11:00')
  assert.equal(
    text(cron({ concurrencyPolicy: 'Forbid' }, running), '10:00', jobs),
    'JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid\nactive 09:00\nnext 11:00',
  )
  assert.equal(text(cron({ concurrencyPolicy: 'Replace' }, running), '10:00', jobs), 'replace 09:00\nstart 10:00\nnext 11:00')
  // As soon as it ends, what was held up by it runs.
  assert.equal(
    text(cron({ concurrencyPolicy: 'Forbid' }, running), '10:20', [job('09:00', 'Failed')]),
    'SawCompletedJob: Saw completed job: 09:00, condition: Failed\nstart 10:00\nnext 11:00',
  )
})

test('what became of its jobs', () => {
  assert.equal(
    text(cron({}, ran('09:00', active('09:00', '08:00'))), '09:30', [job('09:00', 'Complete')]),
    'SawCompletedJob: Saw completed job: 09:00, condition: Complete\nMissingJob: Active job went missing: 08:00\nsucceeded 09:00:30\nnext 10:00',
  )
  const byHand = job('by-hand', undefined, '09:00')
  byHand.metadata.annotations = { 'cronjob.kubernetes.io/instantiate': 'manual' }
  assert.equal(
    text(cron({}, ran('09:00')), '09:30', [byHand]),
    'UnexpectedJob: Saw a job that the controller did not create or forgot: by-hand\nnext 10:00',
  )
})

test('history is kept by end, the oldest goes first', () => {
  const jobs = [job('01:00', 'Failed'), job('03:00', 'Complete'), job('02:00', 'Complete'), job('04:00', 'Failed'), job('05:00')]
  const kept = (limits: Partial<CronJob['spec']>) =>
    text(cron(limits, ran('09:00')), '09:30', jobs)
      .split('\n')
      .filter((line) => line.startsWith('expire'))
      .join()
  assert.equal(kept({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1 }), 'expire 02:00,expire 01:00')
  assert.equal(kept({ successfulJobsHistoryLimit: 0, failedJobsHistoryLimit: 3 }), 'expire 02:00,expire 03:00')
  assert.equal(kept({}), '')
})

test('an interval is counted from the last run', () => {
  assert.equal(text(cron({ schedule: '@every 25m' }, ran('09:00')), '09:24'), 'next 09:25')
  assert.equal(text(cron({ schedule: '@every 25m' }, ran('09:00')), '10:00'), 'start 09:50\nnext 10:15')
})

test('times are told on the clocks of their zone', () => {
  assert.equal(localTime(ms('10:00'), 'UTC'), '2025-06-01T10:00:00Z')
  assert.equal(localTime(ms('10:00'), 'Europe/Berlin'), '2025-06-01T12:00:00+02:00')
  assert.equal(localTime(ms('10:00'), 'America/St_Johns'), '2025-06-01T07:30:00-02:30')
})
