import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { schemaOf } from './compile.ts'
import { type DecodeOptions, decode } from './decode.ts'
import { setDefaults } from './defaults.ts'
import { parseJson } from './json.ts'
import type { Struct } from './schema.ts'

const schema = (group: string, kind: string): Struct => {
  const found = schemaOf({ group, version: 'v1', kind })
  assert(found)
  return found
}
const deployment = schema('apps', 'Deployment')
const pod = schema('', 'Pod')
const decodeText = (kind: Struct, text: string, options: DecodeOptions = {}) => {
  const { value, duplicates } = parseJson(text, { duplicates: true })
  return decode(kind, value, { faults: duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`), ...options })
}
const refusal = (kind: Struct, value: unknown, options?: DecodeOptions): string => {
  try {
    decode(kind, value, options)
  } catch (error) {
    assert(isStatus(error, 'BadRequest'))
    return error.message
  }
  throw new Error('accepted')
}
const badDeployment = (rest: object) => refusal(deployment, { apiVersion: 'apps/v1', kind: 'Deployment', ...rest })
const container = (rest: object) => ({ spec: { template: { spec: { containers: [{ name: 'a', ...rest }] } } } })
const envelope = 'Deployment in version "v1" cannot be handled as a Deployment: '

const fixtures: [string, string, string][] = [
  ['core.v1.Pod', '', 'Pod'],
  ['core.v1.Service', '', 'Service'],
  ['core.v1.ConfigMap', '', 'ConfigMap'],
  ['apps.v1.Deployment', 'apps', 'Deployment'],
  ['batch.v1.Job', 'batch', 'Job'],
  ['authorization.k8s.io.v1.SelfSubjectAccessReview', 'authorization.k8s.io', 'SelfSubjectAccessReview'],
]
for (const [name, group, kind] of fixtures) {
  test(`a fully populated ${name} comes back as it is`, () => {
    const json = JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'))
    const { object, warnings } = decode(schema(group, kind), json, { fieldValidation: 'Strict' })
    assert.deepEqual(object, json)
    assert.deepEqual(warnings, [])
  })
}

test('wrong types are refused in the words of Go', () => {
  assert.equal(
    badDeployment({ spec: { replicas: '3' } }),
    `${envelope}json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`,
  )
  assert.equal(
    badDeployment({ spec: { replicas: 1.5 } }),
    `${envelope}json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32`,
  )
  assert.equal(
    badDeployment({ spec: { replicas: 3_000_000_000 } }),
    `${envelope}json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32`,
  )
  assert.equal(
    badDeployment(container({ env: [{ name: 'a', value: 1 }] })),
    `${envelope}json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string`,
  )
  assert.equal(
    badDeployment({ spec: { template: { spec: { containers: {} } } } }),
    `${envelope}json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container`,
  )
  assert.equal(
    badDeployment({ spec: 'x' }),
    `${envelope}json: cannot unmarshal string into Go struct field Deployment.spec of type v1.DeploymentSpec`,
  )
  assert.equal(
    badDeployment({ metadata: { labels: { a: true } } }),
    `${envelope}json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string`,
  )
  assert.match(badDeployment(container({ resources: { limits: { cpu: '1x' } } })), /quantities must match the regular expression/)
  assert.match(badDeployment({ metadata: { creationTimestamp: 'now' } }), /parsing time "now" as "2006-01-02T15:04:05Z07:00"/)
  assert.match(refusal(schema('', 'Secret'), { kind: 'Secret', data: { a: '***' } }), /illegal base64 data at input byte 0/)
  assert.equal(
    refusal(deployment, []),
    'the object provided is unrecognized (must be of type Deployment): json: cannot unmarshal array into Go value of type v1.Deployment',
  )
})

test('unknown and duplicate fields: dropped, warned of, or refused', () => {
  const text = `{"kind":"Deployment","apiVersion":"apps/v1","Spec":1,"spec":{"replicas":1,"replicas":2,
    "template":{"spec":{"containers":[{"name":"a","imagee":"b"}]}},"foo":{"bar":1}}}`
  const { object, warnings } = decodeText(deployment, text, { fieldValidation: 'Warn' })
  assert.deepEqual(warnings, [
    'unknown field "spec.template.spec.containers[0].imagee"',
    'unknown field "spec.foo"',
    'unknown field "Spec"',
    'duplicate field "spec.replicas"',
  ])
  assert.deepEqual((object.spec as { replicas: number }).replicas, 2)
  assert(!('foo' in (object.spec as object)) && !('Spec' in object))
  assert.deepEqual(decodeText(deployment, text).warnings, [])
  assert.throws(
    () => decodeText(deployment, text, { fieldValidation: 'Strict' }),
    (error) => isStatus(error, 'BadRequest') && error.message.startsWith(`${envelope}strict decoding error: unknown field "spec.template`),
  )
})

test('what is kept is what a pass through Go structs would print', () => {
  const { object } = decode(pod, {
    metadata: { name: 'a', labels: {}, creationTimestamp: null, deletionTimestamp: '2024-02-29T23:30:00.5+01:00' },
    spec: {
      hostNetwork: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', args: [], resources: { limits: { cpu: 0.5, memory: '1024Mi' }, requests: { cpu: '1000m' } } }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
  })
  assert.deepEqual(object, {
    metadata: { name: 'a', deletionTimestamp: '2024-02-29T22:30:00Z' },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', resources: { limits: { cpu: '500m', memory: '1Gi' }, requests: { cpu: '1' } } }],
      volumes: [{ name: 'v', emptyDir: {} }],
    },
    status: {},
  })
  assert.deepEqual(decode(deployment, {}).object, {
    metadata: {},
    spec: { template: { metadata: {}, spec: { containers: [] } }, strategy: {} },
    status: {},
  })
})

test('a key named __proto__ is a key', () => {
  const { object } = decodeText(schema('', 'ConfigMap'), '{"data":{"__proto__":"x"}}')
  assert.deepEqual(Object.entries(object.data as object), [['__proto__', 'x']])
})

test('the table’s defaults', () => {
  const { object } = decode(schema('', 'Service'), { spec: { ports: [{ port: 80 }, { port: 53, protocol: 'UDP' }] } })
  setDefaults(schema('', 'Service'), object)
  assert.deepEqual(object.spec, {
    ports: [
      { port: 80, protocol: 'TCP' },
      { port: 53, protocol: 'UDP' },
    ],
  })
})

test('half a surrogate pair is no character', () => {
  const { value } = parseJson('{"\\udc00":["a\\uD83E\\udd80b","\\ud800","\\\\ud800","\\ud800\\n"]}')
  assert.deepEqual(value, { '\ufffd': ['a\u{1f980}b', '\ufffd', '\\ud800', '\ufffd\n'] })
})

test('bodies that are no JSON, or too deep, are bad requests', () => {
  for (const text of ['', '{', '{"a":1}}', `${'['.repeat(60_000)}${']'.repeat(60_000)}`]) {
    assert.throws(
      () => parseJson(text),
      (error) => isStatus(error, 'BadRequest'),
    )
  }
  assert.deepEqual(parseJson('[{"a\\"":1,"a\\u0022":{"b":"{,","b":2}},{"a":1}]', { duplicates: true }).duplicates, ['[0].a"', '[0].a".b'])
})

test('JSON of more values than any object has is refused before there is one of them', () => {
  const members = (n: number) => `{${Array.from({ length: n }, (_, i) => `"k${i}":"[,{"`).join()}}`
  assert.equal(Object.keys(parseJson(members(16_384)).value as object).length, 16_384)
  assert.equal((parseJson(`[${'0,'.repeat(60_000)}0]`).value as unknown[]).length, 60_001)
  for (const text of [members(70_000), `[${'0,'.repeat(70_000)}0]`, `[${'{},'.repeat(70_000)}0]`])
    assert.throws(() => parseJson(text), { reason: 'RequestEntityTooLarge' })
  // Whose map it is, is told.
  assert.throws(() => parseJson(`{"a":[{},{"b":${members(16_385)}}]}`), {
    reason: 'RequestEntityTooLarge',
    message: 'Request entity too large: a[1].b has 16385 members, limit is 16384',
  })
  for (const text of ['['.repeat(70_000), '{"a":'.repeat(70_000)])
    assert.throws(() => parseJson(text), { reason: 'BadRequest', message: 'json: exceeded max depth' })
  // What ends nowhere.
  assert.throws(() => parseJson(`["${'\\'.repeat(70_001)}`), { reason: 'BadRequest' })
})
