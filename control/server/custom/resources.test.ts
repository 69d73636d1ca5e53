import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { eventsOf, type Json, type Trial, trial } from '../testing/trial.fake.ts'
import { definition, definitions, establish, type Props, until } from './resources.fake.ts'

const type = (contentType: string) => ({ headers: { 'content-type': contentType } })
const merge = type('application/merge-patch+json')
const apply = type('application/apply-patch+yaml')
const table = { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } }

const widgets = '/apis/example.com/v1/namespaces/test/widgets'
const widget = (name: string, spec: Json = { color: 'red' }, rest: Json = {}) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
  ...rest,
})

const spec: Props = {
  type: 'object',
  required: ['color'],
  properties: {
    color: { type: 'string', enum: ['red', 'blue'] },
    replicas: { type: 'integer', default: 1, minimum: 0 },
    port: { 'x-kubernetes-int-or-string': true },
    note: { type: 'string', nullable: true },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    labels: { type: 'object', additionalProperties: { type: 'string', maxLength: 5 } },
    limits: { type: 'object', default: {}, properties: { cpu: { type: 'string', default: '1' } } },
    parts: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, size: { type: 'integer' } } },
    },
  },
}
const status: Props = { type: 'object', properties: { replicas: { type: 'integer' }, selector: { type: 'string' } } }
const version = {
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
  },
  additionalPrinterColumns: [
    { name: 'Color', type: 'string', jsonPath: '.spec.color' },
    { name: 'Parts', type: 'string', jsonPath: '.spec.parts', priority: 1 },
    { name: 'Replicas', type: 'integer', jsonPath: '.spec.replicas' },
  ],
  selectableFields: [{ jsonPath: '.spec.color' }],
}

describe('custom resources', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    await establish(server, definition('widgets', { schema: { type: 'object', properties: { spec, status } }, version }))
  })
  after(() => server.close())

  it('are defaulted, and pruned of what the schema does not know', async () => {
    const { code, body } = await server.ask(
      'POST',
      widgets,
      widget('one', { color: 'red', limits: { mem: '1' }, free: { any: [1] }, nonsense: 1 }),
    )
    assert.equal(code, 201)
    assert.deepEqual(body.spec, { color: 'red', limits: { cpu: '1' }, free: { any: [1] }, replicas: 1 })
    assert.equal(body.metadata.generation, 1)
    const strict = await server.ask('POST', `${widgets}?fieldValidation=Strict`, widget('strict', { color: 'red', nonsense: 1 }))
    assert.equal(strict.code, 400)
    assert.match(strict.body.message, /strict decoding error: unknown field "spec.nonsense"/)
    const warned = await server.ask('POST', widgets, widget('warned', { color: 'red', nonsense: 1 }))
    assert.equal(warned.headers.get('warning'), '299 - "unknown field \\"spec.nonsense\\""')
  })

  it('keep null where the schema allows it, and nowhere else', async () => {
    const { body } = await server.ask('POST', widgets, widget('nulls', { color: 'red', note: null, replicas: null, labels: null }))
    assert.deepEqual(body.spec, { color: 'red', note: null, replicas: 1, limits: { cpu: '1' } })
  })

  it('are judged by the schema', async () => {
    const bad = { color: 'green', replicas: -1, port: 1.5, labels: { a: 'toolong' }, parts: [{ name: 'a' }, { name: 'a' }, { size: 'x' }] }
    const { code, body } = await server.ask('POST', widgets, widget('bad', bad))
    assert.equal(code, 422)
    assert.deepEqual(body.details.causes.map((cause: Json) => `${cause.field}: ${cause.message}`).sort(), [
      'spec.color: Unsupported value: "green": supported values: "red", "blue"',
      'spec.labels.a: Too long: may not be more than 5 bytes',
      'spec.parts[1]: Duplicate value: {"name":"a"}',
      'spec.parts[2].name: Required value',
      'spec.parts[2].size: Invalid value: "string": spec.parts[2].size in body must be of type integer: "string"',
      'spec.port: Invalid value: "number": spec.port in body must be of type integer,string: "number"',
      'spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0',
    ])
    const wrong = await server.ask('POST', widgets, widget('wrong', 'text'))
    assert.equal(wrong.body.details.causes[0].message, 'Invalid value: "string": spec in body must be of type object: "string"')
    const meta = await server.ask('POST', widgets, { ...widget('meta'), metadata: { name: 'meta', labels: { a: 1 } } })
    assert.deepEqual([meta.code, meta.body.reason], [400, 'BadRequest'])
  })

  it('keep status, spec and scale apart', async () => {
    const { body: made } = await server.ask('POST', widgets, widget('apart', { color: 'red' }, { status: { replicas: 9 } }))
    assert.equal(made.status, undefined)
    const put = await server.ask('PUT', `${widgets}/apart/status`, {
      ...made,
      spec: { color: 'blue' },
      status: { replicas: 2, selector: 'a=b' },
    })
    assert.deepEqual([put.body.spec.color, put.body.status.replicas, put.body.metadata.generation], ['red', 2, 1])
    const { body: scale } = await server.ask('GET', `${widgets}/apart/scale`)
    assert.deepEqual([scale.kind, scale.spec, scale.status], ['Scale', { replicas: 1 }, { replicas: 2, selector: 'a=b' }])
    const scaled = await server.ask('PATCH', `${widgets}/apart/scale`, { spec: { replicas: 4 } }, merge)
    assert.equal(scaled.body.spec.replicas, 4)
    const { body: now } = await server.ask('GET', `${widgets}/apart`)
    assert.deepEqual([now.spec.replicas, now.metadata.generation], [4, 2])
  })

  it('take every patch but the strategic one', async () => {
    await server.ask('POST', widgets, widget('patched', { color: 'red', parts: [{ name: 'a', size: 1 }] }))
    const path = `${widgets}/patched`
    assert.equal((await server.ask('PATCH', path, { spec: { color: 'blue' } }, merge)).body.spec.color, 'blue')
    const json = await server.ask(
      'PATCH',
      path,
      [{ op: 'add', path: '/spec/parts/-', value: { name: 'b' } }],
      type('application/json-patch+json'),
    )
    assert.equal(json.body.spec.parts.length, 2)
    const strategic = await server.ask('PATCH', path, { spec: {} }, type('application/strategic-merge-patch+json'))
    assert.deepEqual([strategic.code, strategic.body.reason], [415, 'UnsupportedMediaType'])
    const protobuf = await server.ask('PUT', path, 'k8s\0', type('application/vnd.kubernetes.protobuf'))
    assert.equal(protobuf.code, 415)
    const bad = await server.ask('PATCH', path, { spec: { color: 'green' } }, merge)
    assert.equal(bad.code, 422)
  })

  it('are applied part by part, lists by their keys', async () => {
    const as = (manager: string, spec: Json) =>
      server.ask('PATCH', `${widgets}/applied?fieldManager=${manager}`, widget('applied', spec), apply)
    assert.equal((await as('one', { color: 'red', parts: [{ name: 'a', size: 1 }], free: { deep: { x: 1 } } })).code, 201)
    const second = await as('two', { parts: [{ name: 'b', size: 2 }], free: { deep: { y: 2 } } })
    assert.deepEqual(second.body.spec.parts, [
      { name: 'a', size: 1 },
      { name: 'b', size: 2 },
    ])
    assert.deepEqual(second.body.spec.free, { deep: { x: 1, y: 2 } })
    const conflict = await as('two', { parts: [{ name: 'a', size: 3 }] })
    assert.deepEqual([conflict.code, conflict.body.details.causes[0].field], [409, '.spec.parts[name="a"].size'])
    const less = await as('one', { color: 'red' })
    assert.deepEqual([less.body.spec.parts, less.body.spec.free], [[{ name: 'b', size: 2 }], { deep: { y: 2 } }])
    const unknown = await as('one', { color: 'red', nonsense: 1 })
    assert.equal(unknown.code, 400)
  })

  it('are selected by the fields that the definition offers', async () => {
    await server.ask('POST', widgets, widget('bluish', { color: 'blue' }))
    const { body } = await server.ask('GET', `${widgets}?fieldSelector=spec.color%3Dblue,metadata.name%3Dbluish`)
    assert.deepEqual(
      body.items.map((item: Json) => item.metadata.name),
      ['bluish'],
    )
    assert.equal((await server.ask('GET', `${widgets}?fieldSelector=spec.replicas%3D1`)).code, 400)
  })

  it('are shown in the columns that the definition names', async () => {
    await server.ask('POST', widgets, widget('row', { color: 'red', parts: [{ name: 'a' }] }))
    const { body } = await server.ask('GET', `${widgets}/row`, undefined, table)
    assert.deepEqual(
      body.columnDefinitions.map((column: Json) => [column.name, column.type, column.priority]),
      [
        ['Name', 'string', 0],
        ['Color', 'string', 0],
        ['Parts', 'string', 1],
        ['Replicas', 'integer', 0],
      ],
    )
    assert.deepEqual(body.rows[0].cells, ['row', 'red', '[{"name":"a"}]', 1])
  })

  it('are watched like everything else', async () => {
    const stop = new AbortController()
    const events = eventsOf(await server.open(`${widgets}?watch=true&fieldSelector=metadata.name%3Dseen`, { signal: stop.signal }))
    await server.ask('POST', widgets, widget('seen'))
    await server.ask('PATCH', `${widgets}/seen`, { spec: { color: 'blue' } }, merge)
    await server.ask('DELETE', `${widgets}/seen`)
    const seen: Json[] = []
    for await (const event of events) if (seen.push(event) === 3) break
    stop.abort()
    assert.deepEqual(
      seen.map(({ type, object }) => [type, object.spec.color]),
      [
        ['ADDED', 'red'],
        ['MODIFIED', 'blue'],
        ['DELETED', 'blue'],
      ],
    )
  })

  it('may stay as wrong as they are when the schema grows stricter', async () => {
    await establish(
      server,
      definition('lamps', {
        schema: {
          type: 'object',
          properties: { spec: { type: 'object', properties: { watts: { type: 'integer' }, name: { type: 'string' } } } },
        },
      }),
    )
    const lamps = '/apis/example.com/v1/namespaces/test/lamps'
    await server.ask('POST', lamps, { metadata: { name: 'old' }, spec: { watts: 500 } })
    const stricter = {
      type: 'object',
      properties: {
        spec: { type: 'object', properties: { watts: { type: 'integer', maximum: 100 }, name: { type: 'string', default: 'x' } } },
      },
    }
    await establish(server, definition('lamps', { schema: stricter }))
    assert.equal((await server.ask('GET', `${lamps}/old`)).body.spec.name, 'x', 'a default that is new holds for what is there')
    const kept = await server.ask('PATCH', `${lamps}/old`, { spec: { name: 'y' } }, merge)
    assert.deepEqual([kept.code, kept.body.spec], [200, { watts: 500, name: 'y' }])
    const changed = await server.ask('PATCH', `${lamps}/old`, { spec: { watts: 600 } }, merge)
    assert.equal(changed.code, 422)
  })

  it('count every change where there is no status subresource', async () => {
    const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    await establish(server, definition('plains', { schema }))
    const plains = '/apis/example.com/v1/namespaces/test/plains'
    const { body } = await server.ask('POST', plains, { metadata: { name: 'p' }, status: { a: 1 }, anything: { at: 'all' } })
    assert.deepEqual([body.status, body.anything, body.metadata.generation], [{ a: 1 }, { at: 'all' }, 1])
    const next = await server.ask('PATCH', `${plains}/p`, { status: { a: 2 } }, merge)
    assert.equal(next.body.metadata.generation, 2)
    assert.equal((await server.ask('GET', `${plains}/p/status`)).code, 404)
  })

  it('are of a group, a version and a kind that clients find', async () => {
    const { body: list } = await server.ask('GET', '/apis/example.com/v1')
    const names = list.resources.map((resource: Json) => resource.name)
    assert.ok(['widgets', 'widgets/status', 'widgets/scale'].every((name) => names.includes(name)))
    const { body } = await server.ask('GET', '/openapi/v3/apis/example.com/v1')
    const schema = body.components.schemas['com.example.v1.Widget']
    assert.deepEqual(schema['x-kubernetes-group-version-kind'], [{ group: 'example.com', kind: 'Widget', version: 'v1' }])
    assert.deepEqual(schema.properties.spec.properties.color, { type: 'string', enum: ['red', 'blue'] })
    assert.equal(
      (await server.ask('GET', '/openapi/v2')).body.definitions['com.example.v1.Widget'].properties.spec.properties.port.type,
      undefined,
    )
  })

  it('go when their definition goes, and their watches end', async () => {
    await establish(server, definition('doomed', { schema: { type: 'object' }, scope: 'Cluster' }))
    const doomed = '/apis/example.com/v1/doomed'
    await server.ask('POST', doomed, { metadata: { name: 'a' } })
    await server.ask('POST', doomed, { metadata: { name: 'held', finalizers: ['example.com/hold'] } })
    const watch = await server.open(`${doomed}?watch=true&resourceVersion=0`)
    const { body } = await server.ask('DELETE', `${definitions}/doomed.example.com`)
    assert.deepEqual(body.metadata.finalizers, ['customresourcecleanup.apiextensions.k8s.io'])
    await until(server, 'doomed.example.com', (definition) => definition?.status.conditions.at(-1)?.reason === 'InstanceDeletionInProgress')
    const refused = await server.ask('POST', doomed, { metadata: { name: 'late' } })
    assert.deepEqual([refused.code, refused.body.message], [405, 'create not allowed while custom resource definition is terminating'])
    assert.equal((await server.ask('GET', `${doomed}/a`)).code, 404)
    await server.ask('PATCH', `${doomed}/held`, { metadata: { finalizers: null } }, merge)
    await until(server, 'doomed.example.com', (definition) => definition === undefined)
    assert.equal((await server.ask('GET', doomed)).code, 404)
    const types: string[] = []
    for await (const { type, object } of eventsOf(watch)) types.push(`${object.metadata.name} ${type}`)
    assert.deepEqual(types.sort(), ['a ADDED', 'a DELETED', 'held ADDED', 'held DELETED', 'held MODIFIED'])
  })
})
