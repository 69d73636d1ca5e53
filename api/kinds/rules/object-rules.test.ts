// One broken object for each rule of the kinds beside pods, and objects that look odd and are sound.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { created, updated } from '../check.fake.ts'
import { configMap } from '../config-map.ts'
import { csiDriver } from '../csi-driver.ts'
import { deployment } from '../deployment.ts'
import { endpointSlice } from '../endpoint-slice.ts'
import { endpoints } from '../endpoints.ts'
import { ingress } from '../ingress.ts'
import type { KubeObject } from '../kind.ts'
import { lease } from '../lease.ts'
import { limitRange } from '../limit-range.ts'
import { node } from '../node.ts'
import { persistentVolume } from '../persistent-volume.ts'
import { resourceQuota } from '../resource-quota.ts'
import { secret } from '../secret.ts'
import { service } from '../service.ts'
import type { KindSpec } from '../spec.ts'
import { statefulSet } from '../stateful-set.ts'
import { volumeAttachment } from '../volume-attachment.ts'

type Rows = readonly (readonly [given: object, ...wrong: string[]])[]

function check<T extends KubeObject>(spec: KindSpec<T>, rows: Rows, around = (given: object): object => given): void {
  for (const [given, ...wrong] of rows) assert.deepEqual(created(spec, around(given)).wrong, wrong, JSON.stringify(given))
}

const name = (value: string) =>
  `Invalid value: "${value}": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
const cidr = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
const replicated = { selector: { matchLabels: { a: 'b' } }, template }

it('metadata', () => {
  const owner = (more: object) => ({ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u', ...more })
  check(
    configMap,
    [
      [
        { finalizers: ['hold'] },
        'metadata.finalizers[0]: Invalid value: "hold": name is neither a standard finalizer name nor is it fully qualified',
      ],
      [
        { finalizers: ['orphan', 'foregroundDeletion'] },
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
      ],
      [{ finalizers: ['orphan', 'example.com/a'] }],
      [
        { ownerReferences: [owner({ kind: 'Event' })] },
        'metadata.ownerReferences[0]: Invalid value: {"apiVersion":"v1","kind":"Event","name":"p","uid":"u"}: /v1, Kind=Event is disallowed from being an owner',
      ],
      [{ ownerReferences: [owner({ apiVersion: 'events.k8s.io/v1', kind: 'Event' })] }],
    ],
    (metadata) => ({ metadata }),
  )
})

it('services', () => {
  const only = "may only be used when `type` is 'LoadBalancer'"
  const balanced = { type: 'LoadBalancer' }
  check(
    service,
    [
      [{ selector: { 'a b': 'c' } }, `spec.selector: ${name('a b')}`],
      [{ ports: [{ port: 80, appProtocol: 'a b' }] }, `spec.ports[0].appProtocol: ${name('a b')}`],
      [
        { trafficDistribution: 'Near' },
        'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
      ],
      [{ loadBalancerSourceRanges: ['10.0.0.0/8'] }, `spec.LoadBalancerSourceRanges: Forbidden: ${only}`],
      [{ ...balanced, loadBalancerSourceRanges: ['10.0.0.0'] }, `spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": ${cidr}`],
      [{ loadBalancerClass: 'a' }, `spec.loadBalancerClass: Forbidden: ${only}`],
      [{ ...balanced, loadBalancerClass: 'a b' }, `spec.loadBalancerClass: ${name('a b')}`],
      [{ allocateLoadBalancerNodePorts: true }, `spec.allocateLoadBalancerNodePorts: Forbidden: ${only}`],
      [
        { ...balanced, healthCheckNodePort: 30_000 },
        "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ],
      [
        { externalTrafficPolicy: 'Local' },
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
      ],
      [{ externalIPs: ['x'] }, 'spec.externalIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
      [{ externalIPs: ['192.0.2.1'], externalTrafficPolicy: 'Local' }],
      [{ ...balanced, loadBalancerSourceRanges: [' 10.0.0.0/8 '], loadBalancerClass: 'example.com/x' }],
    ],
    (spec) => ({ spec: { ports: [{ port: 80 }], ...spec } }),
  )
  const { object } = created(service, { spec: { ports: [{ port: 80 }], ...balanced, loadBalancerClass: 'a' } })
  assert.deepEqual(
    updated(service, object, (s) => void (s.spec.loadBalancerClass = 'b')),
    ['spec.loadBalancerClass: Invalid value: "b": may not change once set'],
  )
})

it('endpoints and slices', () => {
  const slice = (addressType: string, endpoint: object, ports: object[] = []) => ({ addressType, endpoints: [endpoint], ports })
  const label = (value: string) =>
    `Invalid value: "${value}": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`
  const four = { addresses: ['10.0.0.1'] }
  check(endpointSlice, [
    [slice('IPv6', four), 'endpoints[0].addresses[0]: Invalid value: "10.0.0.1": must be a valid IPv6 address'],
    [slice('IPv4', { addresses: ['::1:2'] }), 'endpoints[0].addresses[0]: Invalid value: "::1:2": must be a valid IPv4 address'],
    [
      slice('FQDN', { addresses: ['a'] }),
      'endpoints[0].addresses[0]: Invalid value: "a": should be a domain with at least two segments separated by dots',
    ],
    [slice('IPv4', { ...four, hostname: 'A' }), `endpoints[0].hostname: ${label('A')}`],
    [
      slice('IPv4', { ...four, hints: { forZones: [{ name: 'a' }, { name: 'a' }] } }),
      'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
    ],
    [slice('IPv4', four, [{ port: 1, appProtocol: 'a b' }]), `ports[0].appProtocol: ${name('a b')}`],
    [slice('FQDN', { addresses: ['a.example.com.'] })],
  ])
  check(endpoints, [
    [{ subsets: [{ addresses: [{ ip: '10.0.0.1', hostname: 'A' }] }] }, `subsets[0].addresses[0].hostname: ${label('A')}`],
    [{ subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 1, name: 'A' }] }] }, `subsets[0].ports[0].name: ${label('A')}`],
  ])
})

it('ingresses are told their class once when they are made', () => {
  const metadata = { annotations: { 'kubernetes.io/ingress.class': 'a' } }
  const spec = { defaultBackend: { service: { name: 's', port: { number: 80 } } } }
  const twice = 'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` when both are specified'
  check(ingress, [
    [{ metadata, spec: { ...spec, ingressClassName: 'b' } }, twice],
    [{ metadata, spec: { ...spec, ingressClassName: 'a' } }],
  ])
  const { object } = created(ingress, { metadata, spec })
  assert.deepEqual(
    updated(ingress, object, (i) => void (i.spec.ingressClassName = 'b')),
    [],
  )
})

it('volumes', () => {
  const capacity = { storage: '1Gi' }
  const common = { capacity, accessModes: ['ReadWriteOnce'] }
  const affinity = (...keys: string[]) => ({
    required: { nodeSelectorTerms: [{ matchExpressions: keys.map((key) => ({ key, operator: 'Exists' as const })) }] },
  })
  check(
    persistentVolume,
    [
      [{ csi: { driver: 'd' } }, 'spec.csi.volumeHandle: Required value'],
      [
        { csi: { driver: 'd', volumeHandle: 'h', nodePublishSecretRef: { name: 's' } } },
        'spec.csi.nodePublishSecretRef.namespace: Required value',
      ],
      [{ local: { path: '/a' } }, 'spec.nodeAffinity: Required value: Local volume requires node affinity'],
      [
        { hostPath: { path: '/a' }, nodeAffinity: affinity('a b') },
        `spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: ${name('a b')}`,
      ],
      [
        { hostPath: { path: '/a/..' }, persistentVolumeReclaimPolicy: 'Recycle' },
        'spec.hostPath.path: Invalid value: "/a/..": must not contain \'..\'',
        "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
      ],
      [
        { hostPath: { path: '/a' }, volumeAttributesClassName: 'c' },
        'spec.csi: Required value: has to be specified when using volumeAttributesClassName',
      ],
      [{ fc: {} }, 'spec.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both'],
      [{ cephfs: { monitors: [] } }, 'spec.cephfs.monitors: Required value'],
    ],
    (spec) => ({ spec: { ...common, ...spec } }),
  )
  const { object } = created(persistentVolume, {
    spec: { ...common, csi: { driver: 'd', volumeHandle: 'h' }, nodeAffinity: affinity('beta.kubernetes.io/os') },
  })
  const change = (next: (spec: typeof object.spec) => void) => updated(persistentVolume, object, (v) => next(v.spec))
  assert.deepEqual(
    change((spec) => {
      spec.nodeAffinity = affinity('kubernetes.io/os')
      spec.csi!.controllerExpandSecretRef = { name: 's', namespace: 'n' }
    }),
    [],
  )
  assert.equal(change((spec) => void (spec.nodeAffinity = affinity('a'))).length, 1)
  assert.equal(change((spec) => void (spec.csi!.volumeHandle = 'other')).length, 1)
  check(csiDriver, [
    [
      { spec: { nodeAllocatableUpdatePeriodSeconds: 5 } },
      'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds',
    ],
  ])
  const inline = { accessModes: ['ReadWriteOnce'], capacity, csi: { driver: 'd', volumeHandle: 'h' } }
  check(volumeAttachment, [
    [
      { spec: { attacher: 'd', nodeName: 'n', source: { inlineVolumeSpec: inline } } },
      'spec.source.inlineVolumeSpec.capacity: Forbidden: may not be specified in the context of inline volumes',
    ],
  ])
})

it('quotas and limits', () => {
  const scopes = (expression: object, hard: object = { pods: '1' }) => ({ hard, scopeSelector: { matchExpressions: [expression] } })
  const at = 'spec.scopeSelector.matchExpressions'
  check(
    resourceQuota,
    [
      [{ hard: { pods: '1500m' } }, 'spec.hard[pods]: Invalid value: "1500m": must be an integer'],
      [{ scopes: ['BestEffort', 'NotBestEffort'] }, 'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
      [
        { hard: { services: '1' }, scopes: ['Terminating'] },
        'spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource',
      ],
      [
        scopes({ scopeName: 'Terminating', operator: 'DoesNotExist' }),
        `${at}.operator: Invalid value: "DoesNotExist": must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity`,
      ],
      [
        scopes({ scopeName: 'PriorityClass', operator: 'In' }),
        `${at}.values: Required value: must be at least one value when \`operator\` is 'In' or 'NotIn' for scope selector`,
      ],
      [{ hard: { 'count/deployments.apps': '1', 'requests.example.com/gpu': '1', 'requests.storage': '1Gi' } }],
    ],
    (spec) => ({ spec }),
  )
  check(
    limitRange,
    [
      [{ type: 'Node' }, 'spec.limits[0].type: Invalid value: "Node": must be a standard limit type or fully qualified'],
      [
        { type: 'Container', max: { pods: '1' } },
        'spec.limits[0].max[pods]: Invalid value: "pods": must be a standard resource for containers',
        'spec.limits[0].default[pods]: Invalid value: "pods": must be a standard resource for containers',
        'spec.limits[0].defaultRequest[pods]: Invalid value: "pods": must be a standard resource for containers',
      ],
      [
        { type: 'Pod', min: { cpu: '1' }, max: { cpu: '2' }, maxLimitRequestRatio: { cpu: '3' } },
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000',
      ],
      [
        { type: 'Container', default: { 'example.com/gpu': '2' }, defaultRequest: { 'example.com/gpu': '1' } },
        'spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 must equal to defaultRequest value 1 in example.com/gpu',
      ],
    ],
    (limit) => ({ spec: { limits: [limit] } }),
  )
})

it('shares of replicas', () => {
  check(
    deployment,
    [
      [{ maxUnavailable: '101%' }, 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%'],
      [{ maxSurge: '200%' }],
    ],
    (rollingUpdate) => ({ spec: { ...replicated, strategy: { rollingUpdate } } }),
  )
  check(
    statefulSet,
    [
      [{ maxUnavailable: 0 }, 'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0'],
      [
        { maxUnavailable: '150%' },
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "150%": must not be greater than 100%',
      ],
    ],
    (rollingUpdate) => ({ spec: { ...replicated, serviceName: 's', updateStrategy: { rollingUpdate } } }),
  )
  const ephemeral = { ...template, spec: { ...template.spec, ephemeralContainers: [{ name: 'e', image: 'i' }] } }
  check(deployment, [
    [
      { spec: { ...replicated, template: ephemeral } },
      'spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template',
    ],
  ])
})

it('nodes, leases and data', () => {
  check(node, [
    [{ spec: { podCIDRs: ['10.0.0.0'] } }, `spec.podCIDRs[0]: Invalid value: "10.0.0.0": ${cidr}`],
    [
      { spec: { podCIDRs: ['10.0.0.0/24', '10.0.1.0/24'] } },
      'spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family',
    ],
    [
      { status: { capacity: { pods: '1.5' } } },
      'status.capacity.pods: Invalid value: "1500m": must be an integer',
      'status.allocatable.pods: Invalid value: "1500m": must be an integer',
    ],
    [{ spec: { podCIDRs: ['10.0.0.0/24', 'fd00::/64'] } }],
  ])
  check(lease, [[{ spec: { preferredHolder: 'a' } }, 'spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined']])
  const half = 'x'.repeat(600 * 1024)
  check(configMap, [
    [{ data: { a: half }, binaryData: { b: Buffer.from(half).toString('base64') } }, '[]: Too long: may not be more than 1048576 bytes'],
  ])
  check(secret, [
    [
      { type: 'kubernetes.io/dockercfg', stringData: { '.dockercfg': 'x' } },
      'data[.dockercfg]: Invalid value: "<secret contents redacted>": invalid character looking for beginning of value',
    ],
  ])
})
