// Random definitions and objects, most of them wrong: none may break the server, and what it keeps it must
// be able to take back.

import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { silent } from '#api/log.ts'
import { type Answer, type Json, type Trial, trial } from '../testing/trial.fake.ts'
import { definition, definitions, establish, until } from './resources.fake.ts'

const rounds = 300
const scalars = [
  null,
  0,
  -1,
  1.5,
  1e308,
  '',
  'a',
  '__proto__',
  true,
  [],
  {},
  [null],
  { a: null },
  '(',
  'self > 1',
  '.spec.a',
  'object',
  'array',
]
const names = (
  'type properties items additionalProperties required enum default nullable pattern format minimum anyOf x-kubernetes-list-type ' +
  'x-kubernetes-preserve-unknown-fields x-kubernetes-int-or-string x-kubernetes-embedded-resource x-kubernetes-validations oneOf not $ref __proto__ constructor a spec status metadata rule'
).split(' ')
const patchTypes = ['application/merge-patch+json', 'application/apply-patch+yaml', 'application/json-patch+json']

/** The same numbers for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['a'],
      properties: {
        a: { type: 'string', pattern: '^a' },
        n: { type: 'integer', minimum: 1, default: 3, 'x-kubernetes-validations': [{ rule: 'self > 0', message: 'm' }] },
        l: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
        },
        m: { type: 'object', additionalProperties: { type: 'string' } },
        e: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
        i: { 'x-kubernetes-int-or-string': true },
        o: { type: 'object', properties: { x: { type: 'string' } }, oneOf: [{ required: ['x'] }, { not: { required: ['x'] } }] },
      },
    },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
}
const version = {
  subresources: { status: {}, scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' } },
  additionalPrinterColumns: [{ name: 'A', type: 'string', jsonPath: '.spec.l[?(@.name=="a")].name' }],
  selectableFields: [{ jsonPath: '.spec.a' }],
}
const embedded = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' } }
const thing = {
  kind: 'Thing',
  metadata: { name: 't' },
  spec: { a: 'ab', n: 2, l: [{ name: 'a' }], m: { k: 'v' }, e: embedded, i: '5%', o: {} },
  status: { n: 1 },
}
const good = (group: string) => definition('things', { schema, version, group })

class Fuzz {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = random(seed)
  }

  under(share: number): boolean {
    return this.#next() < share
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)] as T
  }

  value(depth: number): Json {
    if (depth === 0 || this.under(0.3)) return this.pick(scalars)
    if (this.under(0.3)) return [this.value(depth - 1), this.value(depth - 1)]
    return Object.fromEntries([1, 2, 3].map(() => [this.pick(names), this.value(depth - 1)]))
  }

  /** A copy with about `share` of its parts replaced, dropped or joined by others. */
  mutated(value: Json, share: number): Json {
    if (this.under(share)) return this.value(3)
    if (Array.isArray(value)) return value.map((item) => this.mutated(item, share))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).flatMap(([key, inner]) => (this.under(share) ? [] : [[key, this.mutated(inner, share)]]))
    return Object.fromEntries(this.under(share) ? [...entries, [this.pick(names), this.value(2)]] : entries)
  }
}

const isObject = (value: Json): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

let server: Trial
const complaints: string[] = []
before(async () => {
  const complain = (fields: { err?: unknown }, message: string) => void complaints.push(`${message} ${String(fields.err)}`)
  server = await trial({ log: { ...silent, warn: complain, error: complain } })
  await establish(server, good('example.com'))
})
after(() => server.close())

it('custom resources survive whatever is sent', async () => {
  const fuzz = new Fuzz(20250101)
  const ask = async (...request: Parameters<Trial['ask']>): Promise<Answer> => {
    const answer = await server.ask(...request)
    assert.ok(answer.code < 500, `${answer.code} ${answer.body.message}: ${JSON.stringify(request).slice(0, 2000)}`)
    return answer
  }
  const objects = async (path: string, name: string, kind: string) => {
    const made = fuzz.mutated({ ...thing, kind }, 0.03)
    if (isObject(made)) made.metadata = { name }
    const { code, body } = await ask('POST', `${path}?fieldValidation=${fuzz.pick(['Strict', 'Warn', 'Ignore'])}`, made)
    const patch = fuzz.under(0.7)
      ? fuzz.mutated(thing, 0.03)
      : [{ op: 'add', path: fuzz.pick(['/spec/a', '/spec/l/0', '/status', '']), value: fuzz.value(3) }]
    const at = `${path}/${name}${fuzz.pick(['', '', '/status', '/scale'])}?fieldManager=m&force=${fuzz.under(0.5)}`
    await ask('PATCH', at, patch, { headers: { 'content-type': fuzz.pick(patchTypes) } })
    if (code !== 201 && body.reason !== 'AlreadyExists') return
    const { body: kept } = await ask('GET', `${path}/${name}`)
    assert.equal((await ask('PUT', `${path}/${name}`, kept)).code, 200, JSON.stringify(kept))
    await ask('GET', path, undefined, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
  }
  for (let i = 0; i < rounds; i += 1) {
    if (fuzz.under(0.6)) {
      await objects('/apis/example.com/v1/namespaces/test/things', `t${i % 20}`, 'Thing')
      continue
    }
    const group = `g${i}.example.com`
    const made = fuzz.mutated(good(group), 0.006)
    if (!isObject(made) || !isObject(made.spec)) continue
    made.metadata = { name: `things.${group}` }
    made.spec.group = group
    const { code, body } = await ask('POST', definitions, made)
    if (code !== 201) continue
    await until(server, body.metadata.name, (definition) => definition?.status.observedGeneration === 1)
    const { scope, names: given, versions } = body.spec
    const path = `/apis/${group}/${versions[0].name}/${scope === 'Namespaced' ? 'namespaces/test/' : ''}${given.plural}`
    for (const name of ['a', 'b']) if (versions[0].served) await objects(path, name, given.kind)
    await ask('GET', `/openapi/v3/apis/${group}/${versions[0].name}`)
    await ask('DELETE', `${definitions}/${body.metadata.name}`)
  }
  assert.deepEqual(complaints, [])
})
