// One broken status for each rule, and fields that few use.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { validatingAdmissionPolicy } from '../admission-policy.ts'
import { apiService } from '../api-service.ts'
import { created, updated } from '../check.fake.ts'
import { customResourceDefinition } from '../custom-resource-definition.ts'
import { daemonSet } from '../daemon-set.ts'
import { deployment } from '../deployment.ts'
import { endpointSlice } from '../endpoint-slice.ts'
import { flowSchema } from '../flow-schema.ts'
import { horizontalPodAutoscaler } from '../horizontal-pod-autoscaler.ts'
import { job } from '../job.ts'
import type { KubeObject } from '../kind.ts'
import { lease } from '../lease.ts'
import { namespace } from '../namespace.ts'
import { persistentVolumeClaim } from '../persistent-volume-claim.ts'
import { pod } from '../pod.ts'
import { podDisruptionBudget } from '../pod-disruption-budget.ts'
import { priorityLevelConfiguration } from '../priority-level.ts'
import { replicaSet } from '../replica-set.ts'
import { replicationController } from '../replication-controller.ts'
import { resourceClaim } from '../resource-claim.ts'
import { service } from '../service.ts'
import type { KindSpec } from '../spec.ts'
import { statefulSet } from '../stateful-set.ts'
import { storageClass } from '../storage-class.ts'

const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
const replicated = { spec: { selector: { matchLabels: { a: 'b' } }, template } }
const more = 'cannot be greater than status.replicas'

type Rows = readonly (readonly [status: object, ...wrong: string[]])[]

/** Each status is written through its subresource, after `before`. */
function check<T extends KubeObject & { status?: unknown }>(spec: KindSpec<T>, body: object, rows: Rows, before: object = {}): void {
  const { object, wrong } = created(spec, body)
  assert.deepEqual(wrong, [])
  object.status = before
  for (const [status, ...expected] of rows)
    assert.deepEqual(
      updated(spec, object, (next) => void (next.status = status), 'status'),
      expected,
      JSON.stringify(status),
    )
}

it('counts of replicas', () => {
  const parts = (ready: string): Rows => [
    [{ replicas: -1 }, 'status.replicas: Invalid value: -1: must be greater than or equal to 0'],
    [{ replicas: 1, readyReplicas: 2 }, `status.readyReplicas: Invalid value: 2: ${more}`],
    [{ replicas: 2, availableReplicas: 1 }, `status.availableReplicas: Invalid value: 1: cannot be greater than ${ready}`],
    [{ replicas: 2, readyReplicas: 2, availableReplicas: 1, observedGeneration: 3 }],
  ]
  check(deployment, replicated, [
    ...parts('readyReplicas'),
    [{ replicas: 1, updatedReplicas: 2 }, `status.updatedReplicas: Invalid value: 2: ${more}`],
    [{ unavailableReplicas: -1 }, 'status.unavailableReplicas: Invalid value: -1: must be greater than or equal to 0'],
    [{ collisionCount: -1 }, 'status.collisionCount: Invalid value: -1: must be greater than or equal to 0'],
  ])
  check(replicaSet, replicated, [
    ...parts('readyReplicas'),
    [{ replicas: 0, fullyLabeledReplicas: 1 }, `status.fullyLabeledReplicas: Invalid value: 1: ${more}`],
  ])
  check(replicationController, { spec: { template } }, parts('readyReplicas'))
  check(statefulSet, { spec: { ...replicated.spec, serviceName: 's' } }, [
    ...parts('status.readyReplicas'),
    [{ replicas: 0, currentReplicas: 1 }, `status.currentReplicas: Invalid value: 1: ${more}`],
  ])
  check(daemonSet, replicated, [
    [{ numberReady: -1 }, 'status.numberReady: Invalid value: -1: must be greater than or equal to 0'],
    [{ desiredNumberScheduled: 1, numberReady: 2 }],
  ])
  const scale = { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } }
  check(horizontalPodAutoscaler, { spec: scale }, [
    [{ desiredReplicas: -1 }, 'status.desiredReplicas: Invalid value: -1: must be greater than or equal to 0'],
  ])
  const condition = { type: 'DisruptionAllowed', status: 'True', lastTransitionTime: '2024-01-01T00:00:00Z', reason: 'Enough', message: '' }
  check(podDisruptionBudget, { spec: { minAvailable: 1, selector: {} } }, [
    [{ disruptionsAllowed: -1 }, 'status.disruptionsAllowed: Invalid value: -1: must be greater than or equal to 0'],
    [{ conditions: [condition] }],
    [{ conditions: [{ ...condition, reason: '' }] }, 'status.conditions[0].reason: Required value'],
    [{ conditions: [condition, condition] }, 'status.conditions[1].type: Duplicate value: "DisruptionAllowed"'],
  ])
})

it('what a pod has become', () => {
  const ended = (exitCode: number) => ({ containerStatuses: [{ name: 'c', state: { terminated: { exitCode } } }] })
  const running = { containerStatuses: [{ name: 'c', state: { running: {} } }] }
  const again = 'status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state'
  const body = (restartPolicy: string, container: object = {}) => ({
    spec: { restartPolicy, containers: [{ name: 'c', image: 'i', ...container }] },
  })
  check(pod, body('Never'), [[running, again], [ended(0)], [{ containerStatuses: [] }]], ended(1))
  check(pod, body('OnFailure'), [[running]], ended(1))
  check(pod, body('OnFailure'), [[running, again]], ended(0))
  check(pod, body('Always'), [[running]], ended(0))
  const rules = [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }]
  check(pod, body('Never', { restartPolicy: 'Never', restartPolicyRules: rules }), [[running]], ended(42))
  check(pod, body('Never', { restartPolicy: 'Never', restartPolicyRules: rules }), [[running, again]], ended(1))
  const one = 'may specify no more than one IP for each IP family'
  check(
    pod,
    body('Always'),
    [
      [{ qosClass: 'Guaranteed' }, 'status.qosClass: Invalid value: "Guaranteed": field is immutable'],
      [{ podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] }],
      [{ podIPs: [{ ip: '10.0.0.1' }, { ip: '10.0.0.2' }] }, `status.podIPs: Invalid value: [{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]: ${one}`],
      [{ podIPs: [{ ip: 'x' }] }, 'status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
      [{ hostIP: '10.0.0.1', hostIPs: [{ ip: '10.0.0.2' }] }, 'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`'],
      [{ observedGeneration: -1 }, 'status.observedGeneration: Invalid value: -1: must be a non-negative integer'],
      [
        { containerStatuses: [{ name: 'c', user: { linux: { uid: -1, gid: 0 } } }] },
        'status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      ],
    ],
    { qosClass: 'BestEffort' },
  )
})

it('what a job has done', () => {
  const body = (more: object = {}) => ({ spec: { template: { spec: { ...template.spec, restartPolicy: 'Never' } }, ...more } })
  const is = (type: string) => ({ type, status: 'True' })
  const [start, end] = ['2024-01-01T00:00:00Z', '2024-01-01T00:01:00Z']
  const done = { startTime: start, completionTime: end, succeeded: 1, conditions: [is('SuccessCriteriaMet'), is('Complete')] }
  check(job, body(), [
    [{ active: -1 }, 'status.active: Invalid value: -1: must be greater than or equal to 0'],
    [done],
    [{ ...done, active: 1 }, 'status.active: Invalid value: 1: active>0 is invalid for finished job'],
    [{ ...done, completionTime: undefined }, 'status.completionTime: Required value: completionTime is required for Complete jobs'],
    [
      { ...done, conditions: [] },
      `status.completionTime: Invalid value: "${end}": cannot set completionTime when there is no Complete=True condition`,
    ],
    [
      { ...done, startTime: end, completionTime: start },
      `status.completionTime: Invalid value: "${start}": must be equal to or after \`startTime\``,
    ],
    [
      { ...done, conditions: [...done.conditions, is('Failed')] },
      'status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions',
      'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions',
    ],
    [{ active: 1, ready: 2 }, 'status.ready: Invalid value: 2: cannot set more ready pods than active'],
    [
      { completedIndexes: '1' },
      'status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when non-indexed completion mode',
      'status.completedIndexes: Invalid value: "1": error parsing completedIndexes: too large index: "1"',
    ],
    [{ uncountedTerminatedPods: { succeeded: ['u', 'u'] } }, 'status.uncountedTerminatedPods.succeeded[1]: Duplicate value: "u"'],
  ])
  check(
    job,
    body(),
    [
      [{ ...done, failed: 0 }, 'status.failed: Invalid value: 0: cannot decrease the failed counter'],
      [
        { startTime: start, failed: 1, succeeded: 1 },
        'status.conditions: Invalid value: cannot disable the terminal Complete=True condition',
        'status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition',
      ],
    ],
    { ...done, failed: 1 },
  )
  check(job, body({ completionMode: 'Indexed', completions: 5 }), [
    [{ completedIndexes: '0,2-4' }],
    [
      { completedIndexes: '2,1' },
      'status.completedIndexes: Invalid value: "2,1": error parsing completedIndexes: non-increasing order, previous: 2, current: 1',
    ],
  ])
})

it('fields that few use', () => {
  const wrong = <T extends KubeObject>(spec: KindSpec<T>, body: object) => created(spec, body).wrong
  const inPod = (container: object, spec: object = {}) =>
    wrong(pod, { spec: { ...spec, containers: [{ name: 'c', image: 'i', ...container }] } })
  const linux = { os: { name: 'linux' } }
  assert.deepEqual(inPod({ lifecycle: { stopSignal: 'SIGUSR1' } }, linux), [])
  assert.deepEqual(inPod({ lifecycle: { stopSignal: 'SIGUSR1' } }), [
    'spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`',
  ])
  assert.deepEqual(inPod({ lifecycle: { stopSignal: 'SIGUSR1' } }, { os: { name: 'windows' } }), [
    'spec.containers[0].lifecycle.stopSignal: Unsupported value: "SIGUSR1": supported values: "SIGKILL", "SIGTERM"',
  ])
  assert.match(inPod({ lifecycle: { stopSignal: 'SIGRTMIN+16' } }, linux).join(), /stopSignal: Unsupported value: "SIGRTMIN\+16"/)

  const asks = (requests: object) => ({ name: 'c', image: 'i', resources: { requests } })
  const whole = (requests: object, ...containers: object[]) =>
    wrong(pod, { spec: { resources: { requests }, initContainers: [{ ...asks({ cpu: '3' }), name: 'i' }], containers } })
  assert.deepEqual(whole({ cpu: '3' }, asks({ cpu: '1' }), { ...asks({ cpu: '2' }), name: 'd' }), [])
  assert.deepEqual(whole({ cpu: '3' }, asks({ cpu: '2' }), { ...asks({ cpu: '1500m' }), name: 'd' }), [
    'spec.resources.requests[cpu]: Invalid value: "3": must be greater than or equal to aggregate container requests of 3500m',
  ])
  assert.deepEqual(whole({ cpu: '2' }, asks({ cpu: '1' })), [
    'spec.resources.requests[cpu]: Invalid value: "2": must be greater than or equal to aggregate container requests of 3',
  ])

  const certificate = (podCertificate: object) => ({ volumes: [{ name: 'v', projected: { sources: [{ podCertificate }] } }] })
  const at = 'spec.volumes[0].projected.sources[0].podCertificate'
  const sound = { signerName: 'example.com/a', keyType: 'ED25519', credentialBundlePath: 'bundle.pem' }
  assert.deepEqual(inPod({}, certificate(sound)), [])
  assert.deepEqual(inPod({}, certificate({ ...sound, keyType: 'RSA1', maxExpirationSeconds: 60, credentialBundlePath: undefined })), [
    `${at}.keyType: Unsupported value: "RSA1": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"`,
    `${at}.maxExpirationSeconds: Invalid value: 60: if provided, maxExpirationSeconds must be >= 3600`,
    `${at}: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath`,
  ])
  assert.deepEqual(inPod({}, certificate({ ...sound, keyPath: 'bundle.pem' })), [
    'spec.volumes[0].projected: Invalid value: "bundle.pem": conflicting duplicate paths',
  ])

  const scale = { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' } }
  assert.deepEqual(wrong(horizontalPodAutoscaler, { spec: { ...scale, behavior: { scaleUp: { tolerance: '-1' } } } }), [
    'spec.behavior.scaleUp.tolerance: Invalid value: "-1": must be greater than or equal to 0',
  ])
  const mode = 'service.kubernetes.io/topology-mode'
  const hints = 'service.kubernetes.io/topology-aware-hints'
  const topology = (annotations: object) =>
    wrong(service, { metadata: { annotations }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } })
  assert.deepEqual(topology({ [mode]: 'Auto', [hints]: 'Auto' }), [])
  assert.deepEqual(topology({ [mode]: 'Auto', [hints]: 'disabled' }), [
    `metadata.annotations[${mode}]: Invalid value: "Auto": must match annotations[${hints}] when both are specified`,
  ])
  assert.deepEqual(wrong(lease, { spec: { strategy: 'example.com/mine' } }), [])
  assert.deepEqual(wrong(lease, { spec: { strategy: 'Newest' } }), [
    'spec.strategy: Unsupported value: "Newest": supported values: "OldestEmulationVersion"',
  ])
})

it('claims, names and hints', () => {
  const claim = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
  const set = (more: object) =>
    created(statefulSet, { spec: { ...replicated.spec, serviceName: 's', volumeClaimTemplates: [claim], ...more } })
  assert.deepEqual(set({}).wrong, [])
  const hidden = { name: 'data', persistentVolumeClaim: { claimName: '' } }
  const pods = { ...template, spec: { ...template.spec, volumes: [hidden], hostname: 'No Name', subdomain: 'No Name' } }
  assert.deepEqual(set({ template: pods }).wrong, [], 'a claim takes the place of the volume, and each pod gets names of its own')
  const bad = { ...claim, spec: { accessModes: ['Often'], resources: {} } }
  assert.deepEqual(set({ volumeClaimTemplates: [bad], serviceName: 'a.b' }).wrong, [
    `spec.serviceName: Invalid value: "a.b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
    'spec.volumeClaimTemplates[0].spec.accessModes: Unsupported value: "Often": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
    'spec.volumeClaimTemplates[0].spec.resources[storage]: Required value',
  ])
  assert.deepEqual(
    updated(statefulSet, set({ volumeClaimTemplates: [bad] }).object, (next) => void (next.spec.replicas = 3)),
    [],
    'what an older server took is kept',
  )
  assert.deepEqual(created(podDisruptionBudget, { metadata: { name: 'My_Budget' }, spec: { minAvailable: 1, selector: {} } }).wrong, [])
  assert.deepEqual(created(storageClass, { provisioner: 'example.com/p', reclaimPolicy: '' }).wrong, [])

  const source = (dataSource: object) => created(persistentVolumeClaim, { spec: { ...claim.spec, dataSource } })
  const populated = source({ apiGroup: 'example.com', kind: 'Populator', name: 'p' })
  assert.deepEqual(populated.wrong, [])
  assert.equal(populated.object.spec.dataSource, undefined, 'the older field names claims and snapshots, and nothing else')
  assert.equal(source({ apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 's' }).object.spec.dataSourceRef?.name, 's')

  const hinted = (hints: object) => created(endpointSlice, { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'], hints }] }).wrong
  assert.deepEqual(hinted({ forZones: [{ name: '' }], forNodes: [{ name: 'n1' }] }), [])
  assert.deepEqual(hinted({ forNodes: [{ name: 'n1' }, { name: 'n1' }] }), ['endpoints[0].hints.forNodes[1].name: Duplicate value: "n1"'])

  const fromFile = (volume: object) =>
    created(pod, {
      spec: {
        volumes: [{ name: 'v', ...volume }],
        containers: [
          { name: 'c', image: 'i', env: [{ name: 'A', valueFrom: { fileKeyRef: { volumeName: 'v', path: 'a/b.env', key: 'A' } } }] },
        ],
      },
    }).wrong
  assert.deepEqual(fromFile({ emptyDir: {} }), [])
  assert.deepEqual(fromFile({ configMap: { name: 'm' } }), [
    'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "v": referenced volume must be of type emptyDir',
  ])
})

it('how large a claim is', () => {
  const states =
    '"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", "NodeResizeInfeasible", "NodeResizePending"'
  check(persistentVolumeClaim, { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }, [
    [{ phase: 'Bound', capacity: { storage: '1Gi', 'example.com/iops': '3' } }],
    [{ capacity: { storage: '-1Gi' } }, 'status.capacity[storage]: Invalid value: "-1Gi": must be a valid resource quantity'],
    [
      { allocatedResources: { storage: '-1' } },
      'status.allocatedResources[storage]: Invalid value: "-1": must be a valid resource quantity',
    ],
    [{ allocatedResources: { cpu: '1' } }, 'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"'],
    [{ allocatedResourceStatuses: { storage: 'NodeResizePending', 'example.com/iops': 'NodeResizeInProgress' } }],
    [
      { allocatedResourceStatuses: { storage: 'Soon' } },
      `status.allocatedResourceStatuses: Unsupported value: "storage": supported values: ${states}`,
    ],
  ])
})

it('which devices a claim got, and who uses them', () => {
  const result = { request: 'gpu', driver: 'gpu.example.com', pool: 'node-1', device: 'gpu-0' }
  const allocation = { devices: { results: [result] } }
  const allocated = (change: object) => ({ allocation: { devices: { results: [{ ...result, ...change }] } } })
  const user = { resource: 'pods', name: 'p', uid: 'u' }
  const { request: _, ...which } = result
  const device = { ...which, conditions: [] }
  const at = 'status.allocation.devices.results[0]'
  const label =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
  const body = { spec: { devices: { requests: [{ name: 'gpu', exactly: { deviceClassName: 'gpu.example.com' } }] } } }
  check(resourceClaim, body, [
    [{ allocation, reservedFor: [user], devices: [device] }],
    [
      allocated({ request: 'tpu' }),
      `${at}.request: Invalid value: "tpu": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'`,
    ],
    [
      allocated({ driver: '', pool: '', device: '' }),
      `${at}.driver: Required value`,
      `${at}.pool: Required value`,
      `${at}.device: Required value`,
    ],
    [allocated({ device: 'A' }), `${at}.device: Invalid value: "A": ${label}`],
    [
      { allocation: { devices: { results: Array.from({ length: 33 }, () => result) } } },
      'status.allocation.devices.results: Too many: 33: must have at most 32 items',
    ],
    [
      { allocation: { devices: { config: [{ source: 'FromMe', opaque: { driver: 'd', parameters: {} } }] } } },
      'status.allocation.devices.config[0].source: Unsupported value: "FromMe": supported values: "FromClaim", "FromClass"',
    ],
    [{ reservedFor: [user] }, 'status.reservedFor: Forbidden: may not be specified when `allocated` is not set'],
    [{ allocation, reservedFor: [user, user] }, 'status.reservedFor[1]: Duplicate value: "u"'],
    [
      { allocation, reservedFor: [{ resource: '', name: '', uid: '' }] },
      'status.reservedFor[0].resource: Required value',
      'status.reservedFor[0].name: Required value',
      'status.reservedFor[0].uid: Required value',
    ],
    [
      { allocation, devices: [{ ...device, device: 'gpu-1' }] },
      'status.devices[0]: Invalid value: "gpu.example.com/node-1/gpu-1": must be an allocated device in the claim',
    ],
    [{ allocation, devices: [device, device] }, 'status.devices[1]: Duplicate value: "gpu.example.com/node-1/gpu-0"'],
    [
      { allocation, devices: [{ ...device, networkData: { ips: ['10.0.0.1'] } }] },
      'status.devices[0].networkData.ips[0]: Invalid value: "10.0.0.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
    ],
  ])
  const [other] = [{ ...allocation, nodeSelector: undefined, devices: { results: [{ ...result, device: 'gpu-1' }] } }]
  check(
    resourceClaim,
    body,
    [[{ allocation: other }, `status.allocation: Invalid value: ${JSON.stringify(other)}: field is immutable`], [{ allocation }], [{}]],
    { allocation },
  )
})

it('what the rest is told of itself', () => {
  check(namespace, {}, [
    [{ phase: 'Active' }],
    [{ phase: 'Terminating' }, 'status.Phase: Invalid value: "Terminating": may only be \'Active\' if `deletionTimestamp` is empty'],
  ])
  const repeated: Rows = [
    [{ conditions: [{ type: 'A' }, { type: 'B' }] }],
    [{ conditions: [{ type: 'A' }, { type: 'A' }] }, 'status.conditions[1].type: Duplicate value: "A"'],
    [{ conditions: [{ type: '' }] }, 'status.conditions[0].type: Required value'],
  ]
  check(flowSchema, { spec: { priorityLevelConfiguration: { name: 'a' } } }, repeated)
  check(priorityLevelConfiguration, { spec: { type: 'Limited', limited: { limitResponse: { type: 'Reject' } } } }, repeated)
  const service = {
    metadata: { name: 'v1.example.com' },
    spec: { group: 'example.com', version: 'v1', groupPriorityMinimum: 1, versionPriority: 1 },
  }
  check(apiService, service, [
    [{ conditions: [{ type: 'Available', status: 'True' }] }],
    [
      { conditions: [{ type: 'Available', status: 'Yes' }] },
      'status.conditions[0].status: Unsupported value: "Yes": supported values: "True", "False", "Unknown"',
    ],
  ])
  const rule = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }
  const policy = { spec: { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'true' }] } }
  check(validatingAdmissionPolicy, policy, [
    [{ typeChecking: { expressionWarnings: [{ fieldRef: 'spec.validations[0].expression', warning: 'odd' }] } }],
    [
      { typeChecking: { expressionWarnings: [{ fieldRef: '', warning: '' }] } },
      'status.typeChecking.expressionWarnings[0].warning: Required value',
      'status.typeChecking.expressionWarnings[0].fieldRef: Required value',
    ],
    [
      { conditions: [{ type: 'A', status: 'Yes', reason: 'R', message: '', lastTransitionTime: '2024-01-01T00:00:00Z' }] },
      'status.conditions[0].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"',
    ],
  ])
  const names = { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' }
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }
  const body = { metadata: { name: 'things.example.com' }, spec: { group: 'example.com', scope: 'Cluster', names, versions: [version] } }
  check(
    customResourceDefinition,
    body,
    [
      [{ storedVersions: ['v1'] }],
      [{ storedVersions: [] }, 'status.storedVersions: Invalid value: []: must have at least one stored version'],
      [
        { storedVersions: ['v0', 'v1'] },
        'status.storedVersions[0]: Invalid value: "v0": missing from spec.versions; v0 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions',
      ],
    ],
    { storedVersions: ['v1'] },
  )
})
