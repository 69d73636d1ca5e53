import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock } from '#api/clock.fake.ts'
import type { ContainerResizePolicy } from '#api/types/core-v1.gen.ts'
import { type ContainerRecord, slotsOf } from '../containers/record.ts'
import { containerOf, podIn } from '../fakes.ts'
import { isLagging, mustRestart } from './allotment.ts'
import { actuate, obstacle, unallotted } from './resize.ts'

const amounts = (cpu: string, memory = '64Mi') => ({ requests: { cpu, memory }, limits: { cpu, memory } })

/** Containers that run with the first amounts and are asked to have the second. */
function running(...containers: { had: object; asks: object; resizePolicy?: ContainerResizePolicy[] }[]) {
  const pod = podIn(fakeClient({ clock: fakeClock() }), {
    containers: containers.map(({ had, resizePolicy }, i) =>
      containerOf(`c${i}`, { resources: had, ...(resizePolicy && { resizePolicy }) }),
    ),
  })
  const records: ContainerRecord[] = slotsOf(pod)
  for (const [i, record] of records.entries()) {
    record.current = { id: `id${i}`, attempt: 0, phase: 'running', image: '', imageID: '', resources: record.allotted }
    record.container = { ...record.container, resources: containers[i]!.asks }
  }
  return { pod, records }
}
const room = { allocatable: { cpu: '4', memory: '1Gi' }, taken: { cpu: 2000, memory: 0 } }

test('what a node never has is infeasible, what others have is deferred, and less is always granted', () => {
  const one = (cpu: string, memory = '64Mi') => obstacle(running({ had: amounts('1'), asks: amounts(cpu, memory) }).records, room)
  assert.equal(one('2'), undefined)
  assert.deepEqual(one('5'), {
    reason: 'Infeasible',
    message: "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000",
  })
  assert.deepEqual(one('2500m'), {
    reason: 'Deferred',
    message: "Node didn't have enough resource: cpu, requested: 2500, used: 2000, capacity: 4000",
  })
  assert.equal(one('1', '2Gi')?.reason, 'Infeasible')
  assert.equal(obstacle(running({ had: amounts('3'), asks: amounts('2500m') }).records, room), undefined, 'it shrinks')
  assert.equal(
    obstacle(running({ had: amounts('1'), asks: amounts('2') }, { had: amounts('1'), asks: amounts('1') }).records, room)?.reason,
    'Deferred',
  )
})

test('a policy restarts for the resource that it names, and for no other', () => {
  const resizePolicy: ContainerResizePolicy[] = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }]
  for (const [asks, restarts] of [
    [amounts('2'), false],
    [amounts('1', '128Mi'), true],
  ] as const) {
    const { records } = running({ had: amounts('1'), asks, resizePolicy })
    const [record] = records as [ContainerRecord]
    assert.deepEqual(
      [unallotted(records).length, isLagging(record), mustRestart(record)],
      [1, false, false],
      'nothing before it is granted',
    )
    record.allotted = record.container.resources
    assert.deepEqual([unallotted(records).length, isLagging(record), mustRestart(record)], [0, true, restarts])
  }
})

test('the cgroup of the pod is wide while those of its containers change', async () => {
  const { pod, records } = running({ had: amounts('1'), asks: amounts('500m', '128Mi') }, { had: amounts('1'), asks: amounts('1') })
  for (const record of records) record.allotted = record.container.resources
  const steps: string[] = []
  await actuate(pod, records, {
    pod: async (limits) => void steps.push(`pod ${limits.cpuQuotaMicros ?? 'max'} ${limits.memoryBytes ?? 'max'}`),
    container: async (id, limits) => void steps.push(`${id} ${limits.cpuQuotaMicros} ${limits.memoryBytes}`),
  })
  assert.deepEqual(steps, ['pod max max', 'id0 50000 134217728', 'pod 150000 201326592'])
  assert.deepEqual(records.map(isLagging), [false, false])
})

test('a limit that the kernel refuses leaves the process as it is', async () => {
  const { pod, records } = running({ had: amounts('1'), asks: amounts('2') })
  records[0]!.allotted = records[0]!.container.resources
  const busy = { pod: async () => undefined, container: async () => Promise.reject(new Error('EBUSY')) }
  await assert.rejects(actuate(pod, records, busy), /EBUSY/)
  assert.equal(isLagging(records[0]!), true)
})
