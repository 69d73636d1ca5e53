// ReplicaSets and ReplicationControllers by themselves, on a fake server.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Event, Pod, ReplicaSet, ReplicationController } from '#api/kinds/index.ts'
import { harness } from '../harness.fake.ts'

const namespace = 'default'
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'web:1' }] } }

test('a replication controller keeps its pods, takes over orphans, and says how many there are', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  h.client.put(Pod, { metadata: { name: 'found', namespace, labels: { app: 'web' } }, spec: template.spec })
  await h.client.create(ReplicationController, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 3, selector: { app: 'web' }, template },
  })
  await h.settle()
  const pods = async () => (await h.client.list(Pod, { namespace })).items
  assert.equal((await pods()).length, 3)
  for (const { metadata } of await pods()) {
    const [owner] = metadata.ownerReferences ?? []
    assert.deepEqual([owner?.apiVersion, owner?.kind, owner?.controller], ['v1', 'ReplicationController', true])
  }
  const controller = await h.client.get(ReplicationController, { namespace, name: 'web' })
  assert.deepEqual(controller.status, {
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    observedGeneration: 1,
  })
  // Events of one moment about one object have one name here.
  await h.clock.advance(1000)
  await h.client.update(ReplicationController, { ...controller, spec: { ...controller.spec, replicas: 1 } })
  await h.settle()
  assert.equal((await pods()).length, 1)
  await h.settle()
  const events = (await h.client.list(Event, { namespace })).items.filter(
    ({ involvedObject }) => involvedObject.kind === 'ReplicationController',
  )
  assert.deepEqual([...new Set(events.map(({ source, reason }) => `${source?.component} ${reason}`))].sort(), [
    'replication-controller SuccessfulCreate',
    'replication-controller SuccessfulDelete',
  ])
  assert.deepEqual(h.complaints, [])
})

test('pods on their way out are counted apart, by replica sets', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  const made = await h.client.create(ReplicaSet, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template },
  })
  await h.settle()
  const [victim] = (await h.client.list(Pod, { namespace })).items
  h.client.put(Pod, { ...victim!, metadata: { ...victim!.metadata, finalizers: ['example.com/slow'] } })
  await h.client.delete(Pod, victim!.metadata)
  await h.settle()
  const { status } = await h.client.get(ReplicaSet, made.metadata)
  assert.deepEqual([status.replicas, status.readyReplicas, status.terminatingReplicas], [2, 2, 1])
})

test('seconds of readiness that are asked for later count from when the pods became ready', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  const made = await h.client.create(ReplicaSet, {
    metadata: { name: 'web', namespace },
    spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template },
  })
  await h.settle()
  await h.clock.advance(30_000)
  await h.client.patch(ReplicaSet, made.metadata, 'merge', { spec: { minReadySeconds: 20 } })
  await h.settle()
  assert.equal((await h.client.get(ReplicaSet, made.metadata)).status.availableReplicas, 2)
})
