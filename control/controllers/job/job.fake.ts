// Jobs and pods as the tests of their controller make them, and ways to look at what became of them.

import type { New } from '#api/client/client.ts'
import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Job, Pod } from '#api/kinds/index.ts'
import { type Alone, alone } from '../alone.fake.ts'
import { ttlAfterFinished } from '../ttl-after-finished.ts'
import { jobs } from './job.ts'
import { jobTracking } from './tracking.ts'

const namespace = 'default'
const ref = { namespace, name: 'j' }

export const jobSpec = (spec: Partial<Job['spec']> = {}): New<Job> => ({
  metadata: { name: 'j', namespace },
  spec: {
    parallelism: 1,
    ...(spec.parallelism === undefined && { completions: 1 }),
    backoffLimit: 6,
    selector: { matchLabels: { job: 'j' } },
    template: { metadata: { labels: { job: 'j' } }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
    ...spec,
  },
  status: {},
})

export const jobHarness = () => alone((deps) => [jobs(deps), jobTracking(deps), ttlAfterFinished(deps)])

export const theJob = ({ client }: Alone) => client.get(Job, ref)
export const change = async (h: Alone, spec: Partial<Job['spec']>) => {
  await h.client.patch(Job, ref, 'merge', { spec })
  await h.settle()
}
export const podsOf = async ({ client }: Alone) => (await client.list(Pod, { namespace })).items
export const active = async (h: Alone) =>
  (await podsOf(h)).filter(
    ({ metadata, status }) => !metadata.deletionTimestamp && status.phase !== 'Succeeded' && status.phase !== 'Failed',
  )

/** `Complete`, or `Failed BackoffLimitExceeded`, or how it goes on: `2 active, 1 succeeded, 0 failed`. */
export async function stateOf(h: Alone): Promise<string> {
  const { status } = await theJob(h)
  const end = status.conditions?.find(({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True')
  const counts = `${status.active ?? 0} active, ${status.succeeded ?? 0} succeeded, ${status.failed ?? 0} failed`
  return end ? `${end.type} ${end.reason}: ${counts}` : counts
}

/** Ends a pod as its node does. */
export async function end(
  { client, clock }: Alone,
  pod: Pod,
  phase: 'Succeeded' | 'Failed',
  exitCode = phase === 'Failed' ? 1 : 0,
): Promise<void> {
  const now = await client.find(Pod, { namespace, name: pod.metadata.name })
  if (!now) return
  const containerStatuses = [{ name: 'c', restartCount: 0, state: { terminated: { exitCode, finishedAt: timestamp(clock.now()) } } }]
  const status = { ...now.status, phase, containerStatuses }
  await client.update(Pod, { ...now, status } as never, { subresource: 'status' }).catch((error: unknown) => {
    if (!isStatus(error, 'NotFound')) throw error
  })
}

/** Ends all that are active, and lets the controller have its say. */
export async function endAll(h: Alone, phase: 'Succeeded' | 'Failed', exitCode?: number): Promise<number> {
  const all = await active(h)
  for (const pod of all) await end(h, pod, phase, exitCode)
  await h.settle()
  return all.length
}
