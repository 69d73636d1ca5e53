import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Json, type Trial, trial } from '../testing/trial.fake.ts'
import { definition, definitions, establish } from './resources.fake.ts'

const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
const doors = '/apis/example.com/v1/namespaces/test/doors'
const schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      'x-kubernetes-validations': [
        { rule: 'self.min <= self.max', message: 'min must not exceed max', fieldPath: '.min' },
        { rule: '!has(oldSelf.lock) || has(self.lock)', message: 'lock stays', reason: 'FieldValueForbidden' },
        { rule: 'self.max < 100', messageExpression: "'%d is too wide'.format([self.max])" },
      ],
      properties: {
        min: { type: 'integer', default: 1 },
        max: { type: 'integer', default: 2 },
        lock: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'is immutable' }] },
      },
    },
  },
}

describe('rules of custom resources', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    await establish(server, definition('doors', { schema }))
  })
  after(() => server.close())

  it('are held against every object', async () => {
    assert.equal((await server.ask('POST', doors, { metadata: { name: 'good' }, spec: {} })).code, 201)
    const { code, body } = await server.ask('POST', doors, { metadata: { name: 'bad' }, spec: { min: 300, max: 200 } })
    assert.equal(code, 422)
    assert.deepEqual(
      body.details.causes.map(({ field, message }: Json) => `${field}: ${message}`),
      ['spec.min: Invalid value: "object": min must not exceed max', 'spec: Invalid value: "object": 200 is too wide'],
    )
  })

  it('see what was there', async () => {
    await server.ask('POST', doors, { metadata: { name: 'old' }, spec: { lock: 'a' } })
    const changed = await server.ask('PATCH', `${doors}/old`, { spec: { lock: 'b' } }, merge)
    assert.equal(changed.body.message, 'Door.example.com "old" is invalid: spec.lock: Invalid value: "string": is immutable')
    const removed = await server.ask('PATCH', `${doors}/old`, { spec: { lock: null } }, merge)
    assert.equal(removed.body.message, 'Door.example.com "old" is invalid: spec: Forbidden: lock stays')
    assert.equal((await server.ask('PATCH', `${doors}/old`, { spec: { max: 3 } }, merge)).code, 200)
  })

  it('must make sense', async () => {
    const bad = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: { a: { type: 'integer' } },
          'x-kubernetes-validations': [{ rule: 'self.b > 1' }, { rule: 'self.a' }, { rule: ' ' }],
        },
      },
    }
    const empty = await server.ask('POST', definitions, definition('windows', { schema: bad }))
    assert.match(empty.body.message, /x-kubernetes-validations\[2\]\.rule: Required value: rule is not specified/)
    bad.properties.spec['x-kubernetes-validations'].pop()
    const { code, body } = await server.ask('POST', definitions, definition('windows', { schema: bad }))
    assert.equal(code, 422)
    const at = 'spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations'
    assert.deepEqual(
      body.details.causes.map(({ field, message }: Json) => `${field}: ${message}`),
      [
        `${at}[0].rule: Invalid value: "self.b > 1": compilation failed: ERROR: <input>:1:6: undefined field 'b'`,
        `${at}[1].rule: Invalid value: "self.a": cel expression must evaluate to a bool`,
      ],
    )
  })

  it('are judged in the version in which an object comes', async () => {
    const part = (rule: string) => ({
      openAPIV3Schema: {
        type: 'object',
        'x-kubernetes-preserve-unknown-fields': true,
        properties: { size: { type: 'integer', 'x-kubernetes-validations': [{ rule }] } },
      },
    })
    await establish(
      server,
      definition('gates', {
        versions: [
          { name: 'v2', served: true, storage: true, schema: part('self < 10') },
          { name: 'v1', served: true, storage: false, schema: part('self < 100') },
        ],
      }),
    )
    const at = (version: string) => `/apis/example.com/${version}/namespaces/test/gates`
    assert.equal((await server.ask('POST', at('v1'), { metadata: { name: 'wide' }, size: 50 })).code, 201)
    assert.equal((await server.ask('POST', at('v2'), { metadata: { name: 'wider' }, size: 50 })).code, 422)
  })
})
