import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus } from '#api/errors.ts'
import { Event, Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '#api/kinds/index.ts'
import { localFinalizer, problemAnnotation, sizeAnnotation, volumesOfNode } from '#api/local-volumes.ts'
import type { PersistentVolumeClaimSpec, PersistentVolumeSpec } from '#api/types/core-v1.gen.ts'
import { type Harness, harness } from '../harness.fake.ts'

const namespace = 'default'
const size = (storage: string) => ({ requests: { storage } })

async function setup() {
  const h = await harness({ keepsVolumes: false })
  await h.addNode('node-1')
  await h.addNode('node-2')
  await h.client.create(StorageClass, {
    metadata: { name: 'local' },
    provisioner: 'local.coracle.dev',
    volumeBindingMode: 'WaitForFirstConsumer',
    reclaimPolicy: 'Delete',
  })
  return {
    h,
    claim: (name: string, spec: Partial<PersistentVolumeClaimSpec> = {}) =>
      h.client.create(PersistentVolumeClaim, {
        metadata: { name, namespace },
        spec: { accessModes: ['ReadWriteOnce'], resources: size('1Gi'), storageClassName: '', ...spec },
      }),
    volume: (name: string, spec: Partial<PersistentVolumeSpec> = {}) =>
      h.client.create(PersistentVolume, {
        metadata: { name },
        spec: {
          capacity: { storage: '1Gi' },
          accessModes: ['ReadWriteOnce'],
          persistentVolumeReclaimPolicy: 'Retain',
          hostPath: { path: '/srv' },
          ...spec,
        },
      }),
    pod(name: string, claimName: string, nodeName?: string) {
      h.clock.advance(1)
      return h.client.create(Pod, {
        metadata: { name, namespace },
        spec: {
          ...(nodeName && { nodeName }),
          containers: [{ name: 'c', image: 'i' }],
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
        },
      })
    },
  }
}

/** What `kubectl get pvc,pv` would show. */
async function shown({ client }: Harness): Promise<string[]> {
  const claims = (await client.list(PersistentVolumeClaim)).items.map(
    ({ metadata, spec, status }) =>
      `claim ${metadata.name} ${status?.phase ?? 'Pending'} ${spec.volumeName ?? '-'} ${status?.capacity?.['storage'] ?? '-'}`,
  )
  const volumes = (await client.list(PersistentVolume)).items.map(
    ({ metadata, spec, status }) => `volume ${metadata.name} ${status?.phase ?? 'Pending'} ${spec.claimRef?.name ?? '-'}`,
  )
  return [...claims, ...volumes].sort()
}

const events = async ({ client }: Harness) =>
  (await client.list(Event)).items.map(
    ({ involvedObject, type, reason, message }) => `${involvedObject.name} ${type} ${reason}: ${message}`,
  )

/** As the agents do: make what was asked for, take away what is on its way out. */
async function agents({ client, clock, settle }: Harness, problem?: string): Promise<void> {
  // Events are named by the time.
  clock.advance(1)
  for (const node of ['node-1', 'node-2']) {
    for (const { metadata } of (await client.list(PersistentVolume, { labelSelector: volumesOfNode(node) })).items) {
      const finalizers = metadata.finalizers?.filter((each) => each !== localFinalizer)
      const annotations = problem ? { [problemAnnotation]: problem } : { [sizeAnnotation]: String(2 ** 30) }
      await client.patch(PersistentVolume, { name: metadata.name }, 'merge', {
        metadata: metadata.deletionTimestamp ? { finalizers } : { annotations },
      })
    }
  }
  await settle()
}

test('a claim gets the smallest volume that will do, and no volume has two', async () => {
  const { h, claim, volume } = await setup()
  await using _ = h
  await volume('large', { capacity: { storage: '10Gi' } })
  await volume('small', { capacity: { storage: '2Gi' } })
  await claim('a')
  await claim('b')
  await claim('c')
  await h.settle()
  const [first, second, ...rest] = (await h.client.list(PersistentVolumeClaim)).items
    .filter(({ status }) => status?.phase === 'Bound')
    .map(({ spec, status }) => `${spec.volumeName} ${status?.capacity?.['storage']}`)
    .sort()
  assert.deepEqual([first, second, rest], ['large 10Gi', 'small 2Gi', []])
  const told = await events(h)
  assert.ok(
    told.some((line) => /Normal FailedBinding: no persistent volumes available for this claim and no storage class is set/.test(line)),
  )
  await volume('late')
  await h.settle()
  const names = (await h.client.list(PersistentVolumeClaim)).items.map(({ spec }) => spec.volumeName ?? '-')
  assert.deepEqual(names.toSorted(), ['large', 'late', 'small'])
})

test('a pair that names each other, or one of which names the other, binds', async () => {
  const { h, claim, volume } = await setup()
  await using _ = h
  await claim('by-name', { volumeName: 'named' })
  await volume('for-claim', { claimRef: { namespace, name: 'reserved' } })
  await h.settle()
  await claim('reserved')
  await volume('named')
  await claim('too-large', { volumeName: 'other', resources: size('5Gi') })
  await volume('other')
  await h.settle()
  assert.deepEqual(await shown(h), [
    'claim by-name Bound named 1Gi',
    'claim reserved Bound for-claim 1Gi',
    'claim too-large Pending other -',
    'volume for-claim Bound reserved',
    'volume named Bound by-name',
    'volume other Available -',
  ])
  assert.ok(
    (await events(h)).includes('too-large Warning VolumeMismatch: Cannot bind to requested volume "other": requested PV is too small'),
  )
})

test('a claim of the local class waits for its first pod, and its volume is made on that node', async () => {
  const { h, claim, pod } = await setup()
  await using _ = h
  const { metadata } = await claim('data', { storageClassName: 'local' })
  await h.settle()
  assert.ok((await events(h)).includes('data Normal WaitForFirstConsumer: waiting for first consumer to be created before binding'))
  await pod('web', 'data')
  await h.settle()
  const name = `pvc-${metadata.uid}`
  assert.deepEqual(await shown(h), ['claim data Pending - -', `volume ${name} Pending data`])
  assert.equal((await h.client.get(Pod, { namespace, name: 'web' })).spec.nodeName, undefined)
  await agents(h)
  assert.deepEqual(await shown(h), [`claim data Bound ${name} 1Gi`, `volume ${name} Bound data`])
  assert.ok((await events(h)).includes(`data Normal ProvisioningSucceeded: Successfully provisioned volume ${name}`))
  const { nodeName } = (await h.client.get(Pod, { namespace, name: 'web' })).spec
  assert.ok(nodeName)
  // A second pod goes where the volume is.
  await pod('again', 'data')
  await h.settle()
  assert.equal((await h.client.get(Pod, { namespace, name: 'again' })).spec.nodeName, nodeName)

  // As long as a pod uses it, the claim stays; then all of it goes.
  await h.client.delete(PersistentVolumeClaim, { namespace, name: 'data' })
  await h.settle()
  assert.deepEqual(await shown(h), [`claim data Bound ${name} 1Gi`, `volume ${name} Bound data`])
  for (const each of ['web', 'again']) await h.client.delete(Pod, { namespace, name: each }, { gracePeriodSeconds: 0 })
  await h.settle()
  assert.deepEqual(await shown(h), [`volume ${name} Released data`])
  await agents(h)
  assert.deepEqual(await shown(h), [])
  assert.deepEqual(h.complaints, [])
})

test('a pod that names its node itself gets its volume there', async () => {
  const { h, claim, pod } = await setup()
  await using _ = h
  await claim('data', { storageClassName: 'local' })
  await pod('web', 'data', 'node-2')
  await h.settle()
  await agents(h)
  const [volume] = (await h.client.list(PersistentVolume)).items
  assert.deepEqual(volume?.spec.nodeAffinity?.required?.nodeSelectorTerms[0]?.matchExpressions?.[0]?.values, ['node-2'])
  assert.equal(volume?.status?.phase, 'Bound')
})

test('what its node cannot make is told, taken back, and tried again', async () => {
  const { h, claim, pod } = await setup()
  await using _ = h
  await claim('data', { storageClassName: 'local' })
  await pod('web', 'data')
  await h.settle()
  await agents(h, 'no space left')
  assert.ok(
    (await events(h)).some((line) => /data Warning ProvisioningFailed: .*no space left/.test(line)),
    (await events(h)).join('\n'),
  )
  await agents(h)
  h.clock.advance(10_000)
  await h.settle()
  await agents(h)
  assert.equal((await h.client.get(PersistentVolumeClaim, { namespace, name: 'data' })).status?.phase, 'Bound')
})

test('a volume that is kept is Released and nobody else gets it; the claim that lost its volume is Lost', async () => {
  const { h, claim, volume } = await setup()
  await using _ = h
  await volume('kept')
  await claim('first')
  await h.settle()
  await h.client.delete(PersistentVolumeClaim, { namespace, name: 'first' })
  await h.settle()
  await claim('first')
  await h.settle()
  assert.deepEqual(await shown(h), ['claim first Pending - -', 'volume kept Released first'])
  await volume('other')
  await h.settle()
  h.client.drop(PersistentVolume, { name: 'other' })
  await h.settle()
  assert.ok((await shown(h)).includes('claim first Lost other 1Gi'))
})

test('a claim that names no class gets the default one when there is one', async () => {
  const { h, claim } = await setup()
  await using _ = h
  await claim('data', { storageClassName: undefined })
  await h.settle()
  const classOf = async () => (await h.client.get(PersistentVolumeClaim, { namespace, name: 'data' })).spec.storageClassName
  assert.equal(await classOf(), undefined)
  await h.client.patch(StorageClass, { name: 'local' }, 'merge', {
    metadata: { annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  })
  await h.settle()
  assert.equal(await classOf(), 'local')
})

test('a volume whose node has left the cluster does not stay for ever', async () => {
  const { h, claim, pod } = await setup()
  await using _ = h
  await claim('data', { storageClassName: 'local' })
  await pod('web', 'data', 'node-2')
  await h.settle()
  await agents(h)
  await h.client.delete(Node, { name: 'node-2' })
  await h.client.delete(Pod, { namespace, name: 'web' }, { gracePeriodSeconds: 0 })
  await h.client.delete(PersistentVolumeClaim, { namespace, name: 'data' })
  await h.settle()
  assert.deepEqual(await shown(h), [])
})

test('whatever happens in whatever order, no claim is bound twice, and no volume that is in use goes', async () => {
  for (let seed = 1; seed <= 6; seed += 1) {
    const { h, claim, volume, pod } = await setup()
    await using _ = h
    let state = seed
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }
    const late = (error: unknown) => assert.ok(isStatus(error, 'AlreadyExists', 'NotFound', 'Conflict'), String(error))
    for (let step = 0; step < 30; step += 1) {
      const [one, other] = [`x${random(4)}`, `x${random(4)}`]
      const acts: (() => Promise<unknown>)[] = [
        () => claim(one, { storageClassName: random(2) ? 'local' : '' }),
        () => volume(other, { ...(random(3) === 0 && { claimRef: { namespace, name: one } }) }),
        () => pod(one, one),
        () => h.client.delete(Pod, { namespace, name: one }, { gracePeriodSeconds: 0 }),
        () => h.client.delete(PersistentVolumeClaim, { namespace, name: one }),
        () => h.client.delete(PersistentVolume, { name: other }),
        () => agents(h),
        () => h.restart(),
        async () => h.dieAt(1 + random(3), random(2) === 0),
        async () => void h.clock.advance(11_000),
      ]
      await acts[random(acts.length)]?.().catch(late)
      if (random(2)) await h.settle()
      const claims = (await h.client.list(PersistentVolumeClaim)).items
      const volumes = (await h.client.list(PersistentVolume)).items
      const held = claims.flatMap(({ spec }) => spec.volumeName ?? [])
      assert.equal(new Set(held).size, held.length, `seed ${seed}, step ${step}: a volume has two claims`)
      for (const { metadata, spec, status } of claims) {
        if (status?.phase !== 'Bound') continue
        const its = volumes.find((each) => each.metadata.name === spec.volumeName)
        assert.equal(its?.spec.claimRef?.uid, metadata.uid, `seed ${seed}, step ${step}: ${metadata.name} has lost its volume`)
      }
    }
  }
})
