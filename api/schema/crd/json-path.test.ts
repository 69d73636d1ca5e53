import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { jsonPath } from './json-path.ts'

const root = {
  spec: { image: 'a', ports: [{ name: 'http', port: 80 }, { name: 'dns', port: 53 }, { port: 443 }], zero: 0, none: null },
  metadata: { labels: { 'app.kubernetes.io/name': 'web', plain: 'x' } },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Live', status: 'False' },
    ],
  },
}

const found: [path: string, values: unknown[]][] = [
  ['.spec.image', ['a']],
  ['{.spec.image}', ['a']],
  ['$.spec.image', ['a']],
  ['.spec.zero', [0]],
  ['.spec.none', [null]],
  ['.spec.absent', []],
  ['.spec.image.deeper', []],
  ['.metadata.labels.app\\.kubernetes\\.io/name', ['web']],
  [".metadata.labels['app.kubernetes.io/name']", ['web']],
  ['.metadata.labels["plain"]', ['x']],
  ['.spec.ports[0].port', [80]],
  ['.spec.ports[-1].port', [443]],
  ['.spec.ports[5].port', []],
  ['.spec.ports[*].port', [80, 53, 443]],
  ['.spec.ports[0,2].port', [80, 443]],
  ['.spec.ports[1:].port', [53, 443]],
  ['.spec.ports[0:3:2].port', [80, 443]],
  ['.spec.ports[:-1].port', [80, 53]],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type != 'Ready')].status", ['False']],
  ['.spec.ports[?(@.port > 60)].port', [80, 443]],
  ['.spec.ports[?(@.port <= 53)].port', [53]],
  ['.spec.ports[?(@.name)].name', ['http', 'dns']],
  ['..port', [80, 53, 443]],
  ['.metadata.labels.*', ['web', 'x']],
  ['.constructor', []],
]
const wrong = ['.spec[', '.spec.ports[?(@.a==)', '.spec..', '.spec[x]', 'spec', '.a b', '.spec[0:1:0]']

describe('a JSON path', () => {
  for (const [path, values] of found) it(path, () => assert.deepEqual(jsonPath(path).find(root), values))
  for (const path of wrong) it(`is not ${path}`, () => assert.throws(() => jsonPath(path), SyntaxError))
  it('gathers no more than it should', () => {
    const wide = Array.from({ length: 300 }, () => Array.from({ length: 300 }, () => 1))
    assert.equal(jsonPath('[*][*]').find(wide).length, 10_000)
  })
})
