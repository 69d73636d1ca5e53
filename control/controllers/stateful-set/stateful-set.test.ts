// StatefulSets and their pods on a fake server, as a user meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { New } from '#api/client/client.ts'
import { StatusError } from '#api/errors.ts'
import { ControllerRevision, Event, PersistentVolumeClaim, Pod, StatefulSet } from '#api/kinds/index.ts'
import { type Harness, harness } from '../harness.fake.ts'

const namespace = 'default'
const ref = { namespace, name: 'web' }
const template = (image: string) => ({ metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } })
const web = (replicas = 3, more: Partial<StatefulSet['spec']> = {}): New<StatefulSet> => ({
  metadata: { name: 'web', namespace },
  spec: {
    replicas,
    serviceName: 'web',
    selector: { matchLabels: { app: 'web' } },
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
    template: template('web:1'),
    ...more,
  },
})
const data = {
  metadata: { name: 'data', labels: { tier: 'disk' } },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
}
const withClaims = (retention?: StatefulSet['spec']['persistentVolumeClaimRetentionPolicy']) =>
  ({ volumeClaimTemplates: [data], ...(retention && { persistentVolumeClaimRetentionPolicy: retention }) }) as unknown as Partial<
    StatefulSet['spec']
  >

const pods = async ({ client }: Harness) => (await client.list(Pod, { namespace })).items
const shown = async (h: Harness) => (await pods(h)).map(({ metadata, spec }) => `${metadata.name} ${spec.containers[0]?.image}`)
const change = (h: Harness, spec: object) => h.client.patch(StatefulSet, ref, 'merge', { spec })
const statusOf = async ({ client }: Harness) => (await client.get(StatefulSet, ref)).status
const revisions = async ({ client }: Harness) =>
  (await client.list(ControllerRevision, { namespace })).items.sort((a, b) => a.revision - b.revision)
const claims = async ({ client }: Harness) =>
  (await client.list(PersistentVolumeClaim, { namespace })).items.map(({ metadata }) =>
    `${metadata.name} ${metadata.ownerReferences?.map(({ kind, name }) => `${kind}/${name}`).join(',') ?? ''}`.trim(),
  )
/** Pods as they are made and deleted from now on. */
function log(h: Harness): string[] {
  const lines: string[] = []
  h.client.intercept(({ kind, verb, subresource, ref: of }) => {
    if (kind.kind === 'Pod' && !subresource && (verb === 'create' || (verb === 'delete' && lines.at(-1) !== `delete ${of?.name}`)))
      lines.push(`${verb} ${of?.name}`)
  })
  return lines
}

/** Seconds, in which the node lives. */
async function pass(h: Harness, seconds: number): Promise<void> {
  for (let i = 0; i < seconds / 10; i++) {
    await h.beat('node-1')
    await h.clock.advance(10_000)
  }
}

async function start(spec: New<StatefulSet>): Promise<Harness> {
  const h = await harness()
  await h.addNode('node-1')
  await h.client.create(StatefulSet, spec)
  await h.settle()
  await h.settle()
  return h
}

test('pods come in order, each with its name, host name, labels and revision, and the status says so', async () => {
  await using h = await start(web())
  assert.deepEqual(await shown(h), ['web-0 web:1', 'web-1 web:1', 'web-2 web:1'])
  const [revision] = await revisions(h)
  const [, second] = await pods(h)
  assert.deepEqual(second?.metadata.labels, {
    app: 'web',
    'apps.kubernetes.io/pod-index': '1',
    'statefulset.kubernetes.io/pod-name': 'web-1',
    'controller-revision-hash': revision?.metadata.name,
  })
  assert.deepEqual([second?.spec.hostname, second?.spec.subdomain], ['web-1', 'web'])
  assert.deepEqual(await statusOf(h), {
    observedGeneration: 1,
    replicas: 3,
    readyReplicas: 3,
    availableReplicas: 3,
    currentReplicas: 3,
    updatedReplicas: 3,
    currentRevision: revision?.metadata.name,
    updateRevision: revision?.metadata.name,
    collisionCount: 0,
  })
  const messages = (await h.client.list(Event, { namespace })).items.map(({ reason, message }) => `${reason} ${message}`)
  assert.ok(messages.includes('SuccessfulCreate create Pod web-0 in StatefulSet web successful'))
  assert.deepEqual(h.complaints, [])
})

test('a new template goes down from the highest; undo is a new number for the old revision', async () => {
  await using h = await start(web())
  const lines = log(h)
  await change(h, { template: template('web:2') })
  for (let i = 0; i < 6; i++) await h.settle()
  assert.deepEqual(lines, ['delete web-2', 'create web-2', 'delete web-1', 'create web-1', 'delete web-0', 'create web-0'])
  assert.deepEqual(await shown(h), ['web-0 web:2', 'web-1 web:2', 'web-2 web:2'])
  const before = await revisions(h)
  assert.deepEqual(
    before.map(({ revision }) => revision),
    [1, 2],
  )
  assert.equal((await statusOf(h)).currentRevision, before[1]?.metadata.name)
  // What `kubectl rollout undo` sends.
  await h.client.patch(StatefulSet, ref, 'strategic', before[0]?.data)
  for (let i = 0; i < 6; i++) await h.settle()
  assert.deepEqual(await shown(h), ['web-0 web:1', 'web-1 web:1', 'web-2 web:1'])
  const after = await revisions(h)
  assert.deepEqual(
    after.map(({ metadata, revision }) => [metadata.name, revision]),
    [
      [before[1]?.metadata.name, 2],
      [before[0]?.metadata.name, 3],
    ],
  )
})

test('a first template that never worked is mended by the next, and scaled away while it crashes', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  h.sick = (pod) => pod.spec.containers[0]?.image === 'web:bad'
  await h.client.create(StatefulSet, web(3, { template: template('web:bad') as never }))
  await h.settle()
  assert.deepEqual(await shown(h), ['web-0 web:bad'])
  await change(h, { template: template('web:2') })
  for (let i = 0; i < 4; i++) await h.settle()
  assert.deepEqual(await shown(h), ['web-0 web:2', 'web-1 web:2', 'web-2 web:2'])
  // A bad one in the middle of things stops at the first pod; the next mends it.
  await change(h, { template: template('web:bad') })
  for (let i = 0; i < 4; i++) await h.settle()
  assert.deepEqual(await shown(h), ['web-0 web:2', 'web-1 web:2', 'web-2 web:bad'])
  await change(h, { replicas: 0 })
  for (let i = 0; i < 4; i++) await h.settle()
  assert.deepEqual(await shown(h), [])
})

test('history beyond the limit goes, and never what pods run', async () => {
  await using h = await start(web(1, { revisionHistoryLimit: 1 }))
  for (const image of ['web:2', 'web:3', 'web:4']) {
    await change(h, { template: template(image) })
    for (let i = 0; i < 4; i++) await h.settle()
  }
  assert.deepEqual(
    (await revisions(h)).map(({ revision }) => revision),
    [3, 4],
  )
})

test('a revision of this name that is another’s: counted, and named otherwise', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  await h.client.create(StatefulSet, web(0))
  await h.settle()
  const [own] = await revisions(h)
  await h.client.delete(StatefulSet, ref)
  h.client.put(ControllerRevision, {
    ...own!,
    metadata: {
      name: own!.metadata.name,
      namespace,
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'x', controller: true }],
    },
  })
  await h.client.create(StatefulSet, web(1))
  await h.settle()
  const status = await statusOf(h)
  assert.equal(status.collisionCount, 1)
  assert.notEqual(status.updateRevision, own?.metadata.name)
  assert.equal(status.readyReplicas, 1)
})

test('claims are made before their pods, stay when the set shrinks, and are found again', async () => {
  await using h = await start(web(2, withClaims()))
  assert.deepEqual(await claims(h), ['data-web-0', 'data-web-1'])
  const [claim] = (await h.client.list(PersistentVolumeClaim, { namespace })).items
  assert.deepEqual(claim?.metadata.labels, { tier: 'disk', app: 'web' })
  assert.deepEqual((await pods(h))[1]?.spec.volumes, [{ name: 'data', persistentVolumeClaim: { claimName: 'data-web-1' } }])
  const order = h.client.writes.filter((line) => /^create (Pod|PersistentVolumeClaim) /.test(line))
  assert.deepEqual(order, [
    'create PersistentVolumeClaim default/data-web-0',
    'create Pod default/web-0',
    'create PersistentVolumeClaim default/data-web-1',
    'create Pod default/web-1',
  ])
  await change(h, { replicas: 0 })
  for (let i = 0; i < 3; i++) await h.settle()
  assert.deepEqual([await shown(h), await claims(h)], [[], ['data-web-0', 'data-web-1']])
})

test('claims go with the set, or with a pod that is scaled away, as the policy says', async () => {
  await using h = await start(web(2, withClaims({ whenDeleted: 'Delete', whenScaled: 'Delete' })))
  assert.deepEqual(await claims(h), ['data-web-0 StatefulSet/web', 'data-web-1 StatefulSet/web'])
  await change(h, { replicas: 1 })
  for (let i = 0; i < 3; i++) await h.settle()
  assert.deepEqual([await shown(h), await claims(h)], [['web-0 web:1'], ['data-web-0 StatefulSet/web']])
  await change(h, { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Delete' } })
  await h.settle()
  assert.deepEqual(await claims(h), ['data-web-0'])
})

test('an adopted pod whose claim is missing gets it', async () => {
  await using h = await start(web(1, withClaims()))
  await h.client.delete(StatefulSet, ref, { propagationPolicy: 'Orphan' })
  for (let i = 0; i < 3; i++) await h.settle()
  await h.client.delete(PersistentVolumeClaim, { namespace, name: 'data-web-0' })
  const [before] = await pods(h)
  assert.equal(before?.metadata.ownerReferences?.length ?? 0, 0)
  await h.client.create(StatefulSet, web(1, withClaims()))
  await h.settle()
  assert.deepEqual(await claims(h), ['data-web-0'])
  assert.equal((await pods(h))[0]?.metadata.uid, before?.metadata.uid)
})

test('a claim that is refused is told of, and its pod waits', async () => {
  await using h = await harness()
  await h.addNode('node-1')
  h.client.intercept(({ kind, verb }) => {
    if (kind.kind === 'PersistentVolumeClaim' && verb === 'create') throw new StatusError('Forbidden', 'exceeded quota')
  })
  await h.client.create(StatefulSet, web(1, withClaims()))
  for (let i = 0; i < 20; i++) await h.clock.advance(1000)
  assert.deepEqual(await shown(h), [])
  const [told] = (await h.client.list(Event, { namespace })).items
  assert.equal(told?.message, 'create Claim data-web-0 Pod web-0 in StatefulSet web failed error: exceeded quota')
  h.client.intercept(undefined)
  for (let i = 0; i < 60; i++) await h.clock.advance(1000)
  assert.deepEqual(await shown(h), ['web-0 web:1'])
})

test('minReadySeconds: the next comes when the one before has been ready so long, without anything else happening', async () => {
  await using h = await start(web(2, { minReadySeconds: 30 }))
  assert.deepEqual([await shown(h), (await statusOf(h)).availableReplicas], [['web-0 web:1'], 0])
  await pass(h, 40)
  assert.deepEqual([(await shown(h)).length, (await statusOf(h)).availableReplicas], [2, 1])
  await pass(h, 40)
  assert.equal((await statusOf(h)).availableReplicas, 2)
})

test('a failed pod is made again; pods that are only named alike are left alone', async () => {
  await using h = await start(web(1))
  h.client.put(Pod, { metadata: { name: 'web-x', namespace, labels: { app: 'web' } }, spec: template('x').spec })
  const [pod] = await pods(h)
  h.client.put(Pod, { ...pod!, status: { ...pod!.status, phase: 'Failed' } })
  for (let i = 0; i < 3; i++) await h.settle()
  const all = await pods(h)
  assert.deepEqual(
    all.map(({ metadata }) => metadata.name),
    ['web-0', 'web-x'],
  )
  assert.notEqual(all[0]?.metadata.uid, pod?.metadata.uid)
  assert.equal(all[1]?.metadata.ownerReferences, undefined)
})

test('a pod that fails wherever it is made is made again more and more rarely', async () => {
  await using h = await start(web(1))
  const lines = log(h)
  for (let i = 0; i < 120; i++) {
    if (i % 20 === 0) await h.beat('node-1')
    for (const pod of await pods(h))
      if (pod.status.phase === 'Running') h.client.put(Pod, { ...pod, status: { ...pod.status, phase: 'Failed' } })
    await h.clock.advance(1000)
  }
  const made = lines.filter((line) => line.startsWith('create')).length
  // At once, then after 1, 2, 4 … 64 seconds.
  assert.ok(made >= 6 && made <= 9, `${made} pods in two minutes`)
})

test('at rest, and while a pod cannot be ready, nothing is written', async () => {
  await using h = await start(web(2, withClaims()))
  h.sick = () => true
  await change(h, { template: template('web:bad') })
  for (let i = 0; i < 10; i++) await h.clock.advance(10_000)
  const before = h.client.writes.length
  for (let i = 0; i < 30; i++) {
    await h.beat('node-1')
    await h.clock.advance(10_000)
  }
  assert.deepEqual(h.client.writes.slice(before), [])
})
