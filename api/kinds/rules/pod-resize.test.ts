import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod } from '../../types/core-v1.gen.ts'
import { created, updated } from '../check.fake.ts'
import { pod } from '../pod.ts'

const resources = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu: '2', memory: '128Mi' } })
const make = (more: object = {}, spec: object = {}) =>
  created(pod, { spec: { containers: [{ name: 'c', image: 'i', resources: resources('1', '64Mi'), ...more }], ...spec } }).object
const resize = (object: Pod, change: (container: Container) => void) =>
  updated(pod, object, (next) => change(next.spec.containers[0]!), 'resize')

test('a resize changes cpu and memory, and nothing else of the pod', () => {
  assert.deepEqual(
    resize(make(), (c) => void Object.assign(c, { image: 'other', resources: resources('1500m', '100Mi') })),
    [],
  )
  const next = structuredClone(make())
  Object.assign(next.spec.containers[0]!, { image: 'other', resources: resources('1500m', '100Mi') })
  next.spec.priority = 7
  pod.prepareUpdate?.(next, make(), 'resize')
  assert.deepEqual(
    [next.spec.containers[0]!.image, next.spec.containers[0]!.resources, next.spec.priority],
    ['i', resources('1500m', '100Mi'), undefined],
  )
})

test('what a resize must not do', () => {
  const storage = (c: Container) => void (c.resources.limits = { ...c.resources.limits, 'ephemeral-storage': '1Gi' })
  assert.deepEqual(resize(make(), storage).slice(0, 1), [
    'spec.containers[0].resources.limits: Forbidden: only cpu and memory resources are mutable',
  ])
  const guaranteed = (c: Container) => void (c.resources.requests = { ...c.resources.limits })
  assert.match(resize(make(), guaranteed).join(), /Pod QOS Class may not change as a result of resizing \(it is Burstable\)/)
  const unlimited = (c: Container) => void (c.resources = { requests: c.resources.requests, limits: { memory: '128Mi' } })
  assert.match(resize(make(), unlimited).join(), /resource limits cannot be removed \(cpu\)/)
  const less = (c: Container) => void (c.resources.limits = { cpu: '2', memory: '100Mi' })
  assert.match(resize(make(), less).join(), /memory limits cannot be decreased unless resizePolicy is RestartContainer/)
  const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }]
  assert.deepEqual(resize(make({ resizePolicy }), less), [])
  assert.match(resize(make({ resizePolicy }, { restartPolicy: 'Never' }), less).join(), /resizePolicy: Invalid value/)
  const over = make()
  over.status = { phase: 'Succeeded' }
  assert.match(resize(over, (c) => void (c.resources = resources('1500m', '64Mi'))).join(), /terminal phase/)
})
