import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '#api/types/core-v1.gen.ts'
import type { StorageClass } from '#api/types/storage-v1.gen.ts'
import { type ClaimMove, type ClaimSight, planClaim } from './claim.ts'
import { planExpansion } from './expansion.ts'
import { planVolume } from './volume.ts'
import { bindCompleted, boundByController, provisionedBy, selectedNode } from './words.ts'

type Parts<T extends { metadata: object; spec: object; status?: object }> = {
  metadata?: Partial<T['metadata']>
  spec?: Partial<T['spec']>
  status?: Partial<T['status']>
}

const claimOf = ({ metadata, spec, status }: Parts<PersistentVolumeClaim> = {}): PersistentVolumeClaim => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'shop', uid: 'c1', resourceVersion: '1', ...metadata },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, storageClassName: 'disk', ...spec },
  status: { phase: 'Pending', ...status },
})
const volumeOf = ({ metadata, spec, status }: Parts<PersistentVolume> = {}): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'one', uid: 'v1', resourceVersion: '1', ...metadata },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Retain',
    storageClassName: 'disk',
    hostPath: { path: '/srv' },
    ...spec,
  },
  status: { phase: 'Available', ...status },
})
const classOf = (provisioner: string, volumeBindingMode: StorageClass['volumeBindingMode'] = 'Immediate'): StorageClass => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'disk', uid: 's1', resourceVersion: '1' },
  provisioner,
  volumeBindingMode,
})

function text(move: ClaimMove | ReturnType<typeof planVolume>[number]): string {
  switch (move.do) {
    case 'class':
      return `class ${move.name}`
    case 'bind':
    case 'discard':
      return `${move.do} ${move.volume.metadata.name}`
    case 'phase':
      return move.phase
    case 'tell':
      return `${move.reason}: ${move.message}`
    case 'select':
      return `select ${move.node ?? 'anew'}`
    case 'provision':
      return `provision ${move.class.metadata.name} on ${move.node}`
    case 'ask':
      return `ask ${move.provisioner}`
    default:
      return move.do
  }
}

function plan(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
  more: Partial<ClaimSight> & { class?: StorageClass } = {},
): string[] {
  const { class: storageClass, ...sight } = more
  return planClaim({
    claim,
    classOf: () => storageClass,
    defaultClass: undefined,
    volumeOf: (name) => volumes.find(({ metadata }) => metadata.name === name),
    reserved: volumes.filter(({ spec }) => spec.claimRef?.name === 'data'),
    all: volumes,
    consumers: [],
    ...sight,
  }).map(text)
}

const local = classOf('local.coracle.dev', 'WaitForFirstConsumer')
const mine = { namespace: 'shop', name: 'data', uid: 'c1' }
const others = { namespace: 'shop', name: 'other', uid: 'c2' }

test('what a claim gets, by class, size, modes and selector', () => {
  assert.deepEqual(plan(claimOf(), [volumeOf()]), ['bind one'])
  const unfit: Parts<PersistentVolume>[] = [
    { spec: { storageClassName: 'tape' } },
    { spec: { capacity: { storage: '1023Mi' } } },
    { spec: { accessModes: ['ReadOnlyMany'] } },
    { spec: { volumeMode: 'Block' } },
    { spec: { claimRef: others } },
    { status: { phase: 'Released' } },
    { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } },
  ]
  for (const each of unfit) assert.ok(!plan(claimOf(), [volumeOf(each)]).includes('bind one'), JSON.stringify(each))
  const once = { accessModes: ['ReadWriteOncePod' as const] }
  assert.deepEqual(plan(claimOf({ spec: once }), [volumeOf({ spec: once })]), ['bind one'])
  assert.ok(!plan(claimOf({ spec: once }), [volumeOf()]).includes('bind one'))
  const gold = claimOf({ spec: { selector: { matchLabels: { medium: 'gold' } } } })
  assert.ok(!plan(gold, [volumeOf()]).includes('bind one'))
  assert.deepEqual(plan(gold, [volumeOf({ metadata: { labels: { medium: 'gold' } } })]), ['bind one'])
})

test('a volume that is kept for a claim is its own, whatever its class; what is kept for another of that name is not', () => {
  const kept = volumeOf({ spec: { claimRef: mine, storageClassName: '' } })
  assert.deepEqual(plan(claimOf(), [kept], { class: local }), ['bind one'])
  const before = volumeOf({ spec: { claimRef: { ...mine, uid: 'c0' } } })
  assert.deepEqual(plan(claimOf({ spec: { storageClassName: '' } }), [before]), [
    'Pending',
    'FailedBinding: no persistent volumes available for this claim and no storage class is set',
  ])
  const named = claimOf({ spec: { volumeName: 'one' } })
  assert.deepEqual(plan(named, [volumeOf({ spec: { claimRef: others } })]), [
    'Pending',
    'FailedBinding: volume "one" already bound to a different claim.',
  ])
  assert.deepEqual(plan(named, [volumeOf({ spec: { storageClassName: 'tape' } })]), [
    'Pending',
    'VolumeMismatch: Cannot bind to requested volume "one": storageClassName does not match',
  ])
  assert.deepEqual(plan(named, []), ['Pending'])
})

test('where no volume will do, one is waited for, made, or asked for', () => {
  assert.deepEqual(plan(claimOf(), []), ['Pending', 'ProvisioningFailed: storageclass.storage.k8s.io "disk" not found'])
  const waits = 'WaitForFirstConsumer: waiting for first consumer to be created before binding'
  assert.deepEqual(plan(claimOf(), [volumeOf()], { class: local }), ['Pending', waits])
  const pod = { metadata: { name: 'web' }, spec: {} } as Pod
  assert.deepEqual(plan(claimOf(), [], { class: local, consumers: [pod] }), [
    'Pending',
    'WaitForPodScheduled: waiting for pod web to be scheduled',
  ])
  const placed = { metadata: { name: 'web' }, spec: { nodeName: 'pi' } } as Pod
  assert.deepEqual(plan(claimOf(), [], { class: local, consumers: [placed] }), ['Pending', 'select pi'])
  const selected = claimOf({ metadata: { annotations: { [selectedNode]: 'pi' } } })
  assert.deepEqual(plan(selected, [], { class: local }), ['Pending', 'provision disk on pi'])
  assert.match(
    plan(claimOf({ ...selected, spec: { accessModes: ['ReadWriteMany'] } }), [], { class: local }).join(),
    /ReadWriteMany is not supported/,
  )
  assert.match(
    plan(claimOf(), [], { class: classOf('disk.example.com') }).join(),
    /^Pending,ask disk.example.com,ExternalProvisioning: Waiting/,
  )
  assert.match(plan(claimOf(), [], { class: classOf('kubernetes.io/no-provisioner') }).join(), /no volume plugin matched name/)
})

test('a bound claim that lost its volume, or shares it, is Lost', () => {
  const bound = claimOf({ metadata: { annotations: { [bindCompleted]: 'yes' } }, spec: { volumeName: 'one' } })
  assert.deepEqual(plan(bound, [volumeOf({ spec: { claimRef: mine } })]), ['bind one'])
  assert.deepEqual(plan(bound, []), ['Lost', 'ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!'])
  assert.deepEqual(plan(bound, [volumeOf({ spec: { claimRef: others } })]), [
    'Lost',
    'ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly',
  ])
})

test('what becomes of a volume', () => {
  const made = { metadata: { annotations: { [provisionedBy]: 'local.coracle.dev' } } }
  const csi = { hostPath: undefined, csi: { driver: 'local.coracle.dev', volumeHandle: 'x' } }
  const of = (volume: PersistentVolume, claim?: PersistentVolumeClaim) => planVolume(volume, claim).map(text)
  assert.deepEqual(of(volumeOf({ status: { phase: 'Pending' } })), ['Available'])
  assert.deepEqual(of(volumeOf({ spec: { claimRef: { ...mine, uid: undefined } } }), claimOf()), [])
  assert.deepEqual(of(volumeOf({ spec: { claimRef: mine } }), claimOf({ spec: { volumeName: 'one' } })), ['Bound'])
  assert.deepEqual(of(volumeOf({ spec: { claimRef: mine } }), claimOf()), [], 'the claim is about to be written')
  assert.deepEqual(of(volumeOf({ spec: { claimRef: mine } })), ['Released'])
  assert.deepEqual(
    of(volumeOf({ spec: { claimRef: { ...mine, uid: 'c0' } } }), claimOf()),
    ['Released'],
    'a claim of the same name is another',
  )
  const deleting = { persistentVolumeReclaimPolicy: 'Delete' as const, claimRef: mine }
  assert.deepEqual(of(volumeOf({ ...made, spec: { ...csi, ...deleting } })), ['Released', 'delete'])
  assert.match(of(volumeOf({ spec: deleting })).join(), /^Released,Failed,VolumeFailedDelete|^Failed,VolumeFailedDelete/)
  const elsewhere = claimOf({ spec: { volumeName: 'two' } })
  assert.deepEqual(of(volumeOf({ metadata: { annotations: { [boundByController]: 'yes' } }, spec: { claimRef: mine } }), elsewhere), [
    'free',
  ])
})

test('a claim grows once its node says so, and never before', () => {
  const annotations = { 'local.coracle.dev/size': String(2 ** 30) }
  const spec = { hostPath: undefined, csi: { driver: 'local.coracle.dev', volumeHandle: 'x' } }
  const claim = claimOf({ spec: { resources: { requests: { storage: '2Gi' } } }, status: { phase: 'Bound', capacity: { storage: '1Gi' } } })
  const begun = planExpansion(claim, volumeOf({ metadata: { annotations }, spec }), 0)
  assert.deepEqual([begun.capacity, begun.status?.capacity, begun.status?.conditions?.[0]?.type], ['2Gi', undefined, 'Resizing'])
  const asked = { ...spec, capacity: { storage: '2Gi' } }
  assert.equal(planExpansion(claim, volumeOf({ metadata: { annotations }, spec: asked }), 0).status?.capacity, undefined)
  const grown = { 'local.coracle.dev/size': String(2 ** 31) }
  assert.deepEqual(planExpansion(claim, volumeOf({ metadata: { annotations: grown }, spec: asked }), 0).status?.capacity, {
    storage: '2Gi',
  })
  const stuck = { ...annotations, 'local.coracle.dev/problem': 'no room' }
  assert.equal(
    planExpansion(claim, volumeOf({ metadata: { annotations: stuck }, spec: asked }), 0).status?.conditions?.[0]?.type,
    'FileSystemResizePending',
  )
})
