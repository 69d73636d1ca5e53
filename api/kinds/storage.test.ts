import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { created, row, updated } from './check.fake.ts'
import { csiDriver } from './csi-driver.ts'
import { csiNode } from './csi-node.ts'
import { csiStorageCapacity } from './csi-storage-capacity.ts'
import { limitRange } from './limit-range.ts'
import { persistentVolume } from './persistent-volume.ts'
import { persistentVolumeClaim } from './persistent-volume-claim.ts'
import { resourceQuota } from './resource-quota.ts'
import { storageClass } from './storage-class.ts'
import { volumeAttachment } from './volume-attachment.ts'
import { volumeAttributesClass } from './volume-attributes-class.ts'

describe('volumes and claims', () => {
  const spec = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteMany', 'ReadWriteOnce'], hostPath: { path: '/data' } }
  const wanted = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const { object: volume } = created(persistentVolume, { spec })
  const { object: claim } = created(persistentVolumeClaim, { spec: wanted })

  it('defaults', () => {
    assert.deepEqual(
      [volume.spec.persistentVolumeReclaimPolicy, volume.spec.volumeMode, volume.status],
      ['Retain', 'Filesystem', { phase: 'Pending' }],
    )
    assert.deepEqual([claim.spec.volumeMode, claim.status], ['Filesystem', { phase: 'Pending' }])
    const source = { kind: 'VolumeSnapshot', apiGroup: 'snapshot.storage.k8s.io', name: 's' }
    const { object } = created(persistentVolumeClaim, { spec: { ...wanted, dataSource: source } })
    assert.deepEqual(object.spec.dataSourceRef, source)
  })

  it('rules', () => {
    const volumes: [object, string[]][] = [
      [{ ...spec, accessModes: [] }, ['spec.accessModes: Required value']],
      [
        { ...spec, accessModes: ['ReadWriteOncePod', 'ReadWriteOnce'] },
        ['spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes'],
      ],
      [{ ...spec, hostPath: undefined }, ['spec: Required value: must specify a volume type']],
      [{ ...spec, nfs: { server: 'a', path: '/b' } }, ['spec.nfs: Forbidden: may not specify more than 1 volume type']],
      [{ ...spec, capacity: { storage: '0' } }, ['spec.capacity[storage]: Invalid value: "0": must be greater than zero']],
      [{ ...spec, hostPath: { path: '../x' } }, ['spec.hostPath.path: Invalid value: "../x": must not contain \'..\'']],
      [
        { ...spec, hostPath: undefined, local: { path: '/disk' } },
        ['spec.nodeAffinity: Required value: Local volume requires node affinity'],
      ],
    ]
    for (const [given, expected] of volumes) assert.deepEqual(created(persistentVolume, { spec: given }).wrong, expected)
    const claims: [object, string[]][] = [
      [{ ...wanted, accessModes: [] }, ['spec.accessModes: Required value: at least 1 access mode is required']],
      [{ ...wanted, resources: {} }, ['spec.resources[storage]: Required value']],
      [{ ...wanted, volumeMode: 'Tape' }, ['spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"']],
    ]
    for (const [given, expected] of claims) assert.deepEqual(created(persistentVolumeClaim, { spec: given }).wrong, expected)
  })

  it('updates', () => {
    assert.deepEqual(
      updated(persistentVolume, volume, (v) => void (v.spec.persistentVolumeReclaimPolicy = 'Delete')),
      [],
    )
    assert.deepEqual(
      updated(persistentVolume, volume, (v) => void (v.spec.hostPath!.path = '/other')),
      ['spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation'],
    )
    const grow = (c: typeof claim) => void (c.spec.resources.requests = { storage: '2Gi' })
    const frozen =
      'spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'
    assert.deepEqual(
      updated(persistentVolumeClaim, claim, (c) => void (c.spec.volumeName = 'disk')),
      [],
      'the binder may bind',
    )
    assert.deepEqual(updated(persistentVolumeClaim, claim, grow), [frozen])
    const bound = {
      ...claim,
      spec: { ...claim.spec, volumeName: 'disk' },
      status: { phase: 'Bound' as const, capacity: { storage: '1Gi' } },
    }
    assert.deepEqual(updated(persistentVolumeClaim, bound, grow), [])
    assert.deepEqual(
      updated(persistentVolumeClaim, bound, (c) => void (c.spec.resources.requests = { storage: '1Mi' })),
      ['spec.resources.requests.storage: Forbidden: field can not be less than status.capacity'],
    )
    assert.deepEqual(
      updated(persistentVolumeClaim, bound, (c) => void (c.spec.volumeName = 'other')),
      [frozen],
    )
  })

  it('columns', () => {
    const used = { ...volume, spec: { ...volume.spec, claimRef: { namespace: 'test', name: 'data' }, storageClassName: 'slow' } }
    assert.equal(
      row(persistentVolume, used),
      'NAME=one | CAPACITY=1Gi | ACCESS MODES=RWO,RWX | RECLAIM POLICY=Retain | STATUS=Pending | CLAIM=test/data | STORAGECLASS=slow | VOLUMEATTRIBUTESCLASS=<unset> | REASON= | AGE=60s | +VOLUMEMODE=Filesystem',
    )
    const status = { phase: 'Bound' as const, accessModes: ['ReadWriteOnce' as const], capacity: { storage: '1Gi' } }
    assert.equal(
      row(persistentVolumeClaim, { ...claim, spec: { ...claim.spec, volumeName: 'disk', storageClassName: '' }, status }),
      'NAME=one | STATUS=Bound | VOLUME=disk | CAPACITY=1Gi | ACCESS MODES=RWO | STORAGECLASS= | VOLUMEATTRIBUTESCLASS=<unset> | AGE=60s | +VOLUMEMODE=Filesystem',
    )
  })
})

describe('storage.k8s.io', () => {
  it('defaults and columns', () => {
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' }
    const { object } = created(storageClass, { metadata: { annotations }, provisioner: 'example.com/disk' })
    assert.equal(
      row(storageClass, object),
      'NAME=one (default) | PROVISIONER=example.com/disk | RECLAIMPOLICY=Delete | VOLUMEBINDINGMODE=Immediate | ALLOWVOLUMEEXPANSION=false | AGE=60s',
    )
    assert.equal(
      row(csiDriver, created(csiDriver, { spec: { tokenRequests: [{ audience: 'a' }, { audience: 'b' }] } }).object),
      'NAME=one | ATTACHREQUIRED=true | PODINFOONMOUNT=false | STORAGECAPACITY=false | TOKENREQUESTS=a,b | REQUIRESREPUBLISH=false | MODES=Persistent | AGE=60s',
    )
    const drivers = [{ name: 'disk.example.com', nodeID: 'n', topologyKeys: [] }]
    assert.equal(row(csiNode, created(csiNode, { spec: { drivers } }).object), 'NAME=one | DRIVERS=1 | AGE=60s')
    const room = created(csiStorageCapacity, { storageClassName: 'slow' })
    assert.equal(row(csiStorageCapacity, room.object), 'NAME=one | STORAGECLASSNAME=slow | CAPACITY=<unset>')
    const attachment = { spec: { attacher: 'disk.example.com', nodeName: 'n', source: { persistentVolumeName: 'disk' } } }
    assert.equal(
      row(volumeAttachment, created(volumeAttachment, attachment).object),
      'NAME=one | ATTACHER=disk.example.com | PV=disk | NODE=n | ATTACHED=false | AGE=60s',
    )
    const attributes = created(volumeAttributesClass, { driverName: 'disk.example.com', parameters: { iops: '1' } })
    assert.equal(row(volumeAttributesClass, attributes.object), 'NAME=one | DRIVERNAME=disk.example.com | AGE=60s')
  })

  it('rules and updates', () => {
    assert.deepEqual(created(storageClass, {}).wrong, ['provisioner: Required value'])
    const { object } = created(storageClass, { provisioner: 'example.com/disk', parameters: { a: 'b' } })
    const changes = updated(storageClass, object, (c) => {
      c.parameters = {}
      c.provisioner = 'example.com/other'
      c.reclaimPolicy = 'Retain'
      c.volumeBindingMode = 'WaitForFirstConsumer'
    })
    assert.deepEqual(changes, [
      'parameters: Forbidden: updates to parameters are forbidden.',
      'provisioner: Forbidden: updates to provisioner are forbidden.',
      'reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.',
      'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
    ])
    assert.deepEqual(created(volumeAttachment, { spec: { attacher: 'a.b', nodeName: 'n', source: {} } }).wrong, [
      'spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName',
    ])
    assert.deepEqual(created(volumeAttributesClass, { driverName: 'a.b' }).wrong, [
      'parameters: Required value: must contain at least one key/value pair',
    ])
    assert.deepEqual(created(csiNode, { spec: { drivers: [{ name: 'a.b', nodeID: '', topologyKeys: [] }] } }).wrong, [
      'spec.drivers[0].nodeID: Required value',
    ])
  })
})

describe('limits and quotas', () => {
  const limits = (...items: object[]) => created(limitRange, { spec: { limits: items } })

  it('limits default from each other', () => {
    const { object } = limits({ type: 'Container', max: { cpu: '2' }, min: { memory: '1Mi' } })
    assert.deepEqual(object.spec.limits[0]?.default, { cpu: '2' })
    assert.deepEqual(object.spec.limits[0]?.defaultRequest, { memory: '1Mi', cpu: '2' })
  })

  it('limits agree with each other', () => {
    assert.deepEqual(
      limits({ type: 'Container', min: { cpu: '2' }, max: { cpu: '1' }, default: { cpu: '1' }, defaultRequest: { cpu: '1' } }).wrong,
      [
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
      ],
    )
    assert.deepEqual(limits({ type: 'Pod', default: { cpu: '1' } }).wrong, [
      "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
    ])
    assert.deepEqual(limits({ type: 'Pod' }, { type: 'Pod' }).wrong, ['spec.limits[1].type: Duplicate value: "Pod"'])
    assert.deepEqual(limits({ type: 'PersistentVolumeClaim' }).wrong, [
      'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
    ])
  })

  it('quotas', () => {
    const hard = (hard: object) => created(resourceQuota, { spec: { hard } })
    assert.deepEqual(hard({ cpu: '1', 'requests.memory': '1Gi', 'count/deployments.apps': '3', 'requests.example.com/gpu': '1' }).wrong, [])
    assert.deepEqual(hard({ gpus: '1' }).wrong, [
      'spec.hard[gpus]: Invalid value: "gpus": must be a standard resource type or fully qualified',
      'spec.hard[gpus]: Invalid value: "gpus": must be a standard resource for quota',
    ])
    assert.deepEqual(hard({ pods: '500m' }).wrong, ['spec.hard[pods]: Invalid value: "500m": must be an integer'])
    const { object } = hard({ pods: '10' })
    const status = { hard: { pods: '10', 'limits.cpu': '4', 'requests.cpu': '2' }, used: { pods: '3', 'limits.cpu': '1' } }
    assert.equal(
      row(resourceQuota, { ...object, status }),
      'NAME=one | REQUEST=pods: 3/10, requests.cpu: 0/2 | LIMIT=limits.cpu: 1/4 | AGE=60s',
    )
    assert.deepEqual(
      updated(resourceQuota, object, (q) => void (q.spec.scopes = ['BestEffort'])),
      ['spec.scopes: Invalid value: ["BestEffort"]: field is immutable'],
    )
  })
})
