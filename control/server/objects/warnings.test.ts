// What clients are told of objects that are kept and yet are likely not what was meant.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Json, type Trial, trial } from '../testing/trial.fake.ts'

let server: Trial
before(async () => {
  server = await trial()
})
after(() => server.close())

const core = '/api/v1/namespaces/default'
const container = { name: 'c', image: 'i' }

/** Each warning of an answer, as it was said. */
const told = (headers: Headers): string[] =>
  [...(headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text.replace(/\\(.)/g, '$1'))

async function warned(path: string, body: Json, method = 'POST'): Promise<string[]> {
  const answer = await server.ask(method, `${path}?dryRun=All`, { metadata: { name: 'one' }, ...body })
  assert.ok(answer.code < 300, answer.text)
  return told(answer.headers)
}

const pod = async (spec: Json, metadata: Json = {}) =>
  await warned(`${core}/pods`, { metadata: { name: 'one', ...metadata }, spec: { containers: [container], ...spec } })

describe('pods', () => {
  const rows: [spec: Json, ...warnings: string[]][] = [
    [{}],
    [
      { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } },
      'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
    ],
    [
      {
        affinity: {
          nodeAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: {
              nodeSelectorTerms: [{ matchExpressions: [{ key: 'beta.kubernetes.io/arch', operator: 'Exists' }] }],
            },
          },
        },
      },
      'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use "kubernetes.io/arch" instead',
    ],
    [
      { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' }] },
      'spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod',
    ],
    [
      { volumes: [{ name: 'v', glusterfs: { endpoints: 'e', path: 'p' } }] },
      'spec.volumes[0].glusterfs: deprecated in v1.25, non-functional in v1.26+',
    ],
    [{ hostAliases: [{ ip: '10.0.0.1' }, { ip: '10.0.0.1' }] }, 'spec.hostAliases[1].ip: duplicate ip "10.0.0.1"'],
    [{ imagePullSecrets: [{}] }, 'spec.imagePullSecrets[0].name: invalid empty name ""'],
    [{ imagePullSecrets: [{ name: 'a' }, { name: 'a' }] }, 'spec.imagePullSecrets[1].name: duplicate name "a"'],
    [
      { containers: [{ ...container, resources: { limits: { memory: '100m' }, requests: { memory: '0' } } }] },
      'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer',
    ],
    [
      { containers: [{ ...container, env: [{ name: 'A' }, { name: 'A', value: 'b' }] }] },
      'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ],
    [
      {
        containers: [
          {
            ...container,
            env: [
              { name: 'A', value: 'a' },
              { name: 'A', value: '$(A)b' },
            ],
          },
        ],
      },
    ],
    [
      { containers: [{ ...container, ports: [{ containerPort: 80 }, { containerPort: 80 }] }] },
      'spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]',
    ],
    [
      { containers: [{ ...container, ports: [{ containerPort: 80, hostPort: 81 }, { containerPort: 80 }] }] },
      'spec.containers[0].ports[1]: overlapping port definition with spec.containers[0].ports[0]',
    ],
    [
      { terminationGracePeriodSeconds: -1 },
      'spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1',
    ],
    [
      { dnsConfig: { nameservers: ['2001:DB8::1'] } },
      'spec.dnsConfig.nameservers[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")',
    ],
  ]
  for (const [spec, ...warnings] of rows) it(JSON.stringify(spec).slice(0, 80), async () => assert.deepEqual(await pod(spec), warnings))

  it('annotations and names', async () => {
    const annotations = {
      'scheduler.alpha.kubernetes.io/critical-pod': '',
      'container.apparmor.security.beta.kubernetes.io/c': 'unconfined',
    }
    assert.deepEqual(await pod({}, { annotations }), [
      'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use the "appArmorProfile" field instead',
    ])
    assert.match(
      (await pod({}, { name: 'a.b' })).join(),
      /^metadata.name: this is used in the Pod's hostname, which can result in surprising/,
    )
  })
})

it('templates, on create and when they change, once each', async () => {
  const path = '/apis/apps/v1/namespaces/default/deployments'
  const env = [{ name: 'A' }, { name: 'A', value: 'b' }]
  const labels = { a: 'b' }
  const deployment = (more: Json = {}) => ({
    metadata: { name: 'one' },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ ...container, env }] } }, ...more },
  })
  const hidden = 'spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply'
  const made = await server.ask('POST', path, deployment())
  assert.deepEqual(told(made.headers), [hidden])
  assert.deepEqual(told((await server.ask('PUT', `${path}/one`, deployment())).headers), [], 'nothing changed')
  assert.deepEqual(told((await server.ask('PUT', `${path}/one`, deployment({ replicas: 2 }))).headers), [hidden])
  const job = { metadata: { name: 'one' }, spec: { schedule: '@daily', jobTemplate: { spec: { template: deployment().spec.template } } } }
  Object.assign(job.spec.jobTemplate.spec.template.spec, { restartPolicy: 'Never' })
  assert.deepEqual(await warned('/apis/batch/v1/namespaces/default/cronjobs', job), [
    hidden.replace('spec.template', 'spec.jobTemplate.spec.template'),
  ])
})

it('other kinds', async () => {
  const ports = [{ port: 80 }]
  const storage = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/a' } }
  const policy = (cidr: string) => ({ spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr } }] }] } })
  const rows: [path: string, body: Json, ...warnings: string[]][] = [
    [
      '/apis/networking.k8s.io/v1/namespaces/default/ingresses',
      {
        metadata: { name: 'one', annotations: { 'kubernetes.io/ingress.class': 'a' } },
        spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } },
      },
      `annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`,
    ],
    [
      `${core}/services`,
      { spec: { ports, externalIPs: ['192.0.2.1'] } },
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
    ],
    [`${core}/services`, { spec: { ports, externalName: 'a.b' } }, 'spec.externalName is ignored when spec.type is not "ExternalName"'],
    [
      `${core}/services`,
      { spec: { ports, trafficDistribution: 'PreferClose' } },
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
    [
      '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
      policy('10.0.0.1/24'),
      'spec.ingress[0].from[0].ipBlock.cidr: CIDR value "10.0.0.1/24" is ambiguous in this context (should be "10.0.0.0/24" or "10.0.0.1/32"?)',
    ],
    [
      '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
      policy('FD00::/64'),
      'spec.ingress[0].from[0].ipBlock.cidr: IPv6 CIDR value "FD00::/64" should be in RFC 5952 canonical format ("fd00::/64")',
    ],
    [
      '/api/v1/persistentvolumes',
      { spec: { ...storage, persistentVolumeReclaimPolicy: 'Recycle' } },
      'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
    ],
    [
      `${core}/persistentvolumeclaims`,
      { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1500m' } } } },
      'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer',
    ],
    [
      '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices',
      { addressType: 'FQDN', endpoints: [{ addresses: ['a.example.com'] }] },
      'spec.addressType: FQDN endpoints are deprecated',
    ],
    [
      `${core}/endpoints`,
      { subsets: [{ addresses: [{ ip: '10.0.0.1' }] }] },
      'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
    ],
    [
      '/apis/node.k8s.io/v1/runtimeclasses',
      { handler: 'runc', scheduling: { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } } },
      'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead',
    ],
  ]
  for (const [path, body, ...warnings] of rows) assert.deepEqual(await warned(path, body), warnings, JSON.stringify(body))
})

it('what an older version of the rules let in may be changed elsewhere', async () => {
  const path = `${core}/configmaps/old`
  await server.ask('POST', `${core}/configmaps`, { metadata: { name: 'old' } })
  const key = '/registry/core/configmaps/default/old'
  const entry = await server.store.get(key)
  assert.ok(entry)
  const kept = { ...JSON.parse(new TextDecoder().decode(entry.value)), data: { 'a b': 'c' } }
  await server.store.put(key, () => new TextEncoder().encode(JSON.stringify(kept)), { expected: entry.modRevision })
  const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
  assert.equal((await server.ask('PATCH', path, { metadata: { labels: { a: 'b' } } }, merge)).code, 200)
  assert.match((await server.ask('PATCH', path, { data: { 'd e': 'f' } }, merge)).text, /data\[d e\]: Invalid value/)
})
