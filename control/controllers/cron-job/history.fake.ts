// Random histories of cron jobs: clocks step both ways, the controller is killed, the server fails, jobs end or
// are deleted, the schedule is suspended. Whatever happened: no time is started for twice, none before it has come,
// none that is not of the schedule, and no more of them than time has really passed for.

import assert from 'node:assert/strict'
import { StatusError } from '#api/errors.ts'
import { CronJob, Job } from '#api/kinds/index.ts'
import { alone } from '../alone.fake.ts'
import { finishedAs } from '../job/conditions.ts'
import { cronJobs } from './cron-job.ts'

const namespace = 'default'
const hour = 3_600_000

function randomFrom(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

export async function cronJobHistory(seed: number, concurrencyPolicy: 'Allow' | 'Forbid' | 'Replace'): Promise<void> {
  const random = randomFrom(seed)
  const below = (count: number) => Math.floor(random() * count)
  await using h = await alone((deps) => [cronJobs(deps)])
  await h.clock.advance(60_000)
  const starts: { time: string; now: number }[] = []
  let failing = 0
  let restarts = 0
  let stepsBack = 0
  h.client.intercept(({ verb, kind, body }) => {
    if (failing > 0 && (verb === 'create' || verb === 'update' || verb === 'delete')) {
      failing -= 1
      if (random() < 0.7) throw new StatusError('ServiceUnavailable', 'not now')
    }
    if (verb !== 'create' || kind.kind !== 'Job') return
    const { metadata } = body as Job
    starts.push({ time: metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'] ?? '', now: h.clock.now() })
  })
  await h.client.create(CronJob, {
    metadata: { name: 'c', namespace },
    spec: {
      schedule: '0 * * * *',
      timeZone: 'UTC',
      concurrencyPolicy,
      successfulJobsHistoryLimit: 1000,
      failedJobsHistoryLimit: 1000,
      jobTemplate: { spec: {} },
    },
    status: {},
  })
  const began = h.clock.monotonic()
  for (let step = 0; step < 40; step++) {
    const all = (await h.client.list(Job, { namespace })).items
    const job = all[below(all.length)]
    const act = below(10)
    if (act <= 2 && job && !finishedAs(job)) {
      const conditions = [{ type: act ? 'Complete' : 'Failed', status: 'True' }]
      h.client.put(Job, { ...job, status: { conditions, completionTime: new Date(h.clock.now()).toISOString() } } as never)
    } else if (act === 3) {
      restarts += 1
      await h.restart()
    } else if (act === 4) {
      const ms = (random() - 0.5) * 48 * hour
      if (ms < 0) stepsBack += 1
      h.clock.jump(ms)
    } else if (act === 5) failing = 1 + below(4)
    else if (act === 6) h.client.disconnect()
    await h.clock.advance(below(4) * 0.5 * hour)
  }
  failing = 0
  await h.clock.advance(hour)
  const told = `seed ${seed}: ${JSON.stringify(starts)}`
  const made = (await h.client.list(Job, { namespace })).items
  if (concurrencyPolicy !== 'Replace') {
    const times = made.map(({ metadata }) => metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'])
    assert.equal(new Set(times).size, times.length, told)
  }
  for (const { time, now } of starts) {
    assert.match(time, /:00:00Z$/, told)
    assert.ok(Date.parse(time) <= now, told)
  }
  // One for each hour that has passed, and for each start or step back at most one more, which somebody may have missed.
  const most = Math.ceil((h.clock.monotonic() - began) / hour) + restarts + stepsBack + 1
  assert.ok(new Set(starts.map(({ time }) => time)).size <= most, `${most} at most; ${told}`)
  // Never wedged: with nothing in its way the next hour starts a job.
  for (const job of made) h.client.put(Job, { ...job, status: { conditions: [{ type: 'Complete', status: 'True' }] } } as never)
  const before = starts.length
  await h.clock.advance(2 * hour)
  assert.ok(starts.length > before, told)
  if (concurrencyPolicy !== 'Allow') {
    const running = (await h.client.list(Job, { namespace })).items.filter((job) => !finishedAs(job))
    assert.ok(running.length <= 1, `${running.length} run; ${told}`)
  }
}
