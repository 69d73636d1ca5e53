import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import { openPatterns } from '#api/schema/crd/pattern.ts'
import type { ValidationRule } from '#api/types/apiextensions-v1.gen.ts'
import { RuleSet } from './rules.ts'

const patterns = await openPatterns()
type Schema = Omit<JsonSchema, 'type'> & { type?: string }
const ruled = (schema: Schema, ...rules: (string | ValidationRule)[]): JsonSchema => ({
  ...schema,
  'x-kubernetes-validations': rules.map((rule) => (typeof rule === 'string' ? { rule } : rule)),
})
const object = (properties: Record<string, JsonSchema>, ...rules: (string | ValidationRule)[]) =>
  ruled({ type: 'object', properties }, ...rules)
const text: JsonSchema = { type: 'string' }
const integer: JsonSchema = { type: 'integer' }

const broken = (schema: JsonSchema, value: unknown, previous?: unknown) =>
  new RuleSet(schema, { patterns }).evaluate(value, previous).map(({ path, message }) => `${path}: ${message}`)
const wrong = (schema: JsonSchema) => new RuleSet(schema, { patterns }).check().map(({ path, message }) => `${path}: ${message}`)

describe('rules', () => {
  it('stand wherever a schema has them', () => {
    const part = object({ n: ruled(integer, 'self > 0') })
    const schema = object({ list: { type: 'array', items: part }, map: { type: 'object', additionalProperties: part } })
    assert.deepEqual(broken(schema, { list: [{ n: 1 }, { n: 0 }], map: { a: { n: -1 } } }), [
      'list[1].n: failed rule: self > 0',
      'map.a.n: failed rule: self > 0',
    ])
  })

  it('know every type', () => {
    const schema = object({
      int: ruled(integer, 'self + 1 == 3'),
      double: ruled({ type: 'number' }, 'self + 0.5 == 2.5'),
      bool: ruled({ type: 'boolean' }, 'self'),
      when: ruled({ type: 'string', format: 'date-time' }, 'self > timestamp("2020-01-01T00:00:00Z")'),
      long: ruled({ type: 'string', format: 'duration' }, 'self == duration("90m")'),
      bytes: ruled({ type: 'string', format: 'byte' }, 'self == b"hi"'),
      either: ruled({ 'x-kubernetes-int-or-string': true }, 'type(self) == string ? self == "50%" : self > 0'),
      free: ruled({ 'x-kubernetes-preserve-unknown-fields': true }, 'self.a[0].b == 1'),
      map: ruled({ type: 'object', additionalProperties: integer }, 'self.all(k, self[k] > 0) && self.size() == 2'),
      list: ruled({ type: 'array', items: text }, 'self.exists(x, x == "b")'),
    })
    const value = {
      int: 2,
      double: 2,
      bool: true,
      when: '2024-05-01T00:00:00Z',
      long: '1h30m',
      bytes: 'aGk=',
      either: '50%',
      free: { a: [{ b: 1 }] },
      map: { a: 1, b: 2 },
      list: ['a', 'b'],
    }
    assert.deepEqual(wrong(schema), [])
    assert.deepEqual(broken(schema, value), [])
    assert.equal(broken(schema, { int: 1, double: 1, bool: false, either: 0, list: [] }).length, 5)
  })

  it('spell names that are none in the language', () => {
    const schema = object(
      { 'a-b': integer, 'x.y': integer, namespace: text, __z: text, constructor: text },
      'self.a__dash__b == self.x__dot__y && self.__namespace__ == "n" && has(self.__underscores__z)',
    )
    assert.deepEqual(broken(schema, { 'a-b': 1, 'x.y': 1, namespace: 'n', __z: 'z' }), [])
  })

  it('see the name of a whole object, and no more of its metadata', () => {
    const schema = object({ metadata: { type: 'object' } }, 'self.metadata.name == "a" && self.kind == "K"')
    assert.deepEqual(broken(schema, { kind: 'K', metadata: { name: 'a', labels: {} } }), [])
    assert.deepEqual(wrong(object({}, 'has(self.metadata.labels)')), [
      ": compilation failed: ERROR: <input>:1:19: undefined field 'labels'",
    ])
  })

  it('take what is null for absent', () => {
    assert.deepEqual(broken(object({ a: { ...ruled(integer, 'self > 0'), nullable: true } }, '!has(self.a)'), { a: null }), [])
  })

  it('compare with what was there, where that can be told', () => {
    const keyed: JsonSchema = {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: object({ name: text, n: ruled(integer, 'self >= oldSelf') }),
    }
    const schema = object({ keyed, id: ruled(text, { rule: 'self == oldSelf', message: 'immutable' }) })
    const before = {
      keyed: [
        { name: 'a', n: 5 },
        { name: 'b', n: 5 },
      ],
      id: 'x',
    }
    assert.deepEqual(
      broken(
        schema,
        {
          keyed: [
            { name: 'b', n: 4 },
            { name: 'c', n: 0 },
          ],
          id: 'x',
        },
        before,
      ),
      ['keyed[0].n: failed rule: self >= oldSelf'],
    )
    assert.deepEqual(broken(schema, { id: 'y' }, before), ['id: immutable'])
    assert.deepEqual(broken(schema, { id: 'y' }), [], 'a new object has no past')
    const atomic = object({ list: { type: 'array', items: ruled(text, 'self == oldSelf') } })
    assert.deepEqual(wrong(atomic), [
      '.properties[list].items: oldSelf cannot be used on the uncorrelatable portion of the schema within properties[list].items',
    ])
  })

  it('may ask for a past that need not be', () => {
    const plain = object({ n: ruled(integer, { rule: 'oldSelf.optMap(o, self > o).orValue(self == 1)', optionalOldSelf: true }) })
    assert.deepEqual(broken(plain, { n: 1 }), [])
    assert.equal(broken(plain, { n: 2 }).length, 1)
    assert.deepEqual(broken(plain, { n: 3 }, { n: 2 }), [])
    assert.equal(broken(plain, { n: 2 }, { n: 3 }).length, 1)
  })

  it('are not held against what an update leaves alone', () => {
    const schema = object({ a: ruled(integer, 'self > 10'), b: integer })
    assert.deepEqual(broken(schema, { a: 1, b: 2 }, { a: 1, b: 1 }), [])
    assert.equal(broken(schema, { a: 2, b: 2 }, { a: 1, b: 1 }).length, 1)
  })

  it('say what their author wants said', () => {
    const spoken = (rule: Omit<ValidationRule, 'rule'>) => broken(object({ a: integer }, { rule: 'self.a > 10', ...rule }), { a: 1 })
    assert.deepEqual(spoken({ message: 'too small' }), [': too small'])
    assert.deepEqual(spoken({ messageExpression: '"got %d".format([self.a])', message: 'other' }), [': got 1'])
    assert.deepEqual(spoken({ messageExpression: '"" + string(1/(self.a - 1))', message: 'other' }), [': other'])
    assert.deepEqual(spoken({ fieldPath: '.a' }), ['a: failed rule: self.a > 10'])
    assert.deepEqual(wrong(object({ a: integer }, { rule: 'true', messageExpression: 'self.a' })), [
      ': messageExpression must evaluate to a string',
    ])
  })

  it('that fail, fail the object', () => {
    assert.deepEqual(broken(object({ a: { type: 'array', items: integer } }, '10 / self.a.size() > 0'), { a: [] }), [
      ': division by zero evaluating rule: 10 / self.a.size() > 0',
    ])
  })
})
