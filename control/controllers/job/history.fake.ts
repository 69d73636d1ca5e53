// Random histories of jobs: pods end or are deleted by others, the server fails, watches break, the controller is
// killed, clocks jump, the job is suspended and resized. Whatever happened, what the status says in the end is
// what the pods did, each counted once, and there were never more of them than were asked for.

import assert from 'node:assert/strict'
import { StatusError } from '#api/errors.ts'
import { Job, Pod } from '#api/kinds/index.ts'
import { active, change, end, jobHarness, jobSpec, podsOf, theJob } from './job.fake.ts'

const steps = 60

function randomFrom(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

export async function jobHistory(seed: number, spec: Partial<Job['spec']>): Promise<void> {
  const random = randomFrom(seed)
  const below = (count: number) => Math.floor(random() * count)
  const completions = 3 + below(5)
  await using h = await jobHarness()
  const ended = new Map<string, 'Succeeded' | 'Failed'>()
  const nodes = new Set<string>()
  let failing = 0
  let most = 0
  let suspended = false

  h.client.intercept(async ({ verb, kind, subresource, body }) => {
    if (verb === 'create' && kind.kind === 'Pod') {
      const parallelism = (await theJobQuietly())?.spec.parallelism ?? 0
      most = Math.max(most, parallelism)
    }
    const isControllers =
      (kind.kind === 'Pod' && !subresource && (verb === 'create' || verb === 'patch')) ||
      (kind.kind === 'Pod' && verb === 'delete' && (body as { gracePeriodSeconds?: number }).gracePeriodSeconds === undefined) ||
      (kind.kind === 'Job' && subresource === 'status')
    if (!isControllers || failing <= 0) return
    failing -= 1
    if (random() < 0.5) throw new StatusError(random() < 0.5 ? 'ServiceUnavailable' : 'Conflict', 'not now')
  })
  const theJobQuietly = async () =>
    (h.client as { find: typeof h.client.find }).find(Job, { namespace: 'default', name: 'j' }).catch(() => undefined)

  await h.client.create(Job, jobSpec({ ...spec, completions, parallelism: 1 + below(completions), backoffLimit: 1000 }))
  await h.settle()
  for (let step = 0; step < steps; step++) {
    const running = await active(h)
    const pod = running[below(running.length)]
    const act = below(12)
    if (act <= 3 && pod) await finish(pod, 'Succeeded')
    else if (act <= 5 && pod) await finish(pod, 'Failed')
    else if (act === 6 && pod) await remove(pod)
    else if (act === 7) failing = 1 + below(6)
    else if (act === 8) h.client.disconnect()
    else if (act === 9) await h.restart()
    else if (act === 10) h.clock.jump((random() - 0.5) * 1e8)
    else if (act === 11 && random() < 0.5) {
      suspended = !suspended
      await h.client.patch(Job, { namespace: 'default', name: 'j' }, 'merge', { spec: { suspend: suspended } }).catch(() => {})
    } else if (act === 11) {
      const parallelism = 1 + below(completions)
      await h.client.patch(Job, { namespace: 'default', name: 'j' }, 'merge', { spec: { parallelism } }).catch(() => {})
    }
    await h.clock.advance(below(4) * 15_000)
    await endOnNodes()
    await check()
  }

  failing = 0
  await change(h, { suspend: false })
  for (let round = 0; round < 60 && (await theJob(h)).status.completionTime === undefined; round++) {
    await h.clock.advance(400_000)
    await endOnNodes()
    for (const pod of await active(h)) await finish(pod, 'Succeeded')
    await h.settle()
    await check()
  }
  const { status } = await theJob(h)
  const count = (phase: string) => [...ended.values()].filter((each) => each === phase).length
  const told = `seed ${seed}: ${JSON.stringify(status)}`
  assert.ok(status.completionTime, told)
  assert.equal(status.succeeded ?? 0, spec.completionMode === 'Indexed' ? completions : count('Succeeded'), told)
  assert.equal(status.failed ?? 0, count('Failed'), told)
  assert.deepEqual([status.active, status.terminating, status.uncountedTerminatedPods], [undefined, 0, {}], told)
  assert.deepEqual(
    (await podsOf(h)).flatMap(({ metadata }) => metadata.finalizers ?? []),
    [],
    told,
  )

  /** What a node tells of a pod that is still wanted: from then on it counts, once. */
  async function finish(pod: Pod, phase: 'Succeeded' | 'Failed'): Promise<void> {
    await end(h, pod, phase)
    const now = await h.client.find(Pod, { namespace: 'default', name: pod.metadata.name })
    if (now?.status.phase === phase) ended.set(pod.metadata.uid, phase)
  }

  /** By somebody else: it fails by that, at once or when its node has ended it. */
  async function remove(pod: Pod): Promise<void> {
    nodes.add(pod.metadata.name)
    h.client.put(Pod, { ...pod, spec: { ...pod.spec, nodeName: 'n' } })
    await h.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 30 })
    ended.set(pod.metadata.uid, 'Failed')
  }

  async function endOnNodes(): Promise<void> {
    for (const pod of await podsOf(h)) {
      if (!pod.metadata.deletionTimestamp || !nodes.has(pod.metadata.name)) continue
      if (pod.status.phase !== 'Failed') await end(h, pod, 'Failed')
      await h.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 }).catch(() => {})
    }
    await h.settle()
  }

  async function check(): Promise<void> {
    const running = await active(h)
    assert.ok(running.length <= completions, `seed ${seed}: ${running.length} run`)
    const indexes = running.flatMap(({ spec: { hostname } }) => hostname ?? [])
    assert.equal(new Set(indexes).size, indexes.length, `seed ${seed}: ${indexes.join(' ')}`)
    const { status } = await theJob(h)
    assert.ok((status.succeeded ?? 0) <= completions, `seed ${seed}: ${JSON.stringify(status)}`)
    assert.ok(most <= completions)
  }
}
