// Random histories of an autoscaler: pods come, go and fall silent, use rises and falls, the other metric's server
// goes away, the controller is killed, clocks jump. Whatever happened: the target stays within its bounds, grows no
// faster than its policies allow, and becomes smaller only when all metrics have asked for that for five minutes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import * as known from '#api/kinds/index.ts'
import { Deployment, HorizontalPodAutoscaler, Pod, PodMetrics } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { alone } from '../alone.fake.ts'
import { autoscalers } from './autoscaler.ts'

const namespace = 'default'
const everyMs = 15_000
const windowMs = 300_000
const [min, max] = [2, 20]
const queue: Kind<KubeObject & { value: string }> = {
  group: 'external.metrics.k8s.io',
  version: 'v1beta1',
  kind: 'ExternalMetricValue',
  plural: 'queue',
  namespaced: true,
}

function randomFrom(seed: number): () => number {
  let state = seed * 2654435761
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}

test('an autoscaler after random histories', async () => {
  for (let seed = 1; seed <= 3; seed++) await history(seed)
})

async function history(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const below = (count: number) => Math.floor(random() * count)
  const clock = fakeClock()
  const client = fakeClient({ clock, kinds: [...(Object.values(known) as Kind[]), queue] })
  client.put(Deployment, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 4, selector: { matchLabels: { app: 'web' } } },
    status: { replicas: 4 },
  })
  await clock.advance(3_600_000)
  await using h = await alone((deps) => [autoscalers(deps)], clock, client)
  client.put(HorizontalPodAutoscaler, {
    metadata: { name: 'web', namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: min,
      maxReplicas: max,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
        { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '10' } } },
      ],
    },
    status: { desiredReplicas: 0, currentMetrics: [] },
  })
  const size = async () => (await client.get(Deployment, { namespace, name: 'web' })).spec.replicas ?? 0

  let use = 500
  let waiting: number | undefined = 40
  let silent = 0
  /** When a metric was missing last, or asked for as many as there were or more. */
  let busyAt = clock.monotonic()
  let before = await size()
  let last = ''
  for (let step = 0; step < 60; step++) {
    const act = below(8)
    if (act === 0) use = below(1200)
    else if (act === 1) waiting = below(4) === 0 ? undefined : below(300)
    else if (act === 2) silent = below(3)
    else if (act === 3) await h.restart()
    else if (act === 4) clock.jump((random() - 0.5) * 1e8)
    else if (act === 5) h.client.disconnect()
    else if (act === 6) [use, waiting, silent] = [10, 0, 0]
    tell()
    if (waiting === undefined || silent > 0 || use >= 450 || waiting >= before * 9) busyAt = clock.monotonic()
    await clock.advance(everyMs)
    const now = await size()
    const told = `seed ${seed}, step ${step}: ${before} to ${now}, use ${use}, waiting ${waiting}, silent ${silent}`
    assert.ok(now >= min && now <= max, told)
    // One that has just started decides at once, and knows of no change before.
    const once = Math.max(2 * before, before + 4)
    assert.ok(now <= (step === 0 || act === 3 ? Math.max(2 * once, once + 4) : once), told)
    if (now < before) assert.ok(clock.monotonic() - busyAt >= windowMs, `${told}, busy ${(clock.monotonic() - busyAt) / 1000} s ago`)
    before = now
  }
  // With nothing to do for long, it is as small as it may be.
  ;[use, waiting, silent] = [1, 0, 0]
  for (let i = 0; i < 30; i++) {
    tell()
    await clock.advance(everyMs)
    before = await size()
  }
  assert.equal(await size(), min)
  assert.deepEqual(h.complaints, [])

  /** As many pods as are wanted, the last few of which do not tell what they use. */
  function tell(): void {
    const all = JSON.stringify([use, waiting, silent, before])
    if (all === last) return
    last = all
    const startTime = '2025-01-01T00:00:00Z'
    for (let i = 0; i < max; i++) {
      const metadata = { name: `web-${i}`, namespace, labels: { app: 'web' } }
      if (i >= before - silent) client.drop(PodMetrics, metadata)
      if (i >= before) client.drop(Pod, metadata)
      if (i >= before) continue
      client.put(Pod, {
        metadata,
        spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] },
        status: { phase: 'Running', startTime, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: startTime }] },
      } as never)
      if (i < before - silent)
        client.put(PodMetrics, { metadata, timestamp: startTime, window: '15s', containers: [{ name: 'c', usage: { cpu: `${use}m` } }] })
    }
    if (waiting === undefined) client.drop(queue, { name: 'queue', namespace })
    else client.put(queue, { metadata: { name: 'queue', namespace }, value: String(waiting) })
  }
}
