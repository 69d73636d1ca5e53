// A set of many pods looks at all of them once for what happens to them in a moment.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DaemonSet, Pod, ReplicaSet } from '#api/kinds/index.ts'
import { harness } from '../harness.fake.ts'

const namespace = 'default'
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'web:1' }] } }

test('changes of the pods of a large set are looked at together', async () => {
  await using h = await harness()
  const counts: Record<string, number> = { few: 10, many: 200 }
  for (const [name, replicas] of Object.entries(counts)) {
    const labels = { app: name }
    await h.client.create(ReplicaSet, {
      metadata: { name, namespace },
      spec: { replicas, selector: { matchLabels: labels }, template: { ...template, metadata: { labels } } },
    })
    await h.settle()
  }
  await h.clock.advance(1000)
  const version = async (name: string) => (await h.client.get(ReplicaSet, { namespace, name })).metadata.resourceVersion
  for (const name of Object.keys(counts)) {
    const before = await version(name)
    const { items } = await h.client.list(Pod, { namespace, labelSelector: `app=${name}` })
    const ready = { type: 'Ready' as const, status: 'True' as const }
    for (const pod of items.slice(0, 5)) h.client.put(Pod, { ...pod, status: { ...pod.status, phase: 'Running', conditions: [ready] } })
    await h.settle()
    const ofFew = name === 'few'
    assert.equal((await version(name)) !== before, ofFew, name)
    await h.clock.advance(100)
    const { status } = await h.client.get(ReplicaSet, { namespace, name })
    assert.deepEqual([status.replicas, status.readyReplicas], [counts[name], 5])
  }
})

test('so are those of a daemon set of many nodes', async () => {
  await using h = await harness()
  for (let i = 0; i < 110; i += 1) await h.addNode(`node-${i}`)
  const set = { metadata: { name: 'eye', namespace }, spec: { selector: { matchLabels: { app: 'web' } }, template } }
  await h.client.create(DaemonSet, set)
  for (let i = 0; i < 5; i += 1) await h.clock.advance(1000)
  const now = () => h.client.get(DaemonSet, { namespace, name: 'eye' })
  const before = await now()
  assert.equal(before.status.desiredNumberScheduled, 110)
  const { items } = await h.client.list(Pod, { namespace })
  const ready = { type: 'Ready' as const, status: 'False' as const }
  for (const pod of items.slice(0, 5)) h.client.put(Pod, { ...pod, status: { ...pod.status, phase: 'Running', conditions: [ready] } })
  await h.settle()
  assert.equal((await now()).metadata.resourceVersion, before.metadata.resourceVersion)
  await h.clock.advance(100)
  assert.equal((await now()).status.numberReady, before.status.numberReady - 5)
})
