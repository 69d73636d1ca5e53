import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOf } from './compile.ts'
import { decode, type JsonObject } from './decode.ts'
import { encodeProtobuf } from './encode.ts'
import { decodeProtobuf } from './protobuf.ts'
import { randomObject, seeded } from './random.fake.ts'
import { packages } from './table.ts'

for (const [name, { group, version, types }] of Object.entries(packages())) {
  const kinds = Object.keys(types).filter((kind) => types[kind]?.kind)
  // Internal versions have no JSON or protobuf form, and tables no protobuf form.
  if (!kinds.length || !/^v\d/.test(version)) continue
  test(`${name}: random objects of its ${kinds.length} kinds, by JSON and by protobuf`, () => {
    for (const kind of kinds) {
      const schema = schemaOf({ group, version, kind })
      if (!schema || kind === 'Table') continue
      const random = seeded(kind.length * 7919 + name.length)
      for (let round = 0; round < 4; round++) {
        const input = { ...randomObject(schema, random, 6), apiVersion: group ? `${group}/${version}` : version, kind }
        const { object, warnings } = decode(schema, input, { fieldValidation: 'Strict' })
        const typed = object as JsonObject & { apiVersion: string; kind: string }
        assert.deepEqual(warnings, [])
        assert.deepEqual(decode(schema, object).object, object)
        if ([...schema.wire].length) assert.deepEqual(decodeProtobuf(encodeProtobuf(schema, typed)), withPorts(object), kind)
      }
    }
  })
}

/** The one number or text by value that JSON may leave out; Go's is 0 then, and defaulted. */
function withPorts(object: JsonObject): JsonObject {
  const { ports } = (object.spec ?? {}) as { ports?: JsonObject[] }
  for (const port of object.kind === 'Service' ? (ports ?? []) : []) port.targetPort ??= 0
  return object
}
