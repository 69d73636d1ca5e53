// Ownership, namespaces and nodes on a fake server, as a user meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigMap, Deployment, Namespace, Node, Pod, ServiceAccount } from '#api/kinds/index.ts'
import { harness } from './harness.fake.ts'
import { namespace, pods, sets, web } from './web.fake.ts'

test('deleting a deployment takes its sets and pods along; orphaning leaves them', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(2))
  await h.settle()
  await h.client.delete(Deployment, { namespace, name: 'web' }, { propagationPolicy: 'Background' })
  await h.settle()
  assert.deepEqual([await sets(h), (await pods(h)).length], [[], 0])

  await h.client.create(Deployment, web(2))
  await h.settle()
  await h.client.delete(Deployment, { namespace, name: 'web' }, { propagationPolicy: 'Orphan' })
  await h.settle()
  assert.equal(await h.client.find(Deployment, { namespace, name: 'web' }), undefined)
  assert.deepEqual([(await sets(h)).length, (await pods(h)).length], [1, 2])
})

test('foreground deletion ends with the owner', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(2))
  await h.settle()
  const [pod] = await pods(h)
  h.client.put(Pod, { ...pod!, metadata: { ...pod!.metadata, finalizers: ['example.com/slow'] } })
  await h.client.delete(Deployment, { namespace, name: 'web' }, { propagationPolicy: 'Foreground' })
  await h.settle()
  assert.ok(await h.client.find(Deployment, { namespace, name: 'web' }))
  const slow = await h.client.get(Pod, pod!.metadata)
  await h.client.update(Pod, { ...slow, metadata: { ...slow.metadata, finalizers: [] } })
  await h.clock.advance(1000)
  assert.equal(await h.client.find(Deployment, { namespace, name: 'web' }), undefined)
  assert.deepEqual([await sets(h), (await pods(h)).length], [[], 0])
})

test('a dependent of an owner that never was, or was another, is collected', async () => {
  await using h = await harness()
  const owner = await h.client.create(ConfigMap, { metadata: { name: 'owner', namespace } })
  const ref = (uid: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid })
  await h.client.create(ConfigMap, { metadata: { name: 'of-owner', namespace, ownerReferences: [ref(owner.metadata.uid)] } })
  await h.client.create(ConfigMap, { metadata: { name: 'of-another', namespace, ownerReferences: [ref('another')] } })
  await h.client.create(ConfigMap, { metadata: { name: 'of-both', namespace, ownerReferences: [ref('another'), ref(owner.metadata.uid)] } })
  await h.settle()
  const names = (await h.client.list(ConfigMap, { namespace })).items.map(
    ({ metadata }) => `${metadata.name} ${metadata.ownerReferences?.length ?? 0}`,
  )
  assert.deepEqual(
    names.filter((name) => name.startsWith('of')),
    ['of-both 1', 'of-owner 1'],
  )
})

test('a namespace gets its defaults, and ends with all that is in it', async () => {
  await using h = await harness()
  await h.client.create(Namespace, { metadata: { name: 'shop' } })
  await h.settle()
  assert.ok(await h.client.find(ServiceAccount, { namespace: 'shop', name: 'default' }))
  assert.equal((await h.client.get(ConfigMap, { namespace: 'shop', name: 'kube-root-ca.crt' })).data?.['ca.crt'], 'CA')
  const held = await h.client.create(ConfigMap, { metadata: { name: 'held', namespace: 'shop', finalizers: ['example.com/hold'] } })
  await h.client.delete(Namespace, { name: 'shop' })
  await h.clock.advance(1000)
  const ending = await h.client.get(Namespace, { name: 'shop' })
  assert.equal(ending.status.phase, 'Terminating')
  const remaining = ending.status.conditions?.find(({ type }) => type === 'NamespaceFinalizersRemaining')
  assert.equal(remaining?.message, 'Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances')
  const now = await h.client.get(ConfigMap, held.metadata)
  await h.client.update(ConfigMap, { ...now, metadata: { ...now.metadata, finalizers: [] } })
  await h.clock.advance(1000)
  assert.equal(await h.client.find(Namespace, { name: 'shop' }), undefined)
  assert.deepEqual((await h.client.list(ConfigMap, { namespace: 'shop' })).items, [])
})

test('nodes get ranges of their own, and a range comes back', async () => {
  await using h = await harness()
  for (const name of ['node-1', 'node-2', 'node-3']) await h.addNode(name)
  const cidrs = async () =>
    (await h.client.list(Node)).items.map(({ metadata, spec }) => `${metadata.name} ${spec.podCIDR} ${spec.podCIDRs?.join()}`)
  assert.deepEqual(await cidrs(), [
    'node-1 10.42.0.0/24 10.42.0.0/24,fd42::/64',
    'node-2 10.42.1.0/24 10.42.1.0/24,fd42:0:0:1::/64',
    'node-3 10.42.2.0/24 10.42.2.0/24,fd42:0:0:2::/64',
  ])
  await h.client.delete(Node, { name: 'node-2' })
  await h.settle()
  await h.addNode('node-4')
  assert.deepEqual(await cidrs(), [
    'node-1 10.42.0.0/24 10.42.0.0/24,fd42::/64',
    'node-3 10.42.2.0/24 10.42.2.0/24,fd42:0:0:2::/64',
    'node-4 10.42.1.0/24 10.42.1.0/24,fd42:0:0:1::/64',
  ])
})

test('a silent node loses its traffic after 40 s and its pods after what they tolerate', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.addNode('node-2')
  const template = web(2).spec!.template as Deployment['spec']['template']
  const tolerations = ['not-ready', 'unreachable'].map((key) => ({
    key: `node.kubernetes.io/${key}`,
    operator: 'Exists' as const,
    effect: 'NoExecute' as const,
    tolerationSeconds: 300,
  }))
  await h.client.create(Deployment, web(2, 'web:1', { template: { ...template, spec: { ...template.spec, tolerations } } }))
  await h.settle()
  const ready = async () =>
    (await pods(h))
      .filter(({ status }) => status.conditions?.find(({ type }) => type === 'Ready')?.status === 'True')
      .map(({ spec }) => spec.nodeName)
  assert.equal((await ready()).length, 2)
  const alive = async (ms: number) => {
    for (let at = 0; at < ms; at += 10_000) {
      await h.beat('node-1')
      await h.clock.advance(10_000)
    }
  }
  await alive(30_000)
  assert.equal((await ready()).length, 2)
  await alive(20_000)
  assert.deepEqual(await ready(), ['node-1'])
  const lost = await h.client.get(Node, { name: 'node-2' })
  assert.deepEqual(
    lost.spec.taints?.map(({ key, effect }) => `${key}:${effect}`),
    ['node.kubernetes.io/unreachable:NoSchedule', 'node.kubernetes.io/unreachable:NoExecute'],
  )
  assert.equal((await pods(h)).length, 2)
  const told: unknown[] = []
  h.client.intercept(async ({ kind, verb, ref }) => {
    if (kind.kind !== 'Pod' || verb !== 'delete' || !ref) return
    const { spec, status } = await h.client.get(Pod, ref)
    told.push([spec.nodeName, status.conditions?.find(({ type }) => type === 'DisruptionTarget')?.reason])
  })
  await alive(300_000)
  assert.deepEqual(told[0], ['node-2', 'DeletionByTaintManager'])
  assert.deepEqual(
    (await pods(h)).map(({ spec }) => spec.nodeName),
    ['node-1', 'node-1'],
  )
})

test('a lost node that only renews its lease keeps its taints, and the time of its pods runs on, however late others are heard of', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.addNode('node-2')
  const node = async () => await h.client.get(Node, { name: 'node-2' })
  for (let at = 0; at < 60_000; at += 10_000) {
    await h.beat('node-1')
    await h.clock.advance(10_000)
  }
  const lost = await node()
  assert.equal(lost.spec.taints?.filter(({ effect }) => effect === 'NoExecute').length, 1)
  for (let at = 0; at < 120_000; at += 5_000) {
    if (at % 30_000 === 0) await h.beat('node-1')
    if (at % 10_000 === 0) await h.beat('node-2')
    await h.clock.advance(5_000)
    assert.equal((await node()).metadata.resourceVersion, lost.metadata.resourceVersion, `after ${at / 1000} s`)
  }
  // Nobody is heard of any more: whoever is silent, the fault may be ours.
  await h.clock.advance(60_000)
  assert.ok((await node()).spec.taints?.every(({ effect }) => effect === 'NoSchedule'))
})

test('when no node is heard of, none is emptied; nor after we were stopped, nor when the clock jumps', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.addNode('node-2')
  await h.client.create(Deployment, web(2))
  await h.settle()
  const uids = async () => (await pods(h)).map(({ metadata }) => metadata.uid)
  const before = await uids()
  h.clock.jump(86_400_000)
  await h.beat('node-1', 'node-2')
  await h.clock.advance(20_000)
  assert.ok((await h.client.list(Node)).items.every(({ spec }) => !spec.taints?.length))
  h.clock.stall(300_000)
  await h.clock.advance(10_000)
  assert.ok((await h.client.list(Node)).items.every(({ spec }) => !spec.taints?.length))
  await h.clock.advance(600_000)
  const all = (await h.client.list(Node)).items
  assert.ok(all.every(({ spec }) => spec.taints?.every(({ effect }) => effect === 'NoSchedule')))
  assert.deepEqual(await uids(), before)
})

test('pods of a node that is deleted are cleared away', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(1))
  await h.settle()
  await h.client.delete(Node, { name: 'node-1' })
  await h.addNode('node-2')
  await h.beat('node-2')
  await h.clock.advance(39_000)
  assert.deepEqual(
    (await pods(h)).map(({ spec }) => spec.nodeName),
    ['node-1'],
  )
  await h.beat('node-2')
  await h.clock.advance(2_000)
  assert.deepEqual(
    (await pods(h)).map(({ spec }) => spec.nodeName),
    ['node-2'],
  )
})
