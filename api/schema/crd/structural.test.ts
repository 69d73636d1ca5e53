import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { atOnce } from '../../breather.ts'
import { Faults } from '../../kinds/rules/faults.ts'
import { validateDefaults } from './defaults.ts'
import type { JsonSchema } from './json-schema.ts'
import { openPatterns } from './pattern.ts'
import { validateRules } from './rules.ts'
import { validateStructure } from './structural.ts'

const patterns = await openPatterns()

function faultsOf(schema: JsonSchema): string[] {
  const faults = new Faults()
  atOnce(validateStructure(schema, 's', { patterns, faults }))
  validateRules(schema, 's', faults)
  if (!faults.list.length) validateDefaults(schema, 's', { patterns, faults })
  return faults.list.map(({ field, message }) => `${field}: ${message}`)
}
/** Of a schema with one property. */
const of = (a: JsonSchema, rest: JsonSchema = {}): JsonSchema => ({ type: 'object', properties: { a }, ...rest })
const text: JsonSchema = { type: 'string' }
const a = 's.properties[a]'

const good: JsonSchema[] = [
  { type: 'object' },
  { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  of({ 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }),
  of({ 'x-kubernetes-int-or-string': true, type: 'string' }),
  of({ 'x-kubernetes-int-or-string': true, allOf: [{ anyOf: [{ type: 'integer' }, { type: 'string' }] }, { pattern: '^a' }] }),
  of({
    type: 'object',
    properties: { b: text, c: text },
    oneOf: [{ required: ['b'] }, { required: ['c'], properties: { c: { minLength: 1 } } }],
  }),
  of({ type: 'object', additionalProperties: text, anyOf: [{ properties: { x: { minLength: 1 } } }] }),
  of({ type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true }),
  of({
    type: 'array',
    items: { type: 'object', required: ['n'], properties: { n: text } },
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['n'],
  }),
  { type: 'object', properties: { metadata: { type: 'object', properties: { name: { type: 'string', pattern: '^a' } } } } },
  of({ type: 'object', properties: { b: text }, 'x-kubernetes-validations': [{ rule: 'true', fieldPath: '.b' }] }),
  of({ type: 'object', default: { b: 1 }, properties: { b: { type: 'integer' } } }),
]

const bad: [schema: JsonSchema, ...faults: string[]][] = [
  [{ type: 'array', items: text }, 's.type: Invalid value: "array": must be object at the root'],
  [{}, 's.type: Required value: must not be empty at the root'],
  [of({}), `${a}.type: Required value: must not be empty for specified object fields`],
  [of({ type: 'array', items: {} }), `${a}.items.type: Required value: must not be empty for specified array items`],
  [of({ type: 'array' }), `${a}.items: Required value: must be specified`],
  [of({ type: 'null' }), `${a}.type: Forbidden: type cannot be set to null, use nullable as an alternative`],
  [
    of({ type: 'int' }),
    `${a}.type: Unsupported value: "int": supported values: "array", "boolean", "integer", "number", "object", "string"`,
  ],
  [
    of({ ...text, pattern: '(' }),
    `${a}.pattern: Invalid value: "(": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): \`(\``,
  ],
  [of({ $ref: 'x', type: 'string' }), `${a}.$ref: Forbidden: $ref is not supported`],
  [
    of({ type: 'array', items: text, uniqueItems: true }),
    `${a}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
  ],
  [
    of({ type: 'object', additionalProperties: false }),
    `${a}.additionalProperties: Forbidden: additionalProperties cannot be set to false`,
  ],
  [
    of({ type: 'object', additionalProperties: text, properties: { b: text } }),
    `${a}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
  ],
  [{ type: 'object', additionalProperties: text }, 's.additionalProperties: Forbidden: must not be used at the root'],
  [
    of({ type: 'object', anyOf: [{ properties: { b: { minLength: 1 } } }] }),
    `${a}.properties[b]: Required value: because it is defined in ${a}.anyOf[0].properties[b]`,
  ],
  [of({ ...text, allOf: [{ type: 'string' }] }), `${a}.allOf[0].type: Forbidden: must be empty to be structural`],
  [of({ ...text, not: { default: 'x' } }), `${a}.not.default: Forbidden: must be undefined to be structural`],
  [
    of({ ...text, oneOf: [{ 'x-kubernetes-validations': [{ rule: 'true' }] }] }),
    `${a}.oneOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural`,
  ],
  [
    of({ 'x-kubernetes-int-or-string': true, 'x-kubernetes-preserve-unknown-fields': true }),
    `${a}.x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if x-kubernetes-int-or-string is true`,
  ],
  [
    of({ 'x-kubernetes-embedded-resource': true, type: 'object' }),
    `${a}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields`,
  ],
  [
    { type: 'object', properties: { metadata: { type: 'object', properties: { labels: { type: 'object' } } } } },
    's.properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified',
  ],
  [{ type: 'object', properties: { kind: { type: 'integer' } } }, 's.properties[kind].type: Invalid value: "integer": must be string'],
  [
    of({ ...text, 'x-kubernetes-list-type': 'set' }),
    `${a}.type: Invalid value: "string": must be array if x-kubernetes-list-type is specified`,
  ],
  [
    of({ type: 'array', items: text, 'x-kubernetes-list-type': 'bag' }),
    `${a}.x-kubernetes-list-type: Unsupported value: "bag": supported values: "atomic", "map", "set"`,
  ],
  [
    of({ type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' }),
    `${a}.x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map`,
  ],
  [
    of({
      type: 'array',
      items: { type: 'object', properties: { n: text } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['n'],
    }),
    `${a}.items.properties[n].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
  ],
  [
    of({ type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'set' }),
    `${a}.items.x-kubernetes-map-type: Invalid value: "": must be atomic as item of a list with x-kubernetes-list-type=set`,
  ],
  [
    of({ type: 'object', 'x-kubernetes-map-type': 'loose' }),
    `${a}.x-kubernetes-map-type: Unsupported value: "loose": supported values: "atomic", "granular"`,
  ],
  [of({ ...text, default: 1 }), `${a}.default: Invalid value: "integer": ${a}.default in body must be of type string: "integer"`],
  [of({ type: 'object', default: { b: 1 } }), `${a}.default: Invalid value: {"b":1}: must not have unknown fields`],
  [
    of({ ...text, 'x-kubernetes-validations': [{ rule: '' }] }),
    `${a}.x-kubernetes-validations[0].rule: Required value: rule is not specified`,
  ],
  [
    of({ ...text, 'x-kubernetes-validations': [{ rule: 'true', reason: 'Because' as never }] }),
    `${a}.x-kubernetes-validations[0].reason: Unsupported value: "Because": supported values: "FieldValueForbidden", "FieldValueInvalid", "FieldValueDuplicate", "FieldValueRequired"`,
  ],
  [
    of({ type: 'object', properties: { b: text }, 'x-kubernetes-validations': [{ rule: 'true', fieldPath: '.c' }] }),
    `${a}.x-kubernetes-validations[0].fieldPath: Invalid value: ".c": fieldPath must be a valid path: it does not refer to a field of the schema`,
  ],
]

describe('a structural schema', () => {
  for (const schema of good) it(JSON.stringify(schema), () => assert.deepEqual(faultsOf(schema), []))
  for (const [schema, ...faults] of bad) it(`is not ${JSON.stringify(schema)}`, () => assert.deepEqual(faultsOf(schema), faults))
  it('is of a depth that can be walked', () => {
    let deep: JsonSchema = text
    for (let i = 0; i < 300; i += 1) deep = of(deep)
    assert.match(faultsOf(deep).join(), /must not be nested deeper than 200 levels/)
  })
})
