// Kinds served in two versions: nothing is lost on the way to the other one and back.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decode } from '../schema/decode.ts'
import { randomObject, seeded } from '../schema/random.fake.ts'
import type { HorizontalPodAutoscaler as V1 } from '../types/autoscaling-v1.gen.ts'
import type { MetricSpec, HorizontalPodAutoscaler as V2 } from '../types/autoscaling-v2.gen.ts'
import { schemaFor } from './check.fake.ts'
import { event } from './event.ts'
import { eventV1 } from './event-v1.ts'
import { horizontalPodAutoscaler } from './horizontal-pod-autoscaler.ts'
import { autoscalerFromV1, autoscalerToV1, horizontalPodAutoscalerV1 } from './horizontal-pod-autoscaler-v1.ts'
import { apiVersionOf, type KubeObject } from './kind.ts'
import type { KindSpec } from './spec.ts'

const served: [version: KindSpec, stored: KindSpec][] = [
  [horizontalPodAutoscalerV1, horizontalPodAutoscaler],
  [eventV1, event],
]

/** As the server reads it. */
const read = ({ kind, ...spec }: KindSpec, object: object): KubeObject =>
  ({
    ...decode(schemaFor({ kind, ...spec }), { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind }).object,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
  }) as unknown as KubeObject

for (const [version, stored] of served) {
  const name = `${apiVersionOf(version.kind)} ${version.kind.kind}`
  it(`${name} shows all of what is stored, and gives it back`, () => {
    const random = seeded(name.length)
    for (let round = 0; round < 300; round += 1) {
      const object = read(stored, { ...randomObject(schemaFor(stored), random, round % 9), metadata: { name: 'one', labels: { a: 'b' } } })
      const shown = read(version, version.converts?.fromStored(structuredClone(object)) ?? {})
      assert.deepEqual(read(stored, version.converts?.toStored(structuredClone(shown)) ?? {}), object)
    }
  })
}

describe('an autoscaler of the old version', () => {
  const cpu = (averageUtilization: number): MetricSpec => ({
    type: 'Resource',
    resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
  })
  const memory: MetricSpec = { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } } }
  const queue: MetricSpec = {
    type: 'External',
    external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '30' } },
  }
  const object = (metrics: MetricSpec[]): V2 => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'one', uid: 'u', resourceVersion: '1' },
    spec: { scaleTargetRef: { kind: 'Deployment', name: 'web' }, maxReplicas: 3, metrics },
    status: { desiredReplicas: 0, currentMetrics: [] },
  })
  const annotation = (v1: V1) => v1.metadata.annotations?.['autoscaling.alpha.kubernetes.io/metrics']

  it('has the CPU in its one field, and the rest where Kubernetes puts it', () => {
    assert.equal(autoscalerToV1(object([cpu(60)])).spec.targetCPUUtilizationPercentage, 60)
    assert.equal(annotation(autoscalerToV1(object([cpu(60)]))), undefined)
    const v1 = autoscalerToV1(object([memory, queue, cpu(60)]))
    assert.equal(
      annotation(v1),
      '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}},{"type":"External","external":{"metricName":"queue","targetAverageValue":"30"}}]',
    )
    assert.deepEqual(autoscalerFromV1(v1).spec.metrics, [memory, queue, cpu(60)])
  })

  it('changes the CPU where it stands, and keeps the order', () => {
    const v1 = autoscalerToV1(object([cpu(60), memory]))
    v1.spec.targetCPUUtilizationPercentage = 75
    assert.deepEqual(autoscalerFromV1(v1).spec.metrics, [cpu(75), memory])
    assert.equal(autoscalerFromV1(v1).metadata.annotations, undefined)
  })

  it('may be a part only', () => {
    const part = { apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', metadata: { name: 'one' } }
    assert.deepEqual(autoscalerFromV1(part as unknown as V1), { ...part, apiVersion: 'autoscaling/v2' })
    const applied = { ...part, spec: { targetCPUUtilizationPercentage: 50 } }
    assert.deepEqual(autoscalerFromV1(applied as unknown as V1), { ...part, apiVersion: 'autoscaling/v2', spec: { metrics: [cpu(50)] } })
  })

  it('leaves annotations that only look like its own', () => {
    const annotations = { 'autoscaling.alpha.kubernetes.io/metrics': 'not json', other: 'x' }
    const v1 = { ...autoscalerToV1(object([])), metadata: { name: 'one', uid: 'u', resourceVersion: '1', annotations } }
    assert.deepEqual(autoscalerFromV1(v1).metadata.annotations, annotations)
  })
})
