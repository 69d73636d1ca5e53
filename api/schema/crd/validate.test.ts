import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Faults } from '../../kinds/rules/faults.ts'
import type { JsonSchema } from './json-schema.ts'
import { openPatterns } from './pattern.ts'
import { validator } from './validate.ts'

const check = validator({ patterns: await openPatterns() })

function faultsOf(schema: JsonSchema, value: unknown, previous?: unknown): string[] {
  const faults = new Faults()
  check({ schema, value, path: 'x', faults, ...(previous !== undefined && { previous }) })
  return faults.list.map(({ field, message }) => `${field}: ${message}`)
}

const text: JsonSchema = { type: 'string' }
const integer: JsonSchema = { type: 'integer' }

/** What is wrong with a value; nothing where the third is absent. */
const table: [schema: JsonSchema, value: unknown, ...faults: string[]][] = [
  [text, 'a'],
  [text, 1, 'x: Invalid value: "integer": x in body must be of type string: "integer"'],
  [text, null, 'x: Invalid value: "null": x in body must be of type string: "null"'],
  [{ ...text, nullable: true }, null],
  [{}, null],
  [integer, 1],
  [integer, 1.5, 'x: Invalid value: "number": x in body must be of type integer: "number"'],
  [{ type: 'number' }, 1],
  [{ type: 'boolean' }, 'true', 'x: Invalid value: "string": x in body must be of type boolean: "string"'],
  [{ type: 'array', items: text }, {}, 'x: Invalid value: "object": x in body must be of type array: "object"'],
  [{ 'x-kubernetes-int-or-string': true }, 1],
  [{ 'x-kubernetes-int-or-string': true }, '1'],
  [{ 'x-kubernetes-int-or-string': true }, true, 'x: Invalid value: "boolean": x in body must be of type integer,string: "boolean"'],
  [{ ...integer, minimum: 1 }, 0, 'x: Invalid value: 0: x in body should be greater than or equal to 1'],
  [{ ...integer, minimum: 1, exclusiveMinimum: true }, 1, 'x: Invalid value: 1: x in body should be greater than 1'],
  [{ ...integer, maximum: 1 }, 2, 'x: Invalid value: 2: x in body should be less than or equal to 1'],
  [{ ...integer, maximum: 1, exclusiveMaximum: true }, 1, 'x: Invalid value: 1: x in body should be less than 1'],
  [{ ...integer, multipleOf: 3 }, 7, 'x: Invalid value: 7: x in body should be a multiple of 3'],
  [{ ...integer, format: 'int32' }, 3e9, 'x: Invalid value: 3000000000: Checked value must be of type integer with format int32 in x'],
  [{ ...text, minLength: 2 }, 'ä', 'x: Invalid value: "ä": x in body should be at least 2 chars long'],
  [{ ...text, maxLength: 2 }, 'äöü', 'x: Too long: may not be more than 2 bytes'],
  [{ ...text, maxLength: 3 }, 'äöü'],
  [{ ...text, pattern: '^a+$' }, 'ab', 'x: Invalid value: "ab": x in body should match \'^a+$\''],
  [{ ...text, format: 'date-time' }, 'soon', 'x: Invalid value: "soon": x in body must be of type date-time: "soon"'],
  [{ ...text, format: 'made-up' }, 'anything'],
  [{ ...text, enum: ['a', 'b'] }, 'c', 'x: Unsupported value: "c": supported values: "a", "b"'],
  [{ ...integer, enum: [1, 2] }, 3, 'x: Unsupported value: 3: supported values: "1", "2"'],
  [
    { type: 'object', enum: [{ a: 1, b: 2 }] },
    { b: 2, a: 1 },
  ],
  [{ type: 'array', items: integer, minItems: 2 }, [1], 'x: Invalid value: 1: x in body should have at least 2 items'],
  [{ type: 'array', items: integer, maxItems: 1 }, [1, 2], 'x: Too many: 2: must have at most 1 items'],
  [
    { type: 'array', items: { ...integer, minimum: 5 } },
    [9, 1],
    'x[1]: Invalid value: 1: x[1] in body should be greater than or equal to 5',
  ],
  [{ type: 'array', items: text, 'x-kubernetes-list-type': 'set' }, ['a', 'b', 'a'], 'x[2]: Duplicate value: "a"'],
  [
    { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k', 'p'] },
    [
      { k: 'a', p: 1 },
      { k: 'a', p: 2 },
      { p: 1, k: 'a' },
    ],
    'x[2]: Duplicate value: {"k":"a","p":1}',
  ],
  [{ type: 'object', required: ['a'], properties: { a: text } }, {}, 'x.a: Required value'],
  [{ type: 'object', properties: { constructor: text } }, {}],
  [{ type: 'object', minProperties: 1 }, {}, 'x: Invalid value: 0: x in body should have at least 1 properties'],
  [{ type: 'object', maxProperties: 1 }, { a: 1, b: 1 }, 'x: Too many: 2: must have at most 1 items'],
  [
    { type: 'object', additionalProperties: integer },
    { a: 'b' },
    'x.a: Invalid value: "string": x.a in body must be of type integer: "string"',
  ],
  [{ ...integer, not: { minimum: 5 } }, 6, 'x: Invalid value: "": "x" must not validate the schema (not)'],
  [
    { ...integer, anyOf: [{ minimum: 5 }, { maximum: 1 }] },
    3,
    'x: Invalid value: "": "x" must validate at least one schema (anyOf)',
    'x: Invalid value: 3: x in body should be greater than or equal to 5',
  ],
  [
    { type: 'object', oneOf: [{ required: ['a'] }, { required: ['b'] }] },
    { a: 1, b: 1 },
    'x: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
  ],
  [
    { ...integer, allOf: [{ minimum: 5 }, { maximum: 9 }] },
    3,
    'x: Invalid value: 3: x in body should be greater than or equal to 5',
    'x: Invalid value: "": "x" must validate all the schemas (allOf)',
  ],
  [
    { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    { kind: 'Pod', metadata: { labels: { a: '-' } } },
    'x.apiVersion: Required value: must not be empty',
    "x.metadata.labels: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
  ],
]

describe('a value against its schema', () => {
  for (const [schema, value, ...faults] of table) {
    it(`${JSON.stringify(value)} of ${JSON.stringify(schema)}`, () => assert.deepEqual(faultsOf(schema, value), faults))
  }

  it('is not judged again where an update leaves it as it was', () => {
    const part: JsonSchema = { type: 'object', properties: { name: text, n: { ...integer, minimum: 5 } } }
    const list: JsonSchema = { type: 'array', items: part, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }
    const schema: JsonSchema = {
      type: 'object',
      properties: { list, n: { ...integer, minimum: 5 }, plain: { ...list, 'x-kubernetes-list-type': 'atomic' } },
    }
    const before = { list: [{ name: 'a', n: 1 }], n: 1, plain: [{ name: 'a', n: 1 }] }
    assert.deepEqual(faultsOf(schema, { ...before, list: [{ name: 'b' }, { name: 'a', n: 1 }] }, before), [])
    assert.equal(faultsOf(schema, { ...before, list: [{ name: 'a', n: 2 }] }, before).length, 1)
    assert.equal(faultsOf(schema, { ...before, plain: [{ name: 'b' }, { name: 'a', n: 1 }] }, before).length, 1)
    assert.equal(faultsOf(schema, { ...before, n: 2 }, before).length, 1)
  })

  it('costs no more than its length, whatever the pattern', () => {
    assert.equal(faultsOf({ ...text, pattern: '^(a+)+$' }, `${'a'.repeat(100_000)}!`).length, 1)
  })
})
