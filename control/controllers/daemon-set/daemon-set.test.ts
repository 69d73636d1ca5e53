// DaemonSets and their pods on a fake server with the real scheduler, as a user meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { New } from '#api/client/client.ts'
import { ControllerRevision, DaemonSet, Event, Node, Pod } from '#api/kinds/index.ts'
import type { PodSpec } from '#api/types/core-v1.gen.ts'
import { type Harness, harness } from '../harness.fake.ts'

const namespace = 'default'
const ref = { namespace, name: 'log' }
const template = (image: string, more: Partial<PodSpec> = {}) => ({
  metadata: { labels: { app: 'log' } },
  spec: { containers: [{ name: 'c', image }], ...more },
})
const daemon = (more: Partial<DaemonSet['spec']> = {}): New<DaemonSet> => ({
  metadata: { name: 'log', namespace },
  spec: {
    selector: { matchLabels: { app: 'log' } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    template: template('log:1'),
    ...more,
  },
})

const names = ['node-1', 'node-2', 'node-3']
const pods = async ({ client }: Harness) => (await client.list(Pod, { namespace })).items
const shown = async (h: Harness) => (await pods(h)).map(({ spec }) => `${spec.nodeName} ${spec.containers[0]?.image}`).sort()
const change = (h: Harness, spec: object) => h.client.patch(DaemonSet, ref, 'merge', { spec })
const statusOf = async ({ client }: Harness) => (await client.get(DaemonSet, ref)).status

async function start(spec: New<DaemonSet> = daemon()): Promise<Harness> {
  const h = await harness()
  for (const name of names) await h.addNode(name, { labels: { disk: name === 'node-2' ? 'ssd' : 'sd' } })
  await h.client.create(DaemonSet, spec)
  await settled(h)
  return h
}

async function settled(h: Harness): Promise<void> {
  for (let i = 0; i < 6; i++) await h.settle()
}

test('one pod on every node, bound there by the scheduler; nodes come and go', async () => {
  await using h = await start()
  assert.deepEqual(await shown(h), ['node-1 log:1', 'node-2 log:1', 'node-3 log:1'])
  const [pod] = await pods(h)
  assert.deepEqual(pod?.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution, {
    nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: [pod?.spec.nodeName] }] }],
  })
  assert.deepEqual(
    pod?.spec.tolerations?.map(({ key, effect }) => `${key?.replace('node.kubernetes.io/', '')}:${effect}`),
    [
      'not-ready:NoExecute',
      'unreachable:NoExecute',
      'disk-pressure:NoSchedule',
      'memory-pressure:NoSchedule',
      'pid-pressure:NoSchedule',
      'unschedulable:NoSchedule',
    ],
  )
  assert.deepEqual(await statusOf(h), {
    currentNumberScheduled: 3,
    numberMisscheduled: 0,
    desiredNumberScheduled: 3,
    numberReady: 3,
    observedGeneration: 1,
    updatedNumberScheduled: 3,
    numberAvailable: 3,
    numberUnavailable: 0,
  })
  await h.addNode('node-4')
  await settled(h)
  assert.equal((await pods(h)).length, 4)
  await h.client.delete(Node, { name: 'node-4' })
  await settled(h)
  assert.equal((await statusOf(h)).desiredNumberScheduled, 3)
  const messages = (await h.client.list(Event, { namespace })).items.map(({ source, reason }) => `${source?.component} ${reason}`)
  assert.ok(messages.includes('daemonset-controller SuccessfulCreate'))
  assert.deepEqual(h.complaints, [])
})

test('a cordon and pressure keep nobody away, a taint of one’s own does; NoExecute ends what is there', async () => {
  await using h = await start()
  const taint = (name: string, spec: object) => h.client.patch(Node, { name }, 'merge', { spec })
  await taint('node-1', { unschedulable: true })
  await settled(h)
  await h.client.delete(Pod, (await pods(h)).find(({ spec }) => spec.nodeName === 'node-1')!.metadata)
  await settled(h)
  assert.equal((await pods(h)).length, 3)
  await taint('node-2', { taints: [{ key: 'mine', effect: 'NoSchedule' }] })
  await settled(h)
  assert.deepEqual([(await pods(h)).length, (await statusOf(h)).numberMisscheduled, (await statusOf(h)).desiredNumberScheduled], [3, 1, 2])
  await taint('node-2', { taints: [{ key: 'mine', effect: 'NoExecute' }] })
  await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:1', 'node-3 log:1'])
})

test('a selector of nodes that changes, or a label of a node that does, moves pods', async () => {
  await using h = await start(daemon({ template: template('log:1', { nodeSelector: { disk: 'ssd' } }) as never }))
  assert.deepEqual(await shown(h), ['node-2 log:1'])
  await h.client.patch(Node, { name: 'node-3' }, 'merge', { metadata: { labels: { disk: 'ssd' } } })
  await h.client.patch(Node, { name: 'node-2' }, 'merge', { metadata: { labels: { disk: 'sd' } } })
  await settled(h)
  assert.deepEqual(await shown(h), ['node-3 log:1'])
})

test('a rolling update goes node by node, and back by what history holds', async () => {
  await using h = await start()
  let least = 3
  h.client.intercept(async ({ kind, verb }) => {
    if (kind.kind === 'Pod' && verb === 'delete')
      least = Math.min(least, (await pods(h)).filter(({ metadata }) => !metadata.deletionTimestamp).length)
  })
  await change(h, { template: template('log:2') })
  for (let i = 0; i < 3; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:2', 'node-2 log:2', 'node-3 log:2'])
  assert.equal(least, 2)
  const history = (await h.client.list(ControllerRevision, { namespace })).items.sort((a, b) => a.revision - b.revision)
  assert.deepEqual(
    history.map(({ revision }) => revision),
    [1, 2],
  )
  await h.client.patch(DaemonSet, ref, 'strategic', history[0]?.data)
  for (let i = 0; i < 3; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:1', 'node-2 log:1', 'node-3 log:1'])
  assert.equal((await statusOf(h)).updatedNumberScheduled, 3)
})

test('pods meant for a node that is gone go; one that was taken over and waits for a node may yet come to one', async () => {
  await using h = await start()
  await h.client.create(Pod, {
    metadata: { name: 'found', namespace, labels: { app: 'log' } },
    spec: { ...template('x').spec, schedulerName: 'none' },
  })
  const pod = (await pods(h)).find(({ spec }) => spec.nodeName)
  const { nodeName: _, ...spec } = pod!.spec
  h.client.put(Pod, { ...pod!, metadata: { ...pod!.metadata, name: 'for-nobody', uid: 'u' }, spec: { ...spec, schedulerName: 'none' } })
  await h.client.delete(Node, { name: pod!.spec.nodeName! })
  await settled(h)
  const left = (await pods(h)).map(({ metadata }) => metadata.name)
  assert.deepEqual([left.includes('found'), left.includes('for-nobody')], [true, false])
})

test('with surge there is never a node without its pod', async () => {
  await using h = await start(daemon({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } }))
  const gaps: string[] = []
  h.client.intercept(async ({ kind, verb }) => {
    if (kind.kind !== 'Pod' || verb !== 'delete') return
    const serving = new Set((await pods(h)).filter(({ status }) => status.phase === 'Running').map(({ spec }) => spec.nodeName))
    if (serving.size < 3) gaps.push([...serving].join(' '))
  })
  await change(h, { template: template('log:2') })
  for (let i = 0; i < 4; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:2', 'node-2 log:2', 'node-3 log:2'])
  assert.deepEqual(gaps, [])
})

test('a dead node does not hold up the others, and is brought up to date when it is back', async () => {
  await using h = await start()
  const live = names.slice(1)
  const pass = async (alive: string[], seconds: number) => {
    for (let i = 0; i < seconds / 10; i++) {
      await h.beat(...alive)
      await h.clock.advance(10_000)
    }
  }
  // The agent of the dead node ends no pods either.
  const dead = (await pods(h)).find(({ spec }) => spec.nodeName === 'node-1')!
  h.client.put(Pod, { ...dead, metadata: { ...dead.metadata, finalizers: ['example.com/dead'] } })
  await pass(live, 120)
  await change(h, { template: template('log:2') })
  await pass(live, 60)
  assert.deepEqual(await shown(h), ['node-1 log:1', 'node-2 log:2', 'node-3 log:2'])
  h.client.drop(Pod, dead.metadata)
  h.client.put(Node, { ...(await h.client.get(Node, { name: 'node-1' })), status: (await h.client.get(Node, { name: 'node-2' })).status })
  await pass(names, 60)
  assert.deepEqual(await shown(h), ['node-1 log:2', 'node-2 log:2', 'node-3 log:2'])
})

test('a bad template stops at its first node; the next replaces it there before it touches others', async () => {
  await using h = await start()
  h.sick = (pod) => pod.spec.containers[0]?.image === 'log:bad'
  await change(h, { template: template('log:bad') })
  for (let i = 0; i < 3; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:bad', 'node-2 log:1', 'node-3 log:1'])
  const deleted: string[] = []
  h.client.intercept(async ({ kind, verb, ref: of }) => {
    if (kind.kind === 'Pod' && verb === 'delete') deleted.push((await h.client.get(Pod, of!)).spec.nodeName ?? '')
  })
  await change(h, { template: template('log:3') })
  for (let i = 0; i < 3; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:3', 'node-2 log:3', 'node-3 log:3'])
  assert.equal(deleted[0], 'node-1')
})

test('an update that makes its node not ready stops there', async () => {
  await using h = await start()
  h.sick = (pod) => pod.spec.containers[0]?.image === 'log:bad'
  // The node's agent says that its network is gone as soon as the bad pod is there.
  h.client.intercept(async ({ kind, verb, body }) => {
    const { spec } = (body ?? {}) as Partial<Pod>
    if (kind.kind !== 'Pod' || verb !== 'update' || spec?.containers[0]?.image !== 'log:bad') return
    const node = await h.client.get(Node, { name: spec.nodeName! })
    if (node.status.conditions?.[0]?.status === 'False') return
    h.client.put(Node, { ...node, status: { ...node.status, conditions: [{ type: 'Ready', status: 'False' }] } })
  })
  await change(h, { template: template('log:bad') })
  for (let i = 0; i < 3; i++) await settled(h)
  assert.deepEqual(await shown(h), ['node-1 log:bad', 'node-2 log:1', 'node-3 log:1'])
})

test('a pod that fails again and again is made again more and more rarely', async () => {
  await using h = await start()
  let made = 0
  h.client.intercept(({ kind, verb, subresource }) => {
    if (kind.kind === 'Pod' && verb === 'create' && !subresource) made += 1
  })
  for (let i = 0; i < 300; i++) {
    await h.beat(...names)
    for (const pod of await pods(h))
      if (pod.spec.nodeName === 'node-1' && pod.status.phase === 'Running')
        h.client.put(Pod, { ...pod, status: { ...pod.status, phase: 'Failed' } })
    await h.clock.advance(1000)
  }
  // At once, then after 1, 2, 4 … 128 seconds.
  assert.ok(made >= 8 && made <= 10, `${made} pods in five minutes`)
})

test('at rest nothing is written', async () => {
  await using h = await start()
  h.sick = (pod) => pod.spec.containers[0]?.image === 'log:bad'
  await change(h, { template: template('log:bad') })
  for (let i = 0; i < 3; i++) await settled(h)
  const before = h.client.writes.length
  for (let i = 0; i < 30; i++) {
    await h.beat(...names)
    await h.clock.advance(10_000)
  }
  assert.deepEqual(h.client.writes.slice(before), [])
})
