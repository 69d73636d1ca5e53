// Autoscalers on a fake server: from the metrics that pods have to the size of their target.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import * as known from '#api/kinds/index.ts'
import { Deployment, HorizontalPodAutoscaler, Pod, PodMetrics } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { HorizontalPodAutoscalerSpec, MetricSpec } from '#api/types/autoscaling-v2.gen.ts'
import { type Alone, alone } from '../alone.fake.ts'
import { autoscalers } from './autoscaler.ts'

const namespace = 'default'
const queue: Kind<KubeObject & { value: string }> = {
  group: 'external.metrics.k8s.io',
  version: 'v1beta1',
  kind: 'ExternalMetricValue',
  plural: 'queue',
  namespaced: true,
}
const custom = (plural: string): typeof queue => ({
  ...queue,
  group: 'custom.metrics.k8s.io',
  version: 'v1beta2',
  kind: 'MetricValue',
  plural,
})
const ofPods = custom('pods/*/requests')
const ofObject = custom('services/web/requests')
const cpu: MetricSpec = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }
const jobsWaiting: MetricSpec = {
  type: 'External',
  external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '10' } },
}

async function open(spec: Partial<HorizontalPodAutoscalerSpec> = {}, replicas = 2): Promise<Alone> {
  const clock = fakeClock()
  const client = fakeClient({ clock, kinds: [...(Object.values(known) as Kind[]), queue, ofPods, ofObject] })
  client.put(Deployment, {
    metadata: { name: 'web', namespace },
    spec: { replicas, selector: { matchLabels: { app: 'web' } } },
    status: { replicas },
  })
  await clock.advance(3_600_000)
  const h = await alone((deps) => [autoscalers(deps)], clock, client)
  client.put(HorizontalPodAutoscaler, {
    metadata: { name: 'web', namespace },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 1,
      maxReplicas: 10,
      metrics: [cpu],
      ...spec,
    },
    status: { desiredReplicas: 0, currentMetrics: [] },
  })
  return h
}

/** So many pods, each using so many thousandths of a core of the one that it requests; undefined: it does not tell. */
function run({ client }: Alone, uses: (number | undefined)[]): void {
  for (const [i, use] of uses.entries()) {
    const metadata = { name: `web-${i}`, namespace, labels: { app: 'web' } }
    const startTime = '2025-01-01T00:00:00Z'
    client.put(Pod, {
      metadata,
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '1' } } }] },
      status: { phase: 'Running', startTime, conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: startTime }] },
    } as never)
    if (use === undefined) continue
    client.put(PodMetrics, { metadata, timestamp: startTime, window: '15s', containers: [{ name: 'c', usage: { cpu: `${use}m` } }] })
  }
}

const size = async ({ client }: Alone) => (await client.get(Deployment, { namespace, name: 'web' })).spec.replicas
const status = async ({ client }: Alone) => (await client.get(HorizontalPodAutoscaler, { namespace, name: 'web' })).status
const conditions = async (h: Alone) => (await status(h)).conditions?.map(({ type, status: is, reason }) => `${type} ${is} ${reason}`)

test('as large as its metrics ask for, and says why', async () => {
  await using h = await open()
  run(h, [900, 900])
  await h.clock.advance(1_000)
  assert.equal(await size(h), 4)
  assert.deepEqual(h.events, [
    'Normal SuccessfulRescale: New size: 4; reason: cpu resource utilization (percentage of request) above target',
  ])
  const { currentReplicas, desiredReplicas, currentMetrics, lastScaleTime } = await status(h)
  assert.deepEqual([currentReplicas, desiredReplicas, lastScaleTime], [2, 4, '2025-01-01T01:00:00Z'])
  assert.deepEqual(currentMetrics, [
    { type: 'Resource', resource: { name: 'cpu', current: { averageValue: '900m', averageUtilization: 90 } } },
  ])
  assert.deepEqual(await conditions(h), [
    'AbleToScale True SucceededRescale',
    'ScalingActive True ValidMetricFound',
    'ScalingLimited False DesiredWithinRange',
  ])
  assert.deepEqual(h.complaints, [])
})

test('at rest it writes nothing, whether all is well or nothing is known', async () => {
  for (const uses of [[500, 505], []]) {
    await using h = await open()
    run(h, uses)
    await h.clock.advance(60_000)
    const before = h.client.writes.length
    const told = h.events.length
    await h.clock.advance(120_000)
    assert.deepEqual(h.client.writes.slice(before), [])
    assert.equal(h.events.length, told)
  }
})

test('one metric is missing: it does not flap, up is still up', async () => {
  await using h = await open({ metrics: [cpu, jobsWaiting] }, 4)
  run(h, [100, 100, 100, 100])
  for (let i = 0; i < 50; i++) await h.clock.advance(15_000)
  assert.equal(await size(h), 4)
  run(h, [900, 900, 900, 900])
  await h.clock.advance(20_000)
  assert.equal(await size(h), 8)
  assert.deepEqual((await status(h)).currentMetrics[1], { type: 'External' })
})

test('five minutes pass before it is smaller, whatever the wall clock does, and after a restart, too', async () => {
  await using h = await open({}, 4)
  run(h, [100, 100, 100, 100])
  await h.clock.advance(200_000)
  h.clock.jump(3_600_000)
  await h.clock.advance(60_000)
  assert.equal(await size(h), 4)
  await h.restart()
  await h.clock.advance(250_000)
  assert.equal(await size(h), 4)
  await h.clock.advance(60_000)
  assert.equal(await size(h), 1)
})

test('to nothing and back, by a metric that is not the pods’ own', async () => {
  await using h = await open({ minReplicas: 0, metrics: [jobsWaiting] }, 1)
  const waiting = (value: string) => h.client.put(queue, { metadata: { name: 'queue', namespace }, value })
  waiting('0')
  run(h, [100])
  await h.clock.advance(400_000)
  assert.equal(await size(h), 0)
  waiting('25')
  await h.clock.advance(20_000)
  assert.equal(await size(h), 3)
})

test('a target of zero rests; one that is beyond its bounds is brought within them', async () => {
  await using off = await open({}, 0)
  await off.clock.advance(60_000)
  assert.equal(await size(off), 0)
  assert.deepEqual((await conditions(off))?.at(-1), 'ScalingActive False ScalingDisabled')
  await using large = await open({}, 30)
  await large.clock.advance(1_000)
  assert.equal(await size(large), 10)
})

test('a target that is not there, or of no known kind, is a condition and one event', async () => {
  await using h = await open({ scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'gone' } })
  await h.clock.advance(100_000)
  assert.deepEqual(await conditions(h), ['AbleToScale False FailedGetScale'])
  assert.equal(h.events.length, 1)
  await using lamp = await open({ scaleTargetRef: { apiVersion: 'example.com/v1', kind: 'Lamp', name: 'l' } })
  await lamp.clock.advance(100_000)
  assert.match((await status(lamp)).conditions?.[0]?.message ?? '', /no matches for kind "Lamp" in version "example.com\/v1"/)
})

test('metrics that nobody serves are told of, and nothing is done', async () => {
  await using h = await open()
  await h.clock.advance(1_000)
  assert.deepEqual(h.events, [
    'Warning FailedGetResourceMetric: invalid metrics (1 invalid out of 1), first error is: failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API',
  ])
  assert.equal(await size(h), 2)
})

test('a container alone, what pods say of themselves, and what is said of an object', async () => {
  const ask = async (metric: MetricSpec, tell: (h: Alone) => void) => {
    await using h = await open({ metrics: [metric] })
    run(h, [900, 900])
    tell(h)
    await h.clock.advance(1_000)
    const { currentMetrics } = await status(h)
    return [
      await size(h),
      JSON.stringify(Object.values(currentMetrics[0] ?? {}).at(-1)),
      ...h.events.map((event) => event.replace(/.*reason: /, '')),
    ].join(' ')
  }
  const container = (name: string): MetricSpec => ({
    type: 'ContainerResource',
    containerResource: { name: 'cpu', container: name, target: { type: 'AverageValue', averageValue: '300m' } },
  })
  assert.equal(
    await ask(container('c'), () => {}),
    '6 {"name":"cpu","container":"c","current":{"averageValue":"900m"}} cpu container resource above target',
  )
  assert.match(
    await ask(container('other'), () => {}),
    /^2 .*FailedGetContainerResourceMetric: .*did not receive metrics for targeted pods/,
  )
  const tellPods = ({ client }: Alone) => {
    for (const [i, value] of ['30', '10'].entries())
      client.put(ofPods, {
        metadata: { name: `m-${i}`, namespace, labels: { app: 'web' } },
        describedObject: { name: `web-${i}` },
        value,
      } as never)
  }
  assert.equal(
    await ask({ type: 'Pods', pods: { metric: { name: 'requests' }, target: { type: 'AverageValue', averageValue: '10' } } }, tellPods),
    '4 {"metric":{"name":"requests"},"current":{"averageValue":"20"}} pods metric requests above target',
  )
  const described = { apiVersion: 'v1', kind: 'Service', name: 'web' }
  const object: MetricSpec = {
    type: 'Object',
    object: { describedObject: described, metric: { name: 'requests' }, target: { type: 'Value', value: '100' } },
  }
  const tellObject = ({ client }: Alone) => void client.put(ofObject, { metadata: { name: 'm', namespace }, value: '250' })
  assert.equal(
    await ask(object, tellObject),
    '5 {"metric":{"name":"requests"},"describedObject":{"apiVersion":"v1","kind":"Service","name":"web"},"current":{"value":"250"}} Service metric requests above target',
  )
  assert.match(await ask(object, () => {}), /^2 .*FailedGetObjectMetric: .*no custom metric returned/)
})

test('two for one target do nothing, and say so', async () => {
  await using h = await open()
  run(h, [900, 900])
  const first = await h.client.get(HorizontalPodAutoscaler, { namespace, name: 'web' })
  h.client.put(HorizontalPodAutoscaler, {
    metadata: { name: 'again', namespace },
    spec: first.spec,
    status: { desiredReplicas: 0, currentMetrics: [] },
  })
  await h.clock.advance(60_000)
  assert.equal(await size(h), 2)
  const message = 'pods by selector app=web are controlled by multiple HPAs: [default/again default/web]'
  assert.deepEqual(h.events, [`Warning AmbiguousSelector: ${message}`, `Warning AmbiguousSelector: ${message}`])
})
