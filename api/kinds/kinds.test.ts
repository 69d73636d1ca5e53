import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { builtinKinds } from './registry.ts'
import { humanDuration } from './rules/age.ts'
import { Faults, same } from './rules/faults.ts'
import { isPathSegment } from './rules/forms.ts'
import {
  isConfigKey,
  isDns1035Label,
  isDns1123Subdomain,
  isEnvName,
  isIP,
  isLabelValue,
  isPortName,
  isQualifiedName,
} from './rules/names.ts'
import type { KindSpec } from './spec.ts'

type Json = ReturnType<typeof JSON.parse>
const specOf = (kind: string) => builtinKinds.find((s) => s.kind.kind === kind) as KindSpec

/** With defaults, then each fault as `field: message`. */
function faultsOf(kind: string, object: Json): string[] {
  const spec = specOf(kind)
  const whole = { metadata: { name: 'x', namespace: 'test' }, ...object }
  spec.defaults?.(whole)
  const faults = new Faults()
  spec.validate?.(whole, faults)
  return faults.list.map((f) => `${f.field}: ${f.message}`)
}
const container = (more: Json = {}) => ({ name: 'c', image: 'i', ...more })
const podFaults = (spec: Json) => faultsOf('Pod', { spec: { containers: [container()], ...spec } })
const containerFaults = (more: Json, spec: Json = {}) => podFaults({ ...spec, containers: [container(more)] })

describe('defaults', () => {
  it('of a pod are those that Kubernetes writes', () => {
    const spec: Json = {
      containers: [
        {
          name: 'c',
          image: 'registry:5000/app',
          ports: [{ containerPort: 80 }],
          livenessProbe: { httpGet: { port: 80 } },
          resources: { limits: { cpu: '1' }, requests: { memory: '1Mi' } },
        },
      ],
      volumes: [
        { name: 'a' },
        { name: 'b', configMap: { name: 'm' } },
        { name: 'c', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
      ],
    }
    const pod: Json = { metadata: { name: 'x' }, spec }
    specOf('Pod').defaults?.(pod)
    const [c] = spec.containers
    assert.equal(c.imagePullPolicy, 'Always')
    assert.deepEqual(c.ports, [{ containerPort: 80, protocol: 'TCP' }])
    assert.deepEqual(c.livenessProbe, {
      httpGet: { port: 80, path: '/', scheme: 'HTTP' },
      timeoutSeconds: 1,
      periodSeconds: 10,
      successThreshold: 1,
      failureThreshold: 3,
    })
    assert.deepEqual(c.resources, { limits: { cpu: '1' }, requests: { cpu: '1', memory: '1Mi' } })
    assert.deepEqual([c.terminationMessagePath, c.terminationMessagePolicy], ['/dev/termination-log', 'File'])
    assert.deepEqual(spec.volumes[0], { name: 'a', emptyDir: {} })
    assert.equal(spec.volumes[1].configMap.defaultMode, 420)
    assert.equal(spec.volumes[2].projected.sources[0].serviceAccountToken.expirationSeconds, 3600)
    const { containers: _, volumes: __, ...rest } = spec
    assert.deepEqual(rest, {
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
    })
  })

  it('change nothing the second time', () => {
    const examples: [string, Json][] = [
      ['Pod', { spec: { containers: [container({ resources: { limits: { cpu: '1' } } })], volumes: [{ name: 'v' }] } }],
      ['Deployment', { spec: { selector: {}, template: { spec: { containers: [container()] } } } }],
      ['Service', { spec: { ports: [{ port: 1 }], type: 'NodePort', sessionAffinity: 'ClientIP' } }],
      ['Secret', { stringData: { a: 'b' } }],
      ['Namespace', {}],
    ]
    for (const [kind, example] of examples) {
      const object = { metadata: { name: 'x' }, ...example }
      specOf(kind).defaults?.(object)
      const once = structuredClone(object)
      specOf(kind).defaults?.(object)
      assert.deepEqual(object, once, kind)
    }
  })

  it('of the pull policy follow the tag', () => {
    const policy = (image: string) => {
      const pod: Json = { metadata: {}, spec: { containers: [{ name: 'c', image }] } }
      specOf('Pod').defaults?.(pod)
      return pod.spec.containers[0].imagePullPolicy
    }
    assert.deepEqual(['a', 'a:latest', 'h:5000/a', 'a:1', 'h:5000/a:1', 'a@sha256:0'].map(policy), [
      'Always',
      'Always',
      'Always',
      'IfNotPresent',
      'IfNotPresent',
      'IfNotPresent',
    ])
  })
})

describe('rules', () => {
  it('of containers', () => {
    assert.deepEqual(podFaults({ containers: [] }), ['spec.containers: Required value'])
    assert.deepEqual(podFaults({ containers: [container(), container()] }), ['spec.containers[1].name: Duplicate value: "c"'])
    assert.deepEqual(containerFaults({ volumeMounts: [{ name: 'v', mountPath: '/a' }] }), [
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ])
    assert.deepEqual(containerFaults({ env: [{ name: 'A=B' }] }), [
      'spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
    ])
    assert.deepEqual(containerFaults({ ports: [{ containerPort: 99999 }] }), [
      'spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive',
    ])
    assert.deepEqual(containerFaults({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }), [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    ])
    assert.deepEqual(containerFaults({ resources: { limits: { memory: '-1' } } }).slice(0, 1), [
      'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
    ])
    assert.deepEqual(containerFaults({ livenessProbe: { exec: { command: ['a'] }, successThreshold: 2 } }), [
      'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
    ])
    assert.deepEqual(containerFaults({ readinessProbe: {} }), [
      'spec.containers[0].readinessProbe: Required value: must specify a handler type',
    ])
    assert.deepEqual(containerFaults({ imagePullPolicy: 'Sometimes' }), [
      'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"',
    ])
  })

  it('of pods', () => {
    assert.deepEqual(podFaults({ dnsPolicy: 'None' }), [
      'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
    ])
    assert.deepEqual(podFaults({ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] }), [
      'spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type',
    ])
  })

  it('of deployments', () => {
    const spec = (more: Json) => ({
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [container()] } },
        ...more,
      },
    })
    assert.deepEqual(faultsOf('Deployment', spec({})), [])
    assert.deepEqual(faultsOf('Deployment', spec({ replicas: -1 })), [
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ])
    assert.deepEqual(faultsOf('Deployment', spec({ selector: { matchLabels: { a: 'c' } } })), [
      'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
    ])
    assert.deepEqual(faultsOf('Deployment', spec({ selector: undefined })), ['spec.selector: Required value'])
    assert.deepEqual(faultsOf('Deployment', spec({ strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: '0%' } } })), [
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
    ])
    const never = { metadata: { labels: { a: 'b' } }, spec: { restartPolicy: 'Never', containers: [container()] } }
    assert.deepEqual(faultsOf('Deployment', spec({ template: never })), [
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ])
  })

  it('of services', () => {
    const faults = (spec: Json) => faultsOf('Service', { spec: { ports: [{ port: 80 }], ...spec } })
    assert.deepEqual(faults({}), [])
    assert.deepEqual(faults({ ports: [] }), ['spec.ports: Required value'])
    assert.deepEqual(faults({ ports: [{ port: 1 }, { port: 2 }] }), [
      'spec.ports[0].name: Required value',
      'spec.ports[1].name: Required value',
    ])
    assert.deepEqual(faults({ clusterIP: 'None', type: 'NodePort' }), [
      'spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services',
    ])
    assert.deepEqual(faults({ type: 'ExternalName' }), ['spec.externalName: Required value'])
    assert.deepEqual(faults({ ports: [{ port: 80, nodePort: 30_000 }] }), [
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    ])
  })

  it('of names', () => {
    const good: [(value: string) => string[], string[]][] = [
      [isDns1123Subdomain, ['a', 'a.b-c.d', '1']],
      [isDns1035Label, ['a', 'a-1']],
      [isQualifiedName, ['a', 'example.com/A_b', '1.2']],
      [isLabelValue, ['', 'A', 'a.b_c-1']],
      [isPortName, ['http', 'p-1']],
      [isEnvName, ['A', 'a.b', '1 x']],
      [isConfigKey, ['a.b', '_', '.x']],
      [isIP, ['1.2.3.4', '::1', '2001:db8::1']],
      [isPathSegment, ['system:a:B', 'a b', '\u{1f980}']],
    ]
    const bad: [(value: string) => string[], string[]][] = [
      [isDns1123Subdomain, ['', 'A', 'a_b', '-a', 'a..b', 'x'.repeat(254)]],
      [isDns1035Label, ['1a', 'a.b', 'x'.repeat(64)]],
      [isQualifiedName, ['', 'a/b/c', '/a', 'A.com/x', 'a/', '-a']],
      [isLabelValue, ['-', 'a b', 'x'.repeat(64)]],
      [isPortName, ['', '1', 'a--b', '-a', 'x'.repeat(16), 'A']],
      [isEnvName, ['', '=']],
      [isConfigKey, ['', '.', '..', '..x', 'a/b']],
      [isIP, ['', '1.2.3', '1.2.3.256', '01.2.3.4', ':', 'a']],
      [isPathSegment, ['.', '..', 'a/b', '50%', '\0']],
    ]
    for (const [rule, values] of good) for (const value of values) assert.deepEqual(rule(value), [], value)
    for (const [rule, values] of bad) for (const value of values) assert.notEqual(rule(value).length, 0, value)
  })
})

it('durations read as kubectl prints them', () => {
  const s = 1000
  const shown: [number, string][] = [
    [0, '0s'],
    [119 * s, '119s'],
    [120 * s, '2m'],
    [150 * s, '2m30s'],
    [600 * s, '10m'],
    [179 * 60 * s, '179m'],
    [3 * 3600 * s, '3h'],
    [(3 * 3600 + 300) * s, '3h5m'],
    [47 * 3600 * s, '47h'],
    [49 * 3600 * s, '2d1h'],
    [8 * 86_400 * s, '8d'],
    [400 * 86_400 * s, '400d'],
    [(2 * 365 + 5) * 86_400 * s, '2y5d'],
    [-5 * s, '<invalid>'],
  ]
  for (const [ms, text] of shown) assert.equal(humanDuration(ms), text)
})

it('equality does not mind the order of keys, or what is undefined', () => {
  assert.ok(same({ a: 1, b: [{ c: 2 }] }, { b: [{ c: 2, d: undefined }], a: 1 }))
  assert.ok(!same({ a: 1 }, { a: 1, b: null }))
  assert.ok(!same([1, 2], [2, 1]))
  assert.ok(!same({}, []))
})
