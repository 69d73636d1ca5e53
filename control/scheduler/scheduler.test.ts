import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import { Namespace, Node, Pod } from '#api/kinds/index.ts'
import { PodInfo } from './cluster/pod-info.ts'
import { configurationOf } from './config/configuration.ts'
import { SchedulingQueue } from './queue/queue.ts'
import { namespace, setup } from './scheduler.fake.ts'

test('binds, and says so', async () => {
  await using t = await setup()
  t.node('node-1')
  await t.put('web')
  await settle()
  assert.deepEqual(await t.where(), ['web node-1'])
  assert.deepEqual(t.told, ['web Normal Scheduled Successfully assigned default/web to node-1'])
})

test('names that every object has are names like others: kinds of owners, labels of nodes', async () => {
  await using t = await setup()
  for (const name of ['node-1', 'node-2']) t.node(name)
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  for (const kind of ['constructor', 'toString', '__proto__']) {
    const ownerReferences = [{ apiVersion: 'v1', kind, name: 'it', uid: kind, controller: true }]
    await t.client.create(Pod, { metadata: { name: `of-${kind.replaceAll('_', '').toLowerCase()}`, namespace, ownerReferences }, spec })
  }
  const terms = [{ matchExpressions: [{ key: 'constructor', operator: 'Exists' as const }] }]
  await t.put('affine', '0', {
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
  })
  const spread = { maxSkew: 1, topologyKey: 'constructor', whenUnsatisfiable: 'DoNotSchedule' as const, labelSelector: {} }
  await t.put('spread', '0', { topologySpreadConstraints: [spread] })
  const near = { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'constructor', labelSelector: {} }] }
  await t.put('near', '0', { affinity: { podAffinity: near } })
  await settle()
  const placed = (await t.where()).filter((line) => !line.endsWith(' -')).map((line) => line.split(' ')[0] ?? '')
  assert.deepEqual(placed.sort(), ['of-constructor', 'of-proto', 'of-tostring'])
})

test('what does not fit says why once, and is bound as soon as there is room', async () => {
  await using t = await setup()
  t.node('node-1')
  await t.put('first', '2')
  await t.put('second', '2')
  await settle()
  assert.deepEqual(await t.where(), ['first node-1', 'second -'])
  const condition = (await t.client.get(Pod, { namespace, name: 'second' })).status.conditions?.find(({ type }) => type === 'PodScheduled')
  assert.deepEqual(
    [condition?.status, condition?.reason, condition?.message],
    [
      'False',
      'Unschedulable',
      '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
    ],
  )
  // Nothing changes: it is tried every few minutes, and nothing is told.
  const { length } = t.client.writes
  await t.clock.advance(301_000)
  assert.equal(t.client.writes.length, length)
  await t.client.delete(Pod, { namespace, name: 'first' }, { gracePeriodSeconds: 0 })
  await t.clock.advance(0)
  assert.deepEqual(await t.where(), ['second node-1'])
  assert.deepEqual(
    t.told.filter((line) => line.startsWith('second')),
    [
      'second Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
      'second Normal Scheduled Successfully assigned default/second to node-1',
    ],
  )
})

test('a node that comes, or makes room, is used', async () => {
  await using t = await setup()
  await t.put('web')
  await settle()
  assert.deepEqual(await t.where(), ['web -'])
  t.node('node-1', '100m')
  await t.clock.advance(1000)
  assert.deepEqual(await t.where(), ['web -'])
  t.node('node-1', '4')
  await t.clock.advance(1000)
  assert.deepEqual(await t.where(), ['web node-1'])
})

test('the more important go first', async () => {
  await using t = await setup()
  await t.put('low', '2', { priority: 1 })
  await t.put('high', '2', { priority: 100 })
  await t.put('middle', '2', { priority: 10 })
  await settle()
  t.node('node-1')
  await t.clock.advance(1000)
  assert.deepEqual(await t.where(), ['high node-1', 'low -', 'middle -'])
})

test('others schedule their own', async () => {
  await using t = await setup()
  t.node('node-1')
  await t.put('theirs', '1', { schedulerName: 'other' })
  await t.put('gated', '1', { schedulingGates: [{ name: 'wait' }] })
  await settle()
  assert.deepEqual(await t.where(), ['gated -', 'theirs -'])
})

test('a binding that fails is tried again, and its room is free meanwhile', async () => {
  await using t = await setup()
  t.node('node-1')
  t.client.intercept(({ subresource, ref }) => {
    if (subresource === 'binding' && ref?.name === 'first') throw new StatusError('ServiceUnavailable', 'away')
  })
  await t.put('first', '2')
  await settle()
  await t.put('second', '1')
  await settle()
  assert.deepEqual(await t.where(), ['first -', 'second node-1'])
  t.client.intercept(undefined)
  await t.client.delete(Pod, { namespace, name: 'second' }, { gracePeriodSeconds: 0 })
  await t.clock.advance(5000)
  assert.deepEqual(await t.where(), ['first node-1'])
})

test('a pod deleted while it waits is forgotten', async () => {
  await using t = await setup()
  await t.put('web', '2')
  await settle()
  await t.client.delete(Pod, { namespace, name: 'web' }, { gracePeriodSeconds: 0 })
  t.node('node-1')
  await t.clock.advance(60_000)
  assert.equal(t.client.writes.filter((line) => line.includes('binding')).length, 0)
})

test('a burst of pods is bound without overcommitting any node, whatever order bindings end in', async () => {
  await using t = await setup()
  for (const name of ['node-1', 'node-2', 'node-3']) t.node(name, '10')
  t.client.intercept(async ({ subresource, ref }) => {
    if (subresource === 'binding') for (let i = 0; i < Number(ref!.name.slice(4)) % 7; i++) await Promise.resolve()
  })
  for (let i = 0; i < 40; i++) await t.put(`pod-${i}`, '1')
  await settle(100)
  const perNode = Map.groupBy(await t.where(), (line) => line.split(' ')[1])
  assert.deepEqual([...perNode].map(([name, list]) => `${name} ${list.length}`).sort(), ['- 10', 'node-1 10', 'node-2 10', 'node-3 10'])
})

test('a pod that is resized to less makes room once its node has taken it away', async () => {
  await using t = await setup()
  t.node('node-1')
  await t.put('big', '2')
  await settle()
  await t.put('waits', '1')
  await settle()
  const big = await t.client.get(Pod, { namespace, name: 'big' })
  const resources = { requests: { cpu: '1' } }
  const status = (cpu: string) => ({ containerStatuses: [{ name: 'c', resources: { requests: { cpu } } }] }) as never
  t.client.put(Pod, { ...big, status: status('2'), spec: { ...big.spec, containers: [{ ...big.spec.containers[0]!, resources }] } })
  await t.clock.advance(20_000)
  assert.deepEqual(await t.where(), ['big node-1', 'waits -'])
  t.client.put(Pod, { ...(await t.client.get(Pod, big.metadata)), status: status('1') })
  await t.clock.advance(0)
  assert.deepEqual(await t.where(), ['big node-1', 'waits node-1'])
})

test('a namespace that gets the labels that an affinity asks for is a reason to try again', async () => {
  await using t = await setup()
  t.node('node-1')
  const namespaceSelector = { matchLabels: { team: 'a' } }
  const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'db' } }, namespaceSelector }
  t.client.put(Node, {
    ...(await t.client.get(Node, { name: 'node-1' })),
    metadata: { name: 'node-1', labels: { 'kubernetes.io/hostname': 'node-1' } },
  })
  await t.client.create(Namespace, { metadata: { name: 'data' } })
  t.client.put(Pod, {
    metadata: { name: 'db', namespace: 'data', labels: { app: 'db' } },
    spec: { nodeName: 'node-1', containers: [{ name: 'c', image: 'i' }] },
  })
  await t.put('web', '1', { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } })
  await settle()
  assert.deepEqual(await t.where(), ['db node-1', 'web -'])
  await t.clock.advance(1000)
  await t.client.patch(Namespace, { name: 'data' }, 'merge', { metadata: { labels: { team: 'a' } } })
  await t.clock.advance(0)
  assert.deepEqual(await t.where(), ['db node-1', 'web node-1'])
})

test('what waits is tried again after some minutes, though nothing was heard, whatever the clock on the wall says', async () => {
  const clock = fakeClock()
  let tried = 0
  const queue = new SchedulingQueue({
    clock,
    ready: () => {},
    before: () => false,
    gated: () => false,
    backoff: { first: 50, longest: 10_000 },
  })
  queue.set(new PodInfo({ metadata: { uid: 'a', name: 'a' }, spec: { containers: [] } } as never))
  for (let round = 1; round <= 3; round += 1) {
    tried += queue.take() ? 1 : 0
    queue.park('a', [])
    clock.jump(round % 2 ? 86_400_000 : -86_400_000)
    await clock.advance(290_000)
    assert.equal(queue.take(), undefined)
    await clock.advance(20_000)
  }
  assert.equal(tried, 3)
  queue.close()
  assert.equal(clock.pending, 0)
})

test('a pod that changed while it was being bound is tried again as it is now', async () => {
  await using t = await setup()
  t.node('node-1')
  t.node('node-2')
  const binding = Promise.withResolvers<void>()
  let failed = false
  t.client.intercept(async ({ subresource }) => {
    if (subresource !== 'binding' || failed) return
    failed = true
    await binding.promise
    throw new StatusError('ServiceUnavailable', 'away')
  })
  const pod = await t.put('web')
  await settle()
  t.client.put(Pod, { ...pod, spec: { ...pod.spec, nodeSelector: { pool: 'b' } } })
  t.client.put(Node, {
    ...(await t.client.get(Node, { name: 'node-2' })),
    metadata: { name: 'node-2', labels: { pool: 'b' } },
  })
  await settle()
  binding.resolve()
  await t.clock.advance(5000)
  assert.deepEqual(await t.where(), ['web node-2'])
})

test('others come between while many pods are placed', async () => {
  await using t = await setup()
  for (let i = 0; i < 300; i += 1) t.client.put(Node, { metadata: { name: `full-${i}` }, spec: { unschedulable: true }, status: {} })
  for (let i = 0; i < 400; i += 1) await t.put(`pod-${i}`)
  let turns = 0
  for (let last = -1; t.client.writes.length !== last || turns < 10; turns += 1) {
    last = t.client.writes.length
    await new Promise(setImmediate)
  }
  assert.ok(turns > 10, 'placing them took more than one turn of the event loop')
})

test('each profile has its pods, and nobody those that name another scheduler', async () => {
  const args = { scoringStrategy: { type: 'MostAllocated' } }
  await using t = await setup(
    configurationOf({
      apiVersion: 'kubescheduler.config.k8s.io/v1',
      kind: 'KubeSchedulerConfiguration',
      profiles: [{}, { schedulerName: 'packer', pluginConfig: [{ name: 'NodeResourcesFit', args }] }],
    }),
  )
  for (const name of ['node-1', 'node-2', 'node-3']) t.node(name, '4')
  await t.put('first', '1', { nodeName: 'node-2' })
  await settle()
  for (const i of [1, 2]) await t.put(`packed-${i}`, '1', { schedulerName: 'packer' })
  await t.put('spread', '1')
  await t.put('theirs', '1', { schedulerName: 'nobody' })
  await t.put('huge', '9', { schedulerName: 'packer' })
  await settle(20)
  assert.deepEqual(await t.where(), ['first node-2', 'huge -', 'packed-1 node-2', 'packed-2 node-2', 'spread node-1', 'theirs -'])
  assert.deepEqual(
    t.told
      .filter((line) => line.startsWith('packer: '))
      .map((line) => line.split(' ').slice(0, 4).join(' '))
      .sort(),
    ['packer: huge Warning FailedScheduling', 'packer: packed-1 Normal Scheduled', 'packer: packed-2 Normal Scheduled'],
  )
  assert.ok(!t.told.some((line) => line.includes('theirs')))
})

test('a pod whose gates have been taken away is placed', async () => {
  await using t = await setup()
  t.node('node-1')
  const pod = await t.put('gated', '1', { schedulingGates: [{ name: 'example.com/a' }, { name: 'example.com/b' }] })
  await settle()
  t.client.put(Pod, { ...pod, spec: { ...pod.spec, schedulingGates: [{ name: 'example.com/b' }] } })
  await t.clock.advance(400_000)
  assert.deepEqual(await t.where(), ['gated -'])
  assert.deepEqual(t.told, [])
  t.client.put(Pod, { ...pod, spec: { ...pod.spec, schedulingGates: [] } })
  await settle()
  assert.deepEqual(await t.where(), ['gated node-1'])
})
