// Cron jobs on a fake server: jobs are started once for each time, whatever the clock and the server do.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '#api/errors.ts'
import { CronJob, Job } from '#api/kinds/index.ts'
import { type Alone, alone } from '../alone.fake.ts'
import { cronJobs } from './cron-job.ts'

const namespace = 'default'
const minute = 60_000
const hour = 60 * minute

const nightly = (h: Alone, spec: Partial<CronJob['spec']> = {}, more: Partial<CronJob> = {}) =>
  h.client.put(CronJob, {
    metadata: { name: 'c', namespace },
    spec: {
      schedule: '0 2 * * *',
      timeZone: 'UTC',
      concurrencyPolicy: 'Allow',
      jobTemplate: { spec: { suspend: true } as never },
      ...spec,
    },
    status: {},
    ...more,
  } as never)

/** The times that jobs were started for. */
const started = async (h: Alone) =>
  (await h.client.list(Job, { namespace })).items
    .map(({ metadata }) => metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'] ?? '')
    .sort()

test('a job at its time, and nothing in between', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h)
  await h.clock.advance(hour)
  const before = h.client.writes.length
  await h.clock.advance(59 * minute)
  assert.deepEqual(h.client.writes.slice(before), [])
  await h.clock.advance(2 * minute)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
  const cron = await h.client.get(CronJob, { namespace, name: 'c' })
  assert.equal(cron.status.lastScheduleTime, '2025-01-01T02:00:00Z')
  assert.deepEqual(
    cron.status.active?.map(({ kind, name }) => `${kind} ${name}`),
    ['Job c-28928280'],
  )
  await h.clock.advance(48 * hour)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z', '2025-01-02T02:00:00Z', '2025-01-03T02:00:00Z'])
  assert.deepEqual(h.complaints, [])
})

test('after nights without power the last one missed runs, once', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, {}, { status: { lastScheduleTime: '2024-12-20T02:00:00Z' } })
  await h.clock.advance(10_000)
  assert.deepEqual(await started(h), ['2024-12-31T02:00:00Z'])
  await h.clock.advance(hour)
  assert.equal((await started(h)).length, 1)
})

test('a deadline of more seconds than a number holds is none', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, { startingDeadlineSeconds: (2n ** 63n - 1n) as unknown as number })
  await h.clock.advance(3 * hour)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
  assert.deepEqual(h.complaints, [])
})

test('booted with the clock of the evening before, then set: what was missed over night runs, once', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, {}, { status: { lastScheduleTime: '2024-12-31T02:00:00Z' } })
  await h.clock.advance(minute)
  assert.deepEqual(await started(h), [])
  h.clock.jump(7 * hour)
  await h.clock.advance(2 * minute)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
})

test('a clock that is set years ahead makes nothing due that was not', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  // Booted in the past, this is created some seconds before the clock is set, to the afternoon.
  await h.clock.advance(minute)
  await h.client.create(CronJob, nightlyNew())
  await h.clock.advance(10_000)
  h.clock.jump(400 * 24 * hour + 14 * hour)
  await h.clock.advance(10 * minute)
  assert.deepEqual(await started(h), [])
  await h.clock.advance(13 * hour)
  assert.deepEqual(await started(h), ['2026-02-06T02:00:00Z'])
})

test('a step over the time runs it, a step back does not run it again', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h)
  await h.clock.advance(hour + 55 * minute)
  h.clock.jump(10 * minute)
  await h.clock.advance(minute)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
  h.clock.jump(-30 * minute)
  await h.clock.advance(2 * hour)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
  await h.clock.advance(23 * hour)
  assert.equal((await started(h)).length, 2)
})

test('a clock that was ten years ahead does not stop the schedule once it is right', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, {}, { status: { lastScheduleTime: '2034-12-31T02:00:00Z' } })
  await h.clock.advance(3 * hour)
  assert.deepEqual(await started(h), ['2025-01-01T02:00:00Z'])
})

test('a clock that goes back again and again does not stop it either', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, { schedule: '0 * * * *', concurrencyPolicy: 'Forbid' }, { status: { lastScheduleTime: '2034-12-31T02:00:00Z' } })
  await h.clock.advance(30 * minute)
  for (let day = 1; day <= 3; day++) {
    h.clock.jump(-24 * hour)
    await h.clock.advance(10 * minute)
  }
  await h.clock.advance(hour)
  assert.deepEqual(await started(h), ['2024-12-29T01:00:00Z'])
})

test('killed between the job and the word about it, it starts no second one', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  let refused = 0
  h.client.intercept(({ kind, verb, subresource }) => {
    if (kind.kind !== 'CronJob' || verb !== 'update' || subresource !== 'status' || refused++) return
    throw new StatusError('ServiceUnavailable', 'gone')
  })
  nightly(h)
  await h.clock.advance(3 * hour)
  assert.ok(refused > 1)
  assert.equal((await started(h)).length, 1)
  const { status } = await h.client.get(CronJob, { namespace, name: 'c' })
  assert.equal(status.lastScheduleTime, '2025-01-01T02:00:00Z')
  assert.equal(status.active?.length, 1)
})

test('what it has to say, it says once', async () => {
  await using h = await alone((deps) => [cronJobs(deps)])
  nightly(h, { concurrencyPolicy: 'Forbid', schedule: '0 * * * *' })
  await h.clock.advance(2 * hour + 10 * minute)
  assert.deepEqual(h.events, [
    'Normal SuccessfulCreate: Created job c-28928220',
    'Normal JobAlreadyActive: Not starting job because prior execution is running and concurrency policy is Forbid',
  ])
  const before = h.client.writes.length
  await h.clock.advance(40 * minute)
  assert.equal(h.events.length, 2)
  assert.deepEqual(h.client.writes.slice(before), [])
})

function nightlyNew() {
  return {
    metadata: { name: 'c', namespace },
    spec: { schedule: '0 2 * * *', timeZone: 'UTC', jobTemplate: { spec: { suspend: true } } },
    status: {},
  } as never
}
