// What autoscalers decide, as text: proposals of metrics, policies and windows, and what is missing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HorizontalPodAutoscalerSpec } from '#api/types/autoscaling-v2.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { type History, limit, remember, rulesOf } from './behavior.ts'
import { MetricError } from './metric.ts'
import { decide } from './plan.ts'
import { groupPods, requestsBy } from './pods.ts'
import { byAverage, byShare, byUtilization, byValue } from './replicas.ts'

const tolerance = { up: 0.1, down: 0.1 }

/** `a=300 b=?`: use in thousandths, `?`: unknown; `c~`: not ready yet. Requests are one core each. */
function utilization(target: number, text: string, current = text.split(' ').length): string {
  const words = text.split(' ').map((word) => [word[0] ?? '', word.slice(1)] as const)
  const names = (which: (rest: string) => boolean) => new Set(words.filter(([, rest]) => which(rest)).map(([name]) => name))
  const groups = {
    ready: names((rest) => /=\d/.test(rest)),
    missing: names((rest) => rest === '=?'),
    unready: names((rest) => rest === '~'),
  }
  const usage = new Map(words.filter(([, rest]) => /=\d/.test(rest)).map(([name, rest]) => [name, Number(rest.slice(1))]))
  const requests = new Map(words.map(([name]) => [name, 1000]))
  try {
    const found = byUtilization({ current, usage, groups, tolerance }, requests, target)
    return `${found.utilization}% → ${found.replicas}`
  } catch (error) {
    return (error as Error).message
  }
}

test('use in percent of requests', () => {
  assert.equal(utilization(50, 'a=500 b=500 c=500'), '50% → 3')
  assert.equal(utilization(50, 'a=1000 b=1000'), '100% → 4')
  assert.equal(utilization(50, 'a=100 b=100 c=100'), '10% → 1')
  // Within a tenth nothing follows.
  assert.equal(utilization(100, 'a=1100 b=1100'), '110% → 2')
  assert.equal(utilization(100, 'a=1110 b=1110'), '111% → 3')
  assert.equal(utilization(100, 'a=900 b=900 c=900'), '90% → 3')
})

test('what pods do not tell speaks against the change', () => {
  // Up: those without a metric use nothing.
  assert.equal(utilization(50, 'a=1000 b=1000 c=?'), '100% → 4')
  assert.equal(utilization(50, 'a=700 b=?'), '70% → 2')
  // Down: they use all.
  assert.equal(utilization(50, 'a=100 b=100 c=?'), '10% → 3')
  assert.equal(utilization(50, 'a=100 b=100 c=100 d=100 e=100 f=?', 6), '10% → 3')
  // Those that are not ready yet: nothing, where others ask for more; and do not count otherwise.
  assert.equal(utilization(50, 'a=1000 b~'), '100% → 2')
  assert.equal(utilization(50, 'a=1000 b=1000 c~'), '100% → 4')
  assert.equal(utilization(50, 'a=200 b=200 c~'), '20% → 1')
  assert.equal(utilization(50, 'a~ b~'), 'did not receive metrics for targeted pods (pods might be unready)')
})

test('amounts for each pod, and for all', () => {
  const groups = { ready: new Set(['a', 'b']), unready: new Set<string>(), missing: new Set<string>() }
  const usage = new Map([
    ['a', 30_000],
    ['b', 10_000],
  ])
  assert.equal(byAverage({ current: 2, usage, groups, tolerance }, 10_000).replicas, 4)
  const whole = { current: 3, ready: 3, tolerance }
  assert.equal(byValue(200, 100, whole), 6)
  assert.equal(byValue(105, 100, whole), 3)
  assert.equal(byShare(1000, 100, whole), 10)
  assert.equal(byShare(310, 100, whole), 3)
  // From and to nothing.
  assert.equal(byShare(0, 100, whole), 0)
  assert.equal(byShare(150, 100, { ...whole, current: 0, ready: 0 }), 2)
  assert.equal(byValue(0, 100, { ...whole, current: 0, ready: 0 }), 0)
})

const spec = (more: Partial<HorizontalPodAutoscalerSpec> = {}) =>
  ({ minReplicas: 1, maxReplicas: 100, ...more }) as HorizontalPodAutoscalerSpec

/** `0:10 15:20`: at these seconds metrics ask for so many; what becomes of it. */
function follow(of: HorizontalPodAutoscalerSpec, start: number, text: string): string {
  const history: History = { recommendations: [{ at: 0, replicas: start }], ups: [], downs: [] }
  let current = start
  return text
    .split(' ')
    .map((word) => {
      const [second = 0, asked = 0] = word.split(':').map(Number)
      const now = second * 1000
      const { replicas, limited, stabilized } = limit(of, rulesOf(of), history, { current, asked, now })
      if (replicas !== current) remember(history, rulesOf(of), { from: current, to: replicas, now })
      current = replicas
      return [replicas, limited, stabilized].filter((each) => each !== undefined).join(' ')
    })
    .join(', ')
}

test('up at once, as fast as double or four more; down after five minutes', () => {
  assert.equal(follow(spec(), 1, '0:50 15:50 30:50 45:50'), '5 ScaleUpLimit, 10 ScaleUpLimit, 20 ScaleUpLimit, 40 ScaleUpLimit')
  assert.equal(follow(spec({ maxReplicas: 7 }), 4, '0:50'), '7 TooManyReplicas')
  assert.equal(follow(spec(), 10, '15:2 285:2 299:2 301:2'), '10 ScaleDownStabilized, 10 ScaleDownStabilized, 10 ScaleDownStabilized, 2')
  assert.equal(follow(spec({ minReplicas: 3 }), 10, '301:0'), '3 TooFewReplicas')
})

test('flapping metrics move nothing', () => {
  assert.equal(follow(spec(), 10, '15:10 30:4 45:10 60:4 75:10 90:4').replaceAll(' ScaleDownStabilized', ''), '10, 10, 10, 10, 10, 10')
})

test('policies: the most or least that they allow within their periods, or nothing', () => {
  const behavior = (scaleDown: object, scaleUp = {}) =>
    spec({ behavior: { scaleDown: { stabilizationWindowSeconds: 0, ...scaleDown }, scaleUp } })
  const policies = [
    { type: 'Pods', value: 4, periodSeconds: 60 },
    { type: 'Percent', value: 10, periodSeconds: 60 },
  ]
  assert.equal(
    follow(behavior({ policies }), 80, '0:10 15:10 60:10 120:10'),
    '72 ScaleDownLimit, 72 ScaleDownLimit, 64 ScaleDownLimit, 57 ScaleDownLimit',
  )
  assert.equal(follow(behavior({ policies, selectPolicy: 'Min' }), 80, '0:10 61:10'), '76 ScaleDownLimit, 72 ScaleDownLimit')
  assert.equal(follow(behavior({ selectPolicy: 'Disabled' }), 80, '0:10'), '80 ScaleDownLimit')
  const slow = behavior({}, { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 1, periodSeconds: 30 }] })
  assert.equal(follow(slow, 2, '61:9 75:9 122:9 137:9 152:9').replaceAll(' ScaleUpLimit', ''), '3, 3, 4, 4, 5')
})

test('the largest proposal counts; where one is missing, none that makes it smaller', () => {
  const resource = (replicas: number) => ({ replicas, name: 'cpu resource', status: { type: 'Resource' as const } })
  const missing = new MetricError('FailedGetExternalMetric', 'failed to get external metric queue: nobody there')
  const of = (answers: Parameters<typeof decide>[1]['answers']) => {
    const history: History = { recommendations: [], ups: [], downs: [] }
    const metrics = answers.map(() => ({ type: 'Resource' }))
    const { desired, why, conditions, warning } = decide({ spec: spec({ metrics: metrics as never }) } as never, {
      current: 4,
      answers,
      history,
      now: 0,
    })
    const active = conditions.find(({ type }) => type === 'ScalingActive')
    return [desired, why, `${active?.status} ${active?.reason}`, warning?.reason].filter(Boolean).join('; ')
  }
  assert.equal(of([resource(6), resource(5)]), '6; cpu resource above target; True ValidMetricFound')
  assert.equal(of([resource(2), resource(3)]), '3; All metrics below target; True ValidMetricFound')
  assert.equal(of([resource(6), missing]), '6; cpu resource above target; True ValidMetricFound; FailedGetExternalMetric')
  assert.equal(of([resource(2), missing]), '4; True ValidMetricFound; FailedComputeMetricsReplicas')
  assert.equal(of([missing]), '4; False FailedGetExternalMetric; FailedGetExternalMetric')
})

test('who is ready, who not yet, and of whom nothing is known', () => {
  const pod = (
    name: string,
    { phase = 'Running', ready = 'True', start = '2025-01-01T00:00:00Z', turned = '2025-01-01T00:00:10Z', more = {} } = {},
  ): Pod =>
    ({
      metadata: { name, uid: name, ...more },
      spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
      status: { phase, startTime: start, conditions: [{ type: 'Ready', status: ready, lastTransitionTime: turned }] },
    }) as unknown as Pod
  const group = (of: Pod, ages: { started: number; turned: number }, window: number | undefined = 15_000) => {
    const { ready, unready, missing } = groupPods(
      [of],
      'cpu',
      () => window,
      () => ages,
    )
    return ready.size ? 'ready' : unready.size ? 'unready' : missing.size ? 'missing' : 'ignored'
  }
  const old = { started: 400_000, turned: 390_000 }
  const young = { started: 60_000, turned: 50_000 }
  assert.equal(group(pod('a'), old), 'ready')
  assert.equal(group(pod('a', { phase: 'Pending' }), old), 'unready')
  assert.equal(group(pod('a', { phase: 'Succeeded' }), old), 'ignored')
  assert.equal(group(pod('a', { more: { deletionTimestamp: 'now' } }), old), 'ignored')
  assert.equal(group(pod('a'), young), 'ready')
  assert.equal(group(pod('a', { ready: 'False' }), young), 'unready')
  assert.equal(group(pod('a'), { started: 60_000, turned: 10_000 }), 'unready')
  // Long after its start: one that has been ready before counts, one that never was does not.
  assert.equal(group(pod('a', { ready: 'False', turned: '2025-01-01T00:05:00Z' }), old), 'ready')
  assert.equal(group(pod('a', { ready: 'False' }), old), 'unready')
  const none = groupPods(
    [pod('a')],
    'cpu',
    () => undefined,
    () => old,
  )
  assert.equal(none.missing.size, 1)
  assert.deepEqual([...requestsBy([pod('a')], 'cpu')], [['a', 100]])
  assert.throws(() => requestsBy([pod('a')], 'memory'), /missing request for memory in container c of Pod a/)
})
