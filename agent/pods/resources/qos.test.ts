import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, ResourceRequirements } from '#api/types/core-v1.gen.ts'
import { cgroupOf, oomScoreAdj, podResources, qosClass, resourcesOf } from './qos.ts'

const podOf = (...resources: ResourceRequirements[]): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1' },
  spec: { containers: resources.map((one, i) => ({ name: `c${i}`, resources: one })) },
  status: {},
})
const full = { cpu: '500m', memory: '64Mi' }

test('quality of service', () => {
  assert.equal(qosClass(podOf({}, {})), 'BestEffort')
  assert.equal(qosClass(podOf({ limits: full, requests: full })), 'Guaranteed')
  assert.equal(qosClass(podOf({ limits: full })), 'Guaranteed')
  assert.equal(qosClass(podOf({ limits: full, requests: { cpu: '0.5', memory: '65536Ki' } })), 'Guaranteed')
  assert.equal(qosClass(podOf({ limits: full }, {})), 'Burstable')
  assert.equal(qosClass(podOf({ limits: { cpu: '1' } })), 'Burstable')
  assert.equal(qosClass(podOf({ requests: { memory: '1Mi' } })), 'Burstable')
})

test('where it runs and how soon it is killed', () => {
  assert.equal(cgroupOf(podOf({})), 'kubepods/besteffort/podu1')
  assert.equal(cgroupOf(podOf({ limits: full })), 'kubepods/podu1')
  const score = (resources: ResourceRequirements, node = 2 ** 30) => {
    const pod = podOf(resources)
    return oomScoreAdj(pod, pod.spec.containers[0]!, node)
  }
  assert.equal(score({}), 1000)
  assert.equal(score({ limits: full }), -997)
  assert.equal(score({ requests: { memory: '256Mi' } }), 750)
  assert.equal(score({ requests: { memory: '2Gi' } }), 3)
  assert.equal(score({ requests: { cpu: '1' } }), 999)
})

test('limits in the kernel units', () => {
  const of = (resources: ResourceRequirements) => resourcesOf({ name: 'c', resources })
  assert.deepEqual(of({}), { cpuShares: 2 })
  assert.deepEqual(of({ requests: { cpu: '250m' }, limits: full }), {
    cpuShares: 256,
    cpuPeriodMicros: 100_000,
    cpuQuotaMicros: 50_000,
    memoryBytes: 67_108_864,
  })
  assert.equal(of({ limits: { cpu: '1m' } }).cpuQuotaMicros, 1000)
})

test('a pod is limited as a whole where all its containers are', () => {
  assert.deepEqual(podResources(podOf({ limits: full }, { limits: full })), {
    cpuShares: 1024,
    cpuPeriodMicros: 100_000,
    cpuQuotaMicros: 100_000,
    memoryBytes: 134_217_728,
  })
  assert.deepEqual(podResources(podOf({ limits: full }, {})), { cpuShares: 514 })
})
