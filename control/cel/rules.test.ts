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
    const atomic = object({ list: { type: 'array', maxItems: 9, items: ruled({ ...text, maxLength: 9 }, 'self == oldSelf') } })
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

const lists = (limits: Partial<JsonSchema>) => ({ l: { type: 'array', ...limits, items: { type: 'string', maxLength: 10 } } })
const tips = '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)'

describe('rules are refused by what they may cost', () => {
  const nested = 'self.l.all(a, self.l.all(b, a == b))'
  const cases: [why: string, schema: JsonSchema, faults: string[]][] = [
    ['a list without a limit, gone through once', object(lists({}), 'self.l.all(a, a == "x")'), []],
    [
      'a list without a limit, gone through twice',
      object(lists({}), nested),
      [`: estimated rule cost exceeds budget by factor of more than 100x ${tips}`],
    ],
    ['a list with a limit, gone through twice', object(lists({ maxItems: 100 }), nested), []],
    [
      'a little too much',
      object(lists({ maxItems: 1100 }), nested),
      [`: estimated rule cost exceeds budget by factor of 1.089660x ${tips}`],
    ],
    ['much too much', object(lists({ maxItems: 2000 }), nested), [`: estimated rule cost exceeds budget by factor of 3.6x ${tips}`]],
    ['a pattern over a text without a limit', object({ s: text }, 'self.s.matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")'), []],
    [
      'a text without a limit in another',
      object({ s: text, t: text }, 'self.s.contains(self.t)'),
      [`: estimated rule cost exceeds budget by factor of more than 100x ${tips}`],
    ],
    ['values of a closed list', object({ s: { type: 'string', enum: ['a', 'b'] }, t: text }, 'self.t.contains(self.s)'), []],
    [
      'a rule at a place that may stand any number of times',
      object({ l: { type: 'array', items: ruled(text, 'self.matches("^[a-z]+$")') } }),
      [`.properties[l].items: estimated rule cost exceeds budget by factor of more than 100x ${tips}`],
    ],
    [
      'the same, of a limited number',
      object({ l: { type: 'array', maxItems: 10, items: ruled({ type: 'string', maxLength: 63 }, 'self.matches("^[a-z]+$")') } }),
      [],
    ],
    [
      'a message',
      object({ s: text, t: text }, { rule: 'true', messageExpression: 'string(self.s.contains(self.t))' }),
      [`: estimated messageExpression cost exceeds budget by factor of more than 100x ${tips}`],
    ],
  ]
  for (const [why, schema, faults] of cases) it(why, () => assert.deepEqual(wrong(schema).slice(0, Math.max(1, faults.length)), faults))

  it('and all together, the dearest named', () => {
    const many = object(lists({ maxItems: 1000 }), ...Array.from({ length: 12 }, () => nested))
    const contributed = ': contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'
    assert.deepEqual(wrong(many), [
      ...Array.from({ length: 4 }, () => contributed),
      `: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of 1.080720x ${tips}`,
    ])
  })
})

describe('null stands beside', () => {
  const when: JsonSchema = { type: 'string', format: 'date-time' }
  const long: JsonSchema = { type: 'string', format: 'duration' }
  const properties = { when, long, o: object({ x: integer }), i: integer, l: { type: 'array', items: text } }
  const value = { when: '2024-05-01T00:00:00Z', long: '1h', o: { x: 1 }, i: 1, l: [] }
  for (const rule of [
    'self.when != null && null != self.long',
    '!(self.long == null)',
    'self.?i != null && self.?o.x != null',
    'self.o != null',
    '(self.i == 1 ? null : self.when) == null',
    '(self.i == 1 ? self.long : null) != null',
    'quantity("1") != null && ip("1.1.1.1") != null',
  ]) {
    it(rule, () => {
      assert.deepEqual(wrong(object(properties, rule)), [])
      assert.deepEqual(broken(object(properties, rule), value), [])
    })
  }
  for (const rule of ['self.i == null', 'self.l == null', '(self.i == 1 ? "a" : null) == "a"'])
    it(`not ${rule}`, () => assert.match(wrong(object(properties, rule)).join(), /compilation failed/))
})

it('of two errors the first is told', () => {
  const schema = object({ m: { type: 'object', additionalProperties: integer } }, 'self.m["a"] == 1 || self.m["b"] == 1')
  assert.deepEqual(broken(schema, { m: {} }), [': no such key: a evaluating rule: self.m["a"] == 1 || self.m["b"] == 1'])
  assert.deepEqual(broken(schema, { m: { b: 1 } }), [])
})
