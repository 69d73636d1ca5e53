import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stringifyYaml } from './write.ts'
import { parseYaml, parseYamlDocuments, YamlError, yamlToJson } from './yaml.ts'

/** Each as sigs.k8s.io/yaml 1.6 converts it. */
const values: [text: string, json: string][] = [
  ['yes', 'true'],
  ['y', 'true'],
  ['On', 'true'],
  ['TRUE', 'true'],
  ['no', 'false'],
  ['N', 'false'],
  ['off', 'false'],
  ['yEs', '"yEs"'],
  ['"yes"', '"yes"'],
  ["'no'", '"no"'],
  ['0400', '256'],
  ['0o400', '256'],
  ['089', '89'],
  ['0x1F', '31'],
  ['-0b11', '-3'],
  ['1_000', '1000'],
  ['22:22', '"22:22"'],
  ['190:20:30', '"190:20:30"'],
  ['1e3', '1000'],
  ['5.', '5'],
  ['.5', '0.5'],
  ['-0', '0'],
  ['-0.0', '-0'],
  ['1e1000', '"1e1000"'],
  ['9007199254740993', '9007199254740993'],
  ['18446744073709551615', '18446744073709551615'],
  ['~', 'null'],
  ['', 'null'],
  ['2001-01-01', '"2001-01-01"'],
  ['!!str 5', '"5"'],
  ["!!int '5'", '5'],
  ['!!float 5', '5'],
  ['!!binary aGVsbG8=', '"hello"'],
  ['!foo yes', '"yes"'],
  ['=', '"="'],
  ['http://x.y/z', '"http://x.y/z"'],
  ['x#c # d', '"x#c"'],
  ['"\\x41\\u0042\\n"', '"AB\\n"'],
  ["'it''s'", '"it\'s"'],
  ['"x\n  y"', '"x y"'],
  ['x\n\n  y', '"x\\ny"'],
  ['|\n  x\n   y\n', '"x\\n y\\n"'],
  ['|-\n  x\n', '"x"'],
  ['|+\n  x\n\n', '"x\\n\\n"'],
  ['|2\n   x', '" x"'],
  ['>\n  x\n  y\n\n  z\n', '"x y\\nz\\n"'],
  ['[1, 2,]', '[1,2]'],
  ['[x: 1, b:]', '[{"x":1},"b:"]'],
  ['{x, "y":z}', '{"x":null,"y":"z"}'],
  ['\n- x\n- - z', '["x",["z"]]'],
  ['\n  ? x\n  : z', '{"x":"z"}'],
]

/** Whole documents. */
const documents: [text: string, json: string][] = [
  ['yes: 1\n0400: a\n1.5: b', '{"true":1,"256":"a","1.5":"b"}'],
  ['b: &b {x: 1, z: 2}\na:\n  <<: *b\n  z: 3', '{"b":{"x":1,"z":2},"a":{"x":1,"z":3}}'],
  ['b: &b {x: 1}\nc: &c {x: 2, z: 1}\na:\n  <<: [*b, *c]', '{"b":{"x":1},"c":{"x":2,"z":1},"a":{"x":1,"z":1}}'],
  ["'<<': {a: 1}", '{"<<":{"a":1}}'],
  ['a: &x 1\nb: *x', '{"a":1,"b":1}'],
  ['&x a: *x', '{"a":"a"}'],
  ['%YAML 1.1\n---\na: 1\n---\nb: 2', '{"a":1}'],
  ['__proto__: {a: 1}\nconstructor: b', '{"__proto__":{"a":1},"constructor":"b"}'],
  ['', 'null'],
  ['a:\r\n  b: c\r\n', '{"a":{"b":"c"}}'],
]

const refused: [text: string, why: RegExp][] = [
  ['a: 1\n b: 2', /line 2: mapping values are not allowed in this context/],
  ['a: b: c', /mapping values are not allowed/],
  ['a: - b', /block sequence entries are not allowed/],
  ['a:\n  b: 1\n c: 2', /line 3: did not find expected key/],
  ['{a: 1', /did not find expected ',' or '}'/],
  ['[1,,2]', /did not find expected node content/],
  ["a: 'x", /found unexpected end of stream/],
  ['a: "\\q"', /found unknown escape character/],
  ['a: @x', /found character that cannot start any token/],
  ['a:\n\tb: 1', /cannot start any token/],
  ['a: \0', /control characters are not allowed/],
  ['a: *x', /unknown anchor 'x' referenced/],
  ['a: &x [*x]', /anchor 'x' value contains itself/],
  ['a: .inf', /unsupported value/],
  ['a: !!int abc', /cannot decode !!str `abc` as a !!int/],
  ['a:\n  <<: 5', /map merge requires map or sequence of maps as the value/],
  ['~: a', /unsupported map key/],
  ['[1]: a', /invalid map key/],
  ['%YAML 1.2\n---\na: 1', /found incompatible YAML document/],
  ['- '.repeat(2000), /exceeded max depth of 1000/],
  ['['.repeat(2000), /exceeded max depth of 1000/],
]

describe('YAML as Kubernetes reads it', () => {
  for (const [text, json] of values) it(JSON.stringify(text), () => assert.equal(yamlToJson(`a: ${text}`).json, `{"a":${json}}`))
  for (const [text, json] of documents) it(JSON.stringify(text), () => assert.equal(yamlToJson(text).json, json))
  for (const [text, why] of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () =>
      assert.throws(
        () => yamlToJson(text),
        (error) => error instanceof YamlError && why.test(error.message),
      ))
  }

  it('tells of keys that come twice, and takes the last', () => {
    const { json, duplicates } = yamlToJson('a: 1\nb: {c: 1, c: 2}\n"a": 3\nyes: 1\ntrue: 2')
    assert.equal(json, '{"a":3,"b":{"c":2},"true":2}')
    assert.deepEqual(duplicates, [
      'line 2: key "c" already set in map',
      'line 3: key "a" already set in map',
      'line 5: key true already set in map',
    ])
    assert.equal(yamlToJson('a: 1\n'.repeat(1000)).duplicates.length, 100)
  })

  it('keeps the digits of whole numbers beyond 2^53', () => {
    const text = 'a: 9007199254740993\nb: [-9223372036854775808, 0x7fffffffffffffff]\n'
    const value = { a: 9007199254740993n, b: [-9223372036854775808n, 9223372036854775807n] }
    assert.deepEqual(parseYaml(text), value)
    assert.deepEqual(parseYamlDocuments(`${text}---\n${stringifyYaml(value)}`), [value, value])
  })

  it('reads a file of several documents', () => {
    assert.deepEqual(parseYamlDocuments('---\na: 1\n---\n# none\n---\n- b\n...\n'), [{ a: 1 }, null, ['b']])
  })

  it('refuses aliases and merges that multiply', () => {
    const bomb = (text: (name: string, before: string) => string) =>
      `a0: &a0 {k: v, l: w, m: x, n: y, o: z}\n${Array.from({ length: 9 }, (_, i) => text(`a${i + 1}`, `*a${i}`)).join('\n')}\n`
    const list = bomb((name, before) => `${name}: &${name} [${Array(9).fill(before).join(',')}]`)
    assert.throws(() => yamlToJson(list), /excessive aliasing/)
    const long = `a: &a "${'x'.repeat(100_000)}"\nb: [${Array(1000).fill('*a').join(',')}]`
    assert.throws(() => yamlToJson(long), /excessive aliasing/)
    const wide = `a: &a {${Array.from({ length: 1000 }, (_, i) => `k${i}: 1`).join(', ')}}\nb: {<<: [${Array(1000).fill('*a').join(', ')}]}`
    assert.throws(() => yamlToJson(wide), /excessive aliasing/)
  })

  it('is written so that it reads back', () => {
    const value = {
      text: [
        'yes',
        'no',
        'y',
        '0400',
        '22:22',
        '~',
        '',
        'a: b',
        '- a',
        '# c',
        ' x',
        'x ',
        'a\nb\n',
        '"',
        "'",
        '\x7f\u2028',
        '{',
        '*a',
        '1e3',
        'null',
        '<<',
        '=',
      ],
      yes: true,
      '0400': null,
      'a: b': [[], {}, [[1, [2]], { a: [{ b: 'c', d: {} }] }]],
      number: [1, -0.5, 1e21],
    }
    assert.deepEqual(parseYaml(stringifyYaml(value)), value)
    assert.equal(stringifyYaml({ a: { b: ['c d', { e: 1 }] }, f: 'on' }), 'a:\n  b:\n  - c d\n  - e: 1\nf: "on"\n')
    assert.equal(stringifyYaml([]), '[]\n')
  })
})
