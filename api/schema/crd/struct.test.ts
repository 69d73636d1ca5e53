import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compareVersions } from '../../kinds/rules/version-order.ts'
import { decode } from '../decode.ts'
import { setDefaults } from '../defaults.ts'
import { isFormatted } from './formats.ts'
import type { JsonSchema } from './json-schema.ts'
import { structOf } from './struct.ts'

const struct = (schema: JsonSchema) =>
  structOf({ type: 'object', properties: { spec: schema } }, { go: 'v1.Widget', name: 'com.example.v1.Widget' })

function formed(schema: JsonSchema, spec: unknown): unknown {
  const { object } = decode(struct(schema), { spec })
  setDefaults(struct(schema), object)
  return object.spec
}
const object = (properties: Record<string, JsonSchema>, rest: JsonSchema = {}): JsonSchema => ({ type: 'object', properties, ...rest })
const keep = { 'x-kubernetes-preserve-unknown-fields': true } as const

describe('a custom object', () => {
  const table: [what: string, schema: JsonSchema, given: unknown, kept: unknown][] = [
    ['loses what the schema does not know', object({ a: { type: 'string' } }), { a: 'x', b: 1 }, { a: 'x' }],
    ['keeps it where the schema says so', object({ a: object({}) }, keep), { a: { x: 1 }, b: { y: 1 } }, { a: {}, b: { y: 1 } }],
    [
      'keeps values of the wrong type, to be named',
      object({ a: { type: 'integer' }, l: { type: 'array', items: { type: 'string' } } }),
      { a: 'x', l: 'y' },
      { a: 'x', l: 'y' },
    ],
    ['keeps zeros', object({ a: { type: 'integer' }, b: { type: 'string' } }), { a: 0, b: '' }, { a: 0, b: '' }],
    [
      'is pruned in lists and maps',
      object({ l: { type: 'array', items: object({}) }, m: { type: 'object', additionalProperties: object({}) } }),
      { l: [{ x: 1 }], m: { k: { x: 1 } } },
      { l: [{}], m: { k: {} } },
    ],
    ['may be of any type where none is named', object({ a: { ...keep } }), { a: [{ b: null }] }, { a: [{ b: null }] }],
    [
      'drops null where it may not be',
      object({ a: { type: 'string' }, b: { type: 'string', nullable: true } }),
      { a: null, b: null },
      { b: null },
    ],
    ['gets defaults within defaults', object({ a: object({ b: { type: 'integer', default: 1 } }, { default: {} }) }), {}, { a: { b: 1 } }],
    [
      'gets defaults within what was given instead',
      object({ a: object({ b: { type: 'integer', default: 1 }, c: { type: 'string' } }, { default: { c: 'x' } }) }),
      { a: {} },
      { a: { b: 1 } },
    ],
    ['gets no default for zero', object({ a: { type: 'integer', default: 5 } }), { a: 0 }, { a: 0 }],
    ['gets the default for null', object({ a: { type: 'integer', default: 5 } }), { a: null }, { a: 5 }],
    ['keeps what has a JavaScript name', object({ constructor: { type: 'string' } }), { constructor: 'x' }, { constructor: 'x' }],
    [
      'has no such thing by itself',
      object({ constructor: { type: 'string', default: 'd' }, toString: { type: 'string' } }),
      {},
      { constructor: 'd' },
    ],
    [
      'has its own metadata inside',
      { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { a: { type: 'string' } } },
      { kind: 'K', metadata: { name: 'n', nonsense: 1 }, a: 'x', b: 1 },
      { kind: 'K', metadata: { name: 'n' }, a: 'x' },
    ],
  ]
  for (const [what, schema, given, kept] of table) it(what, () => assert.deepEqual(formed(schema, given), kept))

  it('does not share its defaults with others', () => {
    const schema = struct(object({ a: { type: 'object', default: { l: [] }, ...keep } }))
    const make = () => {
      const { object } = decode(schema, { spec: {} })
      setDefaults(schema, object)
      return object as { spec: { a: { l: number[] } } }
    }
    make().spec.a.l.push(1)
    assert.deepEqual(make().spec.a.l, [])
  })

  it('says which fields are unknown', () => {
    const { warnings } = decode(
      struct(object({ l: { type: 'array', items: object({}) } })),
      { spec: { l: [{ x: 1 }] }, y: 1 },
      { fieldValidation: 'Warn' },
    )
    assert.deepEqual(warnings, ['unknown field "spec.l[0].x"', 'unknown field "y"'])
  })
})

describe('a format', () => {
  const table: [format: string, good: string[], bad: string[]][] = [
    ['date-time', ['2024-02-29T12:00:00Z', '2024-02-29T12:00:00.5+02:00'], ['2024-02-30T12:00:00Z', '2024-02-29', '2024-02-29T25:00:00Z']],
    ['date', ['2024-02-29'], ['2023-02-29', '2024-2-9']],
    ['duration', ['1h30m', '22 ns', '5 days'], ['soon', '1x']],
    ['ipv4', ['10.0.0.1'], ['10.0.0.256', '::1']],
    ['ipv6', ['::1', 'fd00::1'], ['10.0.0.1', '::g']],
    ['cidr', ['10.0.0.0/8', 'fd00::/8'], ['10.0.0.0/33', '10.0.0.0', 'x/8']],
    ['mac', ['01:23:45:67:89:ab'], ['01:23:45']],
    ['uuid', ['12345678-1234-1234-1234-123456789abc'], ['12345678']],
    ['uuid4', ['12345678-1234-4234-8234-123456789abc'], ['12345678-1234-1234-1234-123456789abc']],
    ['email', ['a@b.c'], ['a b', '@b']],
    ['hostname', ['a-b.example.com'], ['-a', 'a_b']],
    ['uri', ['https://a/b', 'urn:x'], ['no uri']],
    ['byte', ['aGk='], ['aGk', 'ä']],
    ['isbn', ['978-3-16-148410-0', '0-306-40615-2'], ['978-3-16-148410-1']],
    ['creditcard', ['4111 1111 1111 1111'], ['4111 1111 1111 1112']],
    ['hexcolor', ['#fff', '00ff00'], ['#ggg']],
    ['rgbcolor', ['rgb(1, 2, 3)'], ['rgb(1, 2, 300)']],
    ['bson-object-id', ['507f1f77bcf86cd799439011'], ['507f']],
    ['password', ['anything'], []],
    ['unheard-of', ['anything'], []],
  ]
  for (const [format, good, bad] of table) {
    it(format, () => {
      for (const text of good) assert.ok(isFormatted(format, text), text)
      for (const text of bad) assert.ok(!isFormatted(format, text), text)
    })
  }
})

it('versions are preferred as Kubernetes prefers them', () => {
  const order = ['v10', 'v2', 'v1', 'v11beta2', 'v10beta3', 'v3beta1', 'v12alpha1', 'v11alpha2', 'bar1', 'foo1', 'foo10']
  assert.deepEqual(order.toReversed().sort(compareVersions), order)
})
