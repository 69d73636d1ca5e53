import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import { Node, Pod, PodDisruptionBudget } from '#api/kinds/index.ts'
import type { PodSpec } from '#api/types/core-v1.gen.ts'
import { namespace, setup } from '../scheduler.fake.ts'

type Scheduled = Awaited<ReturnType<typeof setup>>

/** A pod that runs on a node. */
function running(
  t: Scheduled,
  name: string,
  nodeName: string,
  {
    cpu = '1',
    labels = {},
    startTime = '2025-01-01T00:00:00Z',
    ...spec
  }: Partial<PodSpec> & { cpu?: string; labels?: Record<string, string>; startTime?: string } = {},
) {
  t.client.put(Pod, {
    metadata: { name, namespace, labels },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 30,
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }],
      ...spec,
    },
    status: { phase: 'Running', startTime },
  })
}
const get = (t: Scheduled, name: string) => t.client.get(Pod, { namespace, name })
const leaving = async (t: Scheduled) =>
  (await t.client.list(Pod)).items.filter(({ metadata }) => metadata.deletionTimestamp).map(({ metadata }) => metadata.name)
/** Ends those that are being deleted, as their nodes do. */
async function end(t: Scheduled): Promise<void> {
  for (const name of await leaving(t)) t.client.drop(Pod, { namespace, name })
  await t.clock.advance(0)
}

test('a pod drives a less important one away, is promised its room, and gets it once that is free', async () => {
  await using t = await setup()
  t.node('node-1', '2')
  running(t, 'low', 'node-1', { cpu: '2', priority: 1 })
  await settle()
  await t.put('high', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual(await leaving(t), ['low'])
  const { status } = await get(t, 'low')
  const target = status.conditions?.find(({ type }) => type === 'DisruptionTarget')
  assert.deepEqual(
    [target?.status, target?.reason, target?.message],
    ['True', 'PreemptionByScheduler', 'default-scheduler: preempting to accommodate a higher priority pod'],
  )
  const high = await get(t, 'high')
  assert.equal(high.status.nominatedNodeName, 'node-1')
  assert.deepEqual(t.told, [
    'high Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu.',
    `low Normal Preempted Preempted by pod ${high.metadata.uid} on node node-1`,
  ])
  // The room is kept: what is less important waits, and what is tried again drives nobody else away.
  await t.put('middle', '2', { priority: 5 })
  await t.clock.advance(400_000)
  assert.deepEqual(await t.where(), ['high -', 'low node-1', 'middle -'])
  const why = (await get(t, 'high')).status.conditions?.find(({ type }) => type === 'PodScheduled')?.message
  assert.equal(why, '0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to a terminating pod on the nominated node.')
  await end(t)
  await t.clock.advance(20_000)
  assert.deepEqual(await t.where(), ['high node-1', 'middle -'])
})

test('no more pods go than must, and of these the least important', async () => {
  await using t = await setup()
  t.node('node-1', '4')
  running(t, 'a', 'node-1', { priority: 3 })
  running(t, 'b', 'node-1', { priority: 1 })
  running(t, 'c', 'node-1', { priority: 2 })
  running(t, 'd', 'node-1', { priority: 1, startTime: '2025-01-02T00:00:00Z' })
  await settle()
  await t.put('high', '1', { priority: 10 })
  await settle(20)
  // Of two of one priority the younger.
  assert.deepEqual(await leaving(t), ['d'])
})

test('the node is chosen where the least is lost: budgets first, then priorities, then how many', async () => {
  await using t = await setup()
  for (const name of ['n1', 'n2', 'n3', 'n4']) t.node(name, '2')
  t.client.put(PodDisruptionBudget, {
    metadata: { name: 'guard', namespace },
    spec: { selector: { matchLabels: { app: 'guarded' } }, minAvailable: 1 },
    status: { disruptionsAllowed: 0, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
  })
  running(t, 'guarded', 'n1', { cpu: '2', priority: 0, labels: { app: 'guarded' } })
  running(t, 'important', 'n2', { cpu: '2', priority: 5 })
  running(t, 'two-a', 'n3', { priority: 1 })
  running(t, 'two-b', 'n3', { priority: 1 })
  running(t, 'one', 'n4', { cpu: '2', priority: 1 })
  await settle()
  await t.put('first', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual(await leaving(t), ['one'])
  await t.put('second', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual((await leaving(t)).sort(), ['one', 'two-a', 'two-b'])
  await t.put('third', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual((await leaving(t)).sort(), ['important', 'one', 'two-a', 'two-b'])
  // Only where nothing else helps.
  await t.put('fourth', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual((await leaving(t)).sort(), ['guarded', 'important', 'one', 'two-a', 'two-b'])
})

test('nobody is driven away for a pod that asks not to, or where it would not help', async () => {
  await using t = await setup()
  t.node('node-1', '2')
  running(t, 'low', 'node-1', { cpu: '2', priority: 1 })
  await settle()
  await t.put('polite', '2', { priority: 10, preemptionPolicy: 'Never' })
  await t.put('huge', '3', { priority: 10 })
  await t.put('equal', '1', { priority: 1 })
  await settle(20)
  assert.deepEqual(await leaving(t), [])
  assert.deepEqual(
    t.told.map((line) => line.replace(' Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu.', '')).sort(),
    [
      'equal preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
      'huge preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
      'polite preemption: not eligible due to preemptionPolicy=Never.',
    ],
  )
})

test('pods that would not have the new one beside them go too, others stay', async () => {
  await using t = await setup()
  t.client.put(Node, {
    metadata: { name: 'node-1', labels: { 'kubernetes.io/hostname': 'node-1' } },
    spec: {},
    status: { allocatable: { cpu: '8', memory: '4Gi', pods: '110' }, conditions: [{ type: 'Ready', status: 'True' }] },
  })
  const away = (app: string) => ({
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels: { app } }, topologyKey: 'kubernetes.io/hostname' }],
    },
  })
  running(t, 'shy', 'node-1', { priority: 1, affinity: away('web'), labels: { app: 'shy' } })
  running(t, 'other', 'node-1', { priority: 1, labels: { app: 'db' } })
  running(t, 'bystander', 'node-1', { priority: 1 })
  await settle()
  await t.client.create(Pod, {
    metadata: { name: 'web', namespace, labels: { app: 'web' } },
    spec: { priority: 5, affinity: away('db'), containers: [{ name: 'c', image: 'i' }] },
  })
  await settle(20)
  assert.deepEqual((await leaving(t)).sort(), ['other', 'shy'])
  await end(t)
  await t.clock.advance(1_000)
  assert.deepEqual(await t.where(), ['bystander node-1', 'web node-1'])
})

test('a server that refuses to let a victim go is asked again', async () => {
  await using t = await setup()
  t.node('node-1', '2')
  running(t, 'low', 'node-1', { cpu: '2', priority: 1 })
  await settle()
  t.client.intercept(({ verb }) => {
    if (verb === 'delete') throw new StatusError('ServiceUnavailable', 'away')
  })
  await t.put('high', '2', { priority: 10 })
  await settle(20)
  assert.deepEqual(await leaving(t), [])
  t.client.intercept(undefined)
  await t.clock.advance(20_000)
  assert.deepEqual(await leaving(t), ['low'])
  await end(t)
  await t.clock.advance(20_000)
  assert.deepEqual(await t.where(), ['high node-1'])
})

test('the promise ends with the pod, and who waited for the room is tried', async () => {
  await using t = await setup()
  t.node('node-1', '2')
  running(t, 'low', 'node-1', { cpu: '2', priority: 1 })
  await settle()
  await t.put('high', '2', { priority: 10 })
  await settle(20)
  await t.put('middle', '2', { priority: 0 })
  await t.client.delete(Pod, { namespace, name: 'high' }, { gracePeriodSeconds: 0 })
  await end(t)
  await t.clock.advance(20_000)
  assert.deepEqual(await t.where(), ['middle node-1'])
})

test('hundreds of victims go at once, and others take their places', async () => {
  await using t = await setup()
  for (let i = 0; i < 30; i += 1) {
    t.node(`n${i}`, '10')
    for (let j = 0; j < 10; j += 1) running(t, `low-${i}-${j}`, `n${i}`, { priority: 0 })
  }
  await settle(50)
  for (let i = 0; i < 30; i += 1) await t.put(`high-${i}`, '10', { priority: 5 })
  for (let last = -1; last !== t.client.writes.length; ) {
    last = t.client.writes.length
    await settle(50)
  }
  assert.equal((await leaving(t)).length, 300)
  await end(t)
  await t.clock.advance(60_000)
  const places = new Set((await t.where()).map((line) => line.split(' ')[1]))
  assert.equal(places.size, 30)
  assert.ok(!places.has('-'))
})
