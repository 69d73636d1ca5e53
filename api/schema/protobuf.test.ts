import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { schemaOf } from './compile.ts'
import type { JsonObject } from './decode.ts'
import { encodeProtobuf } from './encode.ts'
import { decodeProtobuf } from './protobuf.ts'

const fixture = (file: string) => readFileSync(new URL(`fixtures/${file}`, import.meta.url))
const names = [
  'core.v1.Pod',
  'core.v1.Service',
  'core.v1.ConfigMap',
  'apps.v1.Deployment',
  'batch.v1.Job',
  'authorization.k8s.io.v1.SelfSubjectAccessReview',
]

for (const name of names) {
  test(`${name} in protobuf is its JSON`, () => {
    assert.deepEqual(decodeProtobuf(fixture(`${name}.pb`)), JSON.parse(fixture(`${name}.json`).toString()))
  })

  test(`${name} as JSON is its protobuf, byte for byte`, () => {
    const object = JSON.parse(fixture(`${name}.json`).toString()) as JsonObject & { apiVersion: string; kind: string }
    const [version = '', group = ''] = object.apiVersion.split('/').reverse()
    const schema = schemaOf({ group, version, kind: object.kind })
    assert(schema)
    const encoded = Buffer.from(encodeProtobuf(schema, object))
    assert.equal(encoded.toString('hex'), fixture(`${name}.pb`).toString('hex'))
  })
}

test('after an object that cannot be written, the next one is written whole', () => {
  const schema = schemaOf({ group: '', version: 'v1', kind: 'Pod' })
  assert(schema)
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }
  const before = encodeProtobuf(schema, pod)
  const wrong: object[] = [
    { spec: { activeDeadlineSeconds: 2 ** 40 + 0.5 } },
    { spec: { activeDeadlineSeconds: 2 ** 40 + 0.5 }, status: { podIP: 7 } },
  ]
  for (const part of wrong) {
    assert.throws(() => encodeProtobuf(schema, { ...pod, ...part }))
    assert.deepEqual(encodeProtobuf(schema, pod), before, JSON.stringify(part))
  }
})

test('what is no string where one should be is written as its text', () => {
  const schema = schemaOf({ group: '', version: 'v1', kind: 'Pod' })
  assert(schema)
  const named = (name: unknown) => encodeProtobuf(schema, { apiVersion: 'v1', kind: 'Pod', metadata: { name } } as never)
  assert.deepEqual(named(7), named('7'))
  assert.deepEqual(named(true), named('true'))
})

const outcome = (bytes: Uint8Array): boolean => {
  try {
    decodeProtobuf(bytes)
    return true
  } catch (error) {
    assert(isStatus(error, 'BadRequest'), String(error))
    return false
  }
}

test('truncated bodies are refused or short, never a crash', () => {
  const bytes = fixture('core.v1.Service.pb')
  for (let length = 0; length < bytes.length; length++) outcome(bytes.subarray(0, length))
  assert(!outcome(bytes.subarray(0, bytes.length - 20)))
})

test('flipped bytes are refused or read as something else, never a crash', () => {
  const bytes = fixture('core.v1.Service.pb')
  let seed = 1
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 0x8000_0000
    return seed % below
  }
  let refused = 0
  for (let round = 0; round < 3000; round++) {
    const copy = Buffer.from(bytes)
    for (let flips = 1 + random(3); flips > 0; flips--) copy[4 + random(copy.length - 4)] = random(256)
    if (!outcome(copy)) refused++
  }
  assert(refused > 500)
})
