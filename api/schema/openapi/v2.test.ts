import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WireReader } from '../wire.ts'
import { toGnostic } from './gnostic.ts'
import type { Json } from './json.ts'
import { openapiV2 } from './v2.ts'

const document = openapiV2(
  [
    {
      kind: { group: '', version: 'v1', kind: 'Service', plural: 'services', namespaced: true },
      verbs: ['get', 'list', 'create', 'patch'],
    },
  ],
  'v1.33.0',
) as { definitions: Record<string, Json & { properties: Record<string, Json> }>; paths: Record<string, Json> }

test('version 2 keeps what stands beside a reference', () => {
  const service = document.definitions['io.k8s.api.core.v1.Service']
  assert.equal(service?.properties.spec?.$ref, '#/definitions/io.k8s.api.core.v1.ServiceSpec')
  assert.deepEqual(service?.properties.spec?.default, {})
  assert.deepEqual(service?.['x-kubernetes-group-version-kind'], [{ group: '', kind: 'Service', version: 'v1' }])
})

/** The texts of a message by field number, following `path` through nested messages. */
function fields(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const found = new Map<number, Uint8Array[]>()
  const reader = new WireReader(bytes)
  while (!reader.done) {
    const { number, type } = reader.tag()
    if (type === 2) found.set(number, [...(found.get(number) ?? []), reader.bytes()])
    else reader.skip(type)
  }
  return found
}
const one = (bytes: Uint8Array | undefined, number: number) => fields(bytes ?? new Uint8Array()).get(number)?.[0]
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes)
const entry = (list: Uint8Array | undefined, number: number, name: string) =>
  one(
    fields(list ?? new Uint8Array())
      .get(number)
      ?.find((item) => text(one(item, 1)) === name),
    2,
  )

test('as protobuf: definitions, their properties and extensions', () => {
  const bytes = toGnostic(document)
  assert.equal(text(one(bytes, 1)), '2.0')
  const service = entry(one(bytes, 9), 1, 'io.k8s.api.core.v1.Service')
  assert.equal(text(one(one(service, 22), 1)), 'object')
  assert.equal(text(one(entry(one(service, 25), 1, 'spec'), 1)), '#/definitions/io.k8s.api.core.v1.ServiceSpec')
  const extension = one(entry(service, 31, 'x-kubernetes-group-version-kind'), 2)
  assert.deepEqual(JSON.parse(text(extension)), [{ group: '', kind: 'Service', version: 'v1' }])
  const patch = one(entry(one(bytes, 8), 2, '/api/v1/namespaces/{namespace}/services/{name}'), 8)
  const names = fields(patch ?? new Uint8Array())
    .get(8)
    ?.map((item) => text(one(one(one(one(item, 1), 2), 3), 4)))
  assert.deepEqual(names, ['pretty', 'dryRun', 'fieldManager', 'fieldValidation', 'force'])
})
