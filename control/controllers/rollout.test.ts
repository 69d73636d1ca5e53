// Deployments and their pods on a fake server, as a user meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatusError } from '#api/errors.ts'
import { ControllerRevision, DaemonSet, Deployment, EndpointSlice, Endpoints, Pod, Service, StatefulSet } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { type Harness, harness } from './harness.fake.ts'
import { condition, deployment, images, namespace, pods, sets, web } from './web.fake.ts'

test('a deployment becomes pods on all nodes, and says so', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.addNode('node-2')
  await h.client.create(Deployment, web(4))
  await h.settle()
  const perNode = Map.groupBy(await pods(h), ({ spec }) => spec.nodeName)
  assert.deepEqual([...perNode].map(([name, list]) => `${name} ${list.length}`).sort(), ['node-1 2', 'node-2 2'])
  const { status } = await deployment(h)
  assert.deepEqual(
    [
      status.replicas,
      status.updatedReplicas,
      status.readyReplicas,
      status.availableReplicas,
      status.unavailableReplicas,
      status.observedGeneration,
    ],
    [4, 4, 4, 4, 0, 1],
  )
  assert.equal(condition(await deployment(h), 'Available')?.status, 'True')
  assert.equal(condition(await deployment(h), 'Progressing')?.reason, 'NewReplicaSetAvailable')
  assert.equal((await deployment(h)).metadata.annotations?.['deployment.kubernetes.io/revision'], '1')
  assert.deepEqual(h.complaints, [])
})

test('at rest, nothing is written', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Service, {
    metadata: { name: 'web', namespace },
    spec: { selector: { app: 'web' }, clusterIP: '10.43.0.7', ports: [{ port: 80 }] },
  })
  await h.client.create(Deployment, web())
  await h.settle()
  const before = h.client.writes.length
  for (let i = 0; i < 30; i++) {
    await h.beat('node-1')
    await h.clock.advance(10_000)
  }
  assert.deepEqual(h.client.writes.slice(before), [])
})

test('a new template rolls out within its limits, and undo brings the old one back as a new revision', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(4))
  await h.settle()
  let least = 4
  let most = 4
  h.client.intercept(async ({ kind, verb }) => {
    if (kind.kind !== 'Pod' || verb === 'list' || verb === 'watch' || verb === 'get') return
    h.client.intercept(undefined)
    const all = await pods(h)
    least = Math.min(least, all.filter((pod) => !pod.metadata.deletionTimestamp && pod.status.phase === 'Running').length)
    most = Math.max(most, all.filter((pod) => !pod.metadata.deletionTimestamp).length)
    h.client.intercept(undefined)
  })
  const first = await deployment(h)
  await h.client.update(Deployment, { ...first, spec: { ...first.spec, template: web(4, 'web:2').spec!.template as never } })
  await h.settle()
  assert.deepEqual(await images(h), ['web:2', 'web:2', 'web:2', 'web:2'])
  assert.deepEqual(await sets(h), ['1: 0/0', '2: 4/4'])
  assert.ok(least >= 3 && most <= 5, `${least}..${most} pods`)

  // What kubectl rollout undo does: puts the old set's template back.
  const second = await deployment(h)
  await h.client.update(Deployment, { ...second, spec: { ...second.spec, template: first.spec.template } })
  await h.settle()
  assert.deepEqual(await images(h), ['web:1', 'web:1', 'web:1', 'web:1'])
  assert.deepEqual(await sets(h), ['2: 0/0', '3: 4/4'])
  assert.equal((await deployment(h)).metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  assert.deepEqual(h.complaints, [])
})

test('a rollout that does not start stops at its limits, then exceeds its deadline', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(4, 'web:1', { progressDeadlineSeconds: 60 }))
  await h.settle()
  h.starting = false
  const first = await deployment(h)
  await h.client.update(Deployment, { ...first, spec: { ...first.spec, template: web(4, 'web:broken').spec!.template as never } })
  await h.settle()
  assert.deepEqual(await images(h), ['web:1', 'web:1', 'web:1', 'web:broken', 'web:broken'])
  assert.equal(condition(await deployment(h), 'Progressing')?.reason, 'ReplicaSetUpdated')
  await h.beat('node-1')
  await h.clock.advance(35_000)
  await h.beat('node-1')
  await h.clock.advance(35_000)
  assert.equal(condition(await deployment(h), 'Progressing')?.reason, 'ProgressDeadlineExceeded')
  assert.equal(condition(await deployment(h), 'Available')?.status, 'True')
})

test('recreate has no two versions at a time', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(2, 'web:1', { strategy: { type: 'Recreate' } }))
  await h.settle()
  const seen = new Set<string>()
  h.client.intercept(({ kind, verb, body }) => {
    if (kind.kind !== 'Pod' || verb !== 'create') return
    seen.add((body as { spec: { containers: { image: string }[] } }).spec.containers[0]!.image)
  })
  const first = await deployment(h)
  await h.client.update(Deployment, { ...first, spec: { ...first.spec, template: web(2, 'web:2').spec!.template as never } })
  await h.settle()
  assert.deepEqual([...seen], ['web:2'])
  assert.deepEqual(await images(h), ['web:2', 'web:2'])
})

test('paused, a deployment scales but does not roll out', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(2))
  await h.settle()
  const first = await deployment(h)
  await h.client.update(Deployment, {
    ...first,
    spec: { ...first.spec, paused: true, replicas: 3, template: web(2, 'web:2').spec!.template as never },
  })
  await h.settle()
  assert.deepEqual(await images(h), ['web:1', 'web:1', 'web:1'])
  assert.equal(condition(await deployment(h), 'Progressing')?.reason, 'DeploymentPaused')
  const paused = await deployment(h)
  await h.client.update(Deployment, { ...paused, spec: { ...paused.spec, paused: false } })
  await h.settle()
  assert.deepEqual(await images(h), ['web:2', 'web:2', 'web:2'])
})

test('a deleted pod leaves the ready endpoints at once and is replaced', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Service, {
    metadata: { name: 'web', namespace },
    spec: { selector: { app: 'web' }, clusterIP: '10.43.0.7', ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  })
  await h.client.create(Deployment, web(3))
  await h.settle()
  const slice = async () => (await h.client.list(EndpointSlice, { namespace })).items
  assert.deepEqual(
    (await slice()).map(({ ports, endpoints }) => [ports[0]?.port, endpoints.length]),
    [[8080, 3]],
  )

  const [victim] = await pods(h)
  const held = h.client.put(Pod, { ...victim!, metadata: { ...victim!.metadata, finalizers: ['example.com/slow'] } })
  await h.client.delete(Pod, held.metadata)
  await h.settle()
  const [only] = await slice()
  const states = only!.endpoints.map(({ targetRef, conditions }) => [
    targetRef?.name === held.metadata.name,
    conditions.ready,
    conditions.serving,
    conditions.terminating,
  ])
  assert.deepEqual(
    states.filter(([leaving]) => leaving),
    [[true, false, true, true]],
  )
  assert.equal(states.filter(([, ready]) => ready).length, 3)
  const old = await h.client.get(Endpoints, { namespace, name: 'web' })
  assert.equal(old.subsets?.[0]?.addresses?.length, 3)
})

test('a stale cache never makes one pod too many', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  // The watch is cut after every single write: only answers to writes tell what was done.
  h.client.intercept(({ verb }) => {
    if (verb === 'create') h.client.disconnect()
  })
  await h.client.create(Deployment, web(20))
  for (let i = 0; i < 40; i++) await h.clock.advance(500)
  assert.equal((await pods(h)).length, 20)
  assert.equal(h.client.writes.filter((line) => line.startsWith('create Pod default/web')).length, 20)
})

test('orphans are adopted, strangers left, and what no longer matches is let go and replaced', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  const made = await h.client.create(Deployment, web(2))
  await h.settle()
  const [pod] = await pods(h)
  await h.client.patch(Pod, pod!.metadata, 'merge', { metadata: { labels: { app: 'other' } } })
  await h.settle()
  assert.equal((await pods(h)).length, 2)
  assert.equal((await h.client.get(Pod, pod!.metadata)).metadata.ownerReferences?.length ?? 0, 0)
  // Back under the label, there is one too many.
  await h.client.patch(Pod, pod!.metadata, 'merge', { metadata: { labels: { app: 'web' } } })
  await h.settle()
  assert.equal((await pods(h)).length, 2)
  assert.ok((await pods(h)).every(({ metadata }) => metadata.ownerReferences?.[0]?.kind === 'ReplicaSet'))
  assert.ok(made)
})

test('pods that the server refuses are reported, not hammered', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  let refused = 0
  h.client.intercept(({ kind, verb, subresource }) => {
    if (kind.kind !== 'Pod' || verb !== 'create' || subresource) return
    refused += 1
    throw new StatusError('Forbidden', `pods "web-${refused}" is forbidden: quota`)
  })
  await h.client.create(Deployment, web(50))
  for (let i = 0; i < 60; i++) await h.clock.advance(1000)
  const tries = h.client.writes.filter((line) => line.startsWith('create Pod ')).length
  assert.equal(tries, 0)
  assert.ok(refused < 40, `asked ${refused} times in a minute`)
  assert.equal(condition(await deployment(h), 'ReplicaFailure')?.reason, 'FailedCreate')
  h.client.intercept(undefined)
  for (let i = 0; i < 60; i++) await h.clock.advance(1000)
  assert.equal((await pods(h)).length, 50)
  assert.equal(condition(await deployment(h), 'ReplicaFailure'), undefined)
})

test('a replica set that the server refuses is told of once, and made when it may be', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  let refused = 0
  h.client.intercept(({ kind, verb }) => {
    if (kind.kind !== 'ReplicaSet' || verb !== 'create') return
    refused += 1
    throw new StatusError('Forbidden', `exceeded quota, for the ${refused}. time`)
  })
  await h.client.create(Deployment, web(1))
  await minute(h)
  const told = condition(await deployment(h), 'Progressing')
  assert.deepEqual([told?.status, told?.reason], ['False', 'ReplicaSetCreateError'])
  assert.match(told?.message ?? '', /^Failed to create new replica set "web-\w+": exceeded quota, for the 1\. time$/)
  assert.equal(h.client.writes.filter((line) => line.startsWith('update Deployment/status')).length, 1)
  h.client.intercept(undefined)
  await minute(h)
  assert.equal((await pods(h)).length, 1)
  assert.equal(condition(await deployment(h), 'Progressing')?.reason, 'NewReplicaSetAvailable')
})

test('pods on their way out are counted in the status, apart', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(Deployment, web(2))
  await h.settle()
  const [victim] = await pods(h)
  const held = h.client.put(Pod, { ...victim!, metadata: { ...victim!.metadata, finalizers: ['example.com/slow'] } })
  await h.client.delete(Pod, held.metadata)
  await h.settle()
  const { status } = await deployment(h)
  assert.deepEqual([status.replicas, status.terminatingReplicas, status.unavailableReplicas], [2, 1, 0])
})

test('in a namespace that goes away nobody tries again', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  let asked = 0
  h.client.intercept(({ verb, kind }) => {
    if (verb !== 'create' || kind.kind === 'Event') return
    asked += 1
    const causes = [{ reason: 'NamespaceTerminating' as const, message: 'it goes' }]
    throw new StatusError('Forbidden', 'it is being terminated', { causes })
  })
  const spec = {
    selector: { matchLabels: { app: 'web' } },
    template: web().spec!.template,
    updateStrategy: { type: 'RollingUpdate' as const },
  }
  for (const kind of [Deployment, StatefulSet, DaemonSet]) {
    const object = { ...web(1), metadata: { name: 'web', namespace, uid: kind.kind }, ...(kind !== Deployment && { spec }) }
    h.client.put<KubeObject>(kind, object)
  }
  await minute(h)
  // Each by each, and again only for what it wrote itself.
  assert.ok(asked <= 6, `asked ${asked} times`)
  assert.deepEqual(h.complaints, [])
})

test('deleted in the foreground, each goes when all it made is gone, and makes nothing meanwhile', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  const template = web().spec!.template!
  const spec = { replicas: 2, selector: { matchLabels: { app: 'web' } }, template, updateStrategy: { type: 'RollingUpdate' as const } }
  const kinds = [Deployment, StatefulSet, DaemonSet]
  for (const kind of kinds) {
    await h.client.create<KubeObject>(kind, { ...web(2), metadata: { name: 'web', namespace }, ...(kind !== Deployment && { spec }) })
    for (let i = 0; i < 3; i++) await h.settle()
    const [pod] = await pods(h)
    const held = h.client.put(Pod, { ...pod!, metadata: { ...pod!.metadata, finalizers: ['example.com/slow'] } })
    const before = h.client.writes.length
    await h.client.delete(kind, { name: 'web', namespace }, { propagationPolicy: 'Foreground' })
    await minute(h)
    assert.ok(await h.client.find<KubeObject>(kind, { name: 'web', namespace }), `${kind.kind} waits for its pod`)
    const made = h.client.writes.slice(before).filter((line) => /^create (?!Event|Lease)/.test(line))
    assert.deepEqual(made, [], kind.kind)
    await h.client.patch(Pod, held.metadata, 'merge', { metadata: { finalizers: null } })
    await minute(h)
    assert.equal(await h.client.find<KubeObject>(kind, { name: 'web', namespace }), undefined, `${kind.kind} is gone`)
    assert.deepEqual((await h.client.list(ControllerRevision, { namespace })).items, [])
  }
})

/** In which the node lives. */
async function minute(h: Harness): Promise<void> {
  for (let i = 0; i < 60; i++) {
    if (i % 20 === 0) await h.beat('node-1')
    await h.clock.advance(1000)
  }
}
