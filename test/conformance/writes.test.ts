// Writes as Kubernetes documents them: names, dry runs, field validation, versions, the four kinds of
// patch and who owns what after them, subresources that keep to their part, generations.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoreV1Api } from '@kubernetes/client-node'
import { type Answer, type Json, testServer } from './server.ts'

const { config, ask } = await testServer()
const core = config.makeApiClient(CoreV1Api)
const namespace = 'default'
const maps = `/api/v1/namespaces/${namespace}/configmaps`
const deployments = `/apis/apps/v1/namespaces/${namespace}/deployments`
const map = (name: string, data: Json = { a: 'b' }, metadata: Json = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
})
const deployment = (name: string, spec: Json = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas: 0,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: 'i:1' }] } },
    ...spec,
  },
})
const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}
const patch = (type: keyof typeof types, path: string, body: unknown) => ask('PATCH', path, body, { 'content-type': types[type] })
const refused = ({ code, body }: Answer) => [code, body.reason]
const warnings = ({ headers }: Answer): string[] => [headers['warning'] ?? []].flat()

describe('names', () => {
  it('are generated where only their beginning is given', async () => {
    const make = () => core.createNamespacedConfigMap({ namespace, body: { metadata: { generateName: 'gen-' } } })
    const [one, two] = await Promise.all([make(), make()])
    assert.match(one.metadata?.name ?? '', /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    assert.notEqual(one.metadata?.name, two.metadata?.name)
    assert.equal(one.metadata?.generateName, 'gen-')
    const long = await core.createNamespacedConfigMap({ namespace, body: { metadata: { generateName: 'x'.repeat(200) } } })
    assert.equal(long.metadata?.name?.length, 63, 'cut to fit a label')
  })

  it('are needed, legal, and taken once', async () => {
    const none = await ask('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: {} })
    assert.deepEqual(refused(none), [422, 'Invalid'])
    assert.match(none.body.message, /name or generateName is required/)
    const odd = await ask('POST', maps, map('Not_Legal'))
    assert.deepEqual([...refused(odd), odd.body.details.causes[0].field], [422, 'Invalid', 'metadata.name'])
    assert.equal((await ask('POST', maps, map('taken'))).code, 201)
    assert.deepEqual(refused(await ask('POST', maps, map('taken'))), [409, 'AlreadyExists'])
  })

  it('in a body must be those of the path', async () => {
    assert.equal((await ask('PUT', `${maps}/taken`, map('other'))).code, 400)
    assert.equal((await ask('POST', maps, map('x', {}, { namespace: 'elsewhere' }))).code, 400)
  })
})

describe('dry run', () => {
  it('answers as the write would, and writes nothing', async () => {
    const made = (await ask('POST', maps, map('dry'))).body
    const created = await ask('POST', `${maps}?dryRun=All`, map('wet'))
    assert.equal(created.code, 201)
    assert.ok(created.body.metadata.uid)
    assert.equal((await ask('GET', `${maps}/wet`)).code, 404)
    const updated = await ask('PUT', `${maps}/dry?dryRun=All`, map('dry', { a: 'c' }))
    assert.deepEqual([updated.code, updated.body.data], [200, { a: 'c' }])
    for (const [type, body] of [
      ['merge', { data: { a: 'c' } }],
      ['strategic', { data: { a: 'c' } }],
      ['json', [{ op: 'replace', path: '/data/a', value: 'c' }]],
      ['apply', map('dry', { a: 'c' })],
    ] as const) {
      const patched = await patch(type, `${maps}/dry?dryRun=All${type === 'apply' ? '&force=true' : ''}&fieldManager=dry`, body)
      assert.deepEqual([type, patched.code, patched.body.data], [type, 200, { a: 'c' }])
    }
    assert.deepEqual((await ask('GET', `${maps}/dry`)).body, made)
    assert.deepEqual(refused(await ask('POST', maps, map('dry'))), [409, 'AlreadyExists'], 'refusals are real')
  })

  it('is All or nothing', async () => assert.deepEqual(refused(await ask('POST', `${maps}?dryRun=Some`, map('x'))), [422, 'Invalid']))
})

describe('fieldValidation', () => {
  const wrong = (name: string) =>
    JSON.stringify({ ...deployment(name), sepc: {} }).replace('"replicas":0', '"replicas":0,"replicas":1,"paused2":true')

  it('Strict refuses what the kind does not know and what is there twice', async () => {
    const { code, body } = await ask('POST', `${deployments}?fieldValidation=Strict`, wrong('strict'))
    assert.deepEqual([code, body.reason], [400, 'BadRequest'])
    for (const part of [
      'strict decoding error',
      'unknown field "sepc"',
      'unknown field "spec.paused2"',
      'duplicate field "spec.replicas"',
    ]) {
      assert.ok(body.message.includes(part), `${part} in ${body.message}`)
    }
    assert.equal((await ask('GET', `${deployments}/strict`)).code, 404)
  })

  it('Warn, and nothing said, takes it and warns', async () => {
    for (const [name, query] of Object.entries({ warn: '?fieldValidation=Warn', default: '' })) {
      const answer = await ask('POST', deployments + query, wrong(name))
      assert.equal(answer.code, 201)
      const said = warnings(answer).join('\n')
      assert.match(said, /^299 - "/)
      for (const part of ['unknown field \\"sepc\\"', 'unknown field \\"spec.paused2\\"', 'duplicate field \\"spec.replicas\\"']) {
        assert.ok(said.includes(part), `${part} in ${said}`)
      }
      assert.equal(answer.body.spec.paused2, undefined)
      assert.equal(answer.body.spec.replicas, 1, 'the last one stands')
    }
  })

  it('Ignore takes it in silence', async () => {
    const answer = await ask('POST', `${deployments}?fieldValidation=Ignore`, wrong('ignore'))
    assert.deepEqual([answer.code, warnings(answer)], [201, []])
  })

  it('holds for patches', async () => {
    const strict = await patch('merge', `${deployments}/ignore?fieldValidation=Strict`, { spec: { nope: 1 } })
    assert.match(strict.body.message, /unknown field "spec.nope"/)
    const warn = await patch('strategic', `${deployments}/ignore`, { spec: { nope: 1 } })
    assert.match(warnings(warn).join(), /unknown field \\"spec.nope\\"/)
    const apply = await patch('apply', `${deployments}/ignore?fieldManager=x&fieldValidation=Strict`, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'ignore' },
      spec: { nope: 1 },
    })
    assert.ok(apply.code >= 400, apply.text)
  })
})

describe('versions', () => {
  it('guard an update; without one it goes over whatever is there', async () => {
    const first = (await ask('POST', maps, map('versioned'))).body
    const second = await ask('PUT', `${maps}/versioned`, { ...first, data: { a: '2' } })
    assert.equal(second.code, 200)
    const stale = await ask('PUT', `${maps}/versioned`, { ...first, data: { a: '3' } })
    assert.deepEqual(refused(stale), [409, 'Conflict'])
    assert.match(stale.body.message, /the object has been modified; please apply your changes to the latest version and try again/)
    assert.equal((await ask('PUT', `${maps}/versioned`, map('versioned', { a: '4' }))).code, 200)
    const uid = await ask('PUT', `${maps}/versioned`, map('versioned', {}, { uid: '00000000-0000-0000-0000-000000000000' }))
    assert.deepEqual(refused(uid), [409, 'Conflict'])
    const patched = await patch('merge', `${maps}/versioned`, { metadata: { resourceVersion: first.metadata.resourceVersion }, data: {} })
    assert.deepEqual(refused(patched), [409, 'Conflict'])
  })

  it('stay where nothing changes', async () => {
    const { body } = await ask('GET', `${maps}/versioned`)
    const again = await ask('PUT', `${maps}/versioned`, body)
    assert.equal(again.body.metadata.resourceVersion, body.metadata.resourceVersion)
  })

  it('of an object to create must not be set; an immutable one stays as it is', async () => {
    assert.equal((await ask('POST', maps, map('x', {}, { resourceVersion: '5' }))).code, 400)
    await ask('POST', maps, { ...map('fixed'), immutable: true })
    const { code, body } = await ask('PUT', `${maps}/fixed`, { ...map('fixed', { a: 'other' }), immutable: true })
    assert.deepEqual([code, body.reason], [422, 'Invalid'])
    assert.match(body.message, /field is immutable when `immutable` is set/)
  })
})

describe('patches', () => {
  it('JSON: all or none, tests first', async () => {
    await ask('POST', maps, map('json', { a: '1', b: '2' }))
    const { body } = await patch('json', `${maps}/json`, [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'move', from: '/data/a', path: '/data/c' },
      { op: 'copy', from: '/data/b', path: '/data/d' },
      { op: 'remove', path: '/data/b' },
    ])
    assert.deepEqual(body.data, { c: '1', d: '2' })
    const failing = [
      { op: 'replace', path: '/data/c', value: 'x' },
      { op: 'test', path: '/data/d', value: '9' },
    ]
    assert.equal((await patch('json', `${maps}/json`, failing)).code, 422)
    assert.deepEqual((await ask('GET', `${maps}/json`)).body.data, { c: '1', d: '2' })
  })

  it('merge: null removes, lists are replaced', async () => {
    await ask('POST', deployments, deployment('merged'))
    await patch('merge', `${maps}/json`, { data: { c: null, e: '5' } })
    assert.deepEqual((await ask('GET', `${maps}/json`)).body.data, { d: '2', e: '5' })
    const containers = [{ name: 'other', image: 'i:2' }]
    const { body } = await patch('merge', `${deployments}/merged`, { spec: { template: { spec: { containers } } } })
    assert.deepEqual(
      body.spec.template.spec.containers.map((c: Json) => c.name),
      ['other'],
    )
  })

  it('strategic: lists merge by key, and directives delete, replace and order', async () => {
    await ask('POST', deployments, deployment('strategic'))
    const containers = async (list: Json[], more: Json = {}) => {
      const { body, text } = await patch('strategic', `${deployments}/strategic`, {
        spec: { template: { spec: { containers: list, ...more } } },
      })
      return body.spec?.template.spec.containers.map((c: Json) => `${c.name}=${c.image}`).join(' ') ?? text
    }
    assert.equal(await containers([{ name: 'side', image: 's:1' }]), 'side=s:1 main=i:1')
    assert.equal(await containers([{ name: 'main', image: 'i:2' }]), 'side=s:1 main=i:2')
    const order = { '$setElementOrder/containers': [{ name: 'main' }, { name: 'side' }] }
    assert.equal(await containers([{ name: 'side', image: 's:2' }], order), 'main=i:2 side=s:2')
    assert.equal(await containers([{ name: 'side', $patch: 'delete' }]), 'main=i:2')
    assert.equal(await containers([{ $patch: 'replace' }, { name: 'only', image: 'o:1' }]), 'only=o:1')
  })

  it('apply: creates, owns, conflicts by name of field and owner, and takes by force', async () => {
    const apply = (manager: string, data: Json, force = false) =>
      patch('apply', `${maps}/applied?fieldManager=${manager}${force ? '&force=true' : ''}`, map('applied', data))
    const first = await apply('one', { a: '1', b: '1' })
    assert.equal(first.code, 201)
    const conflict = await apply('two', { a: '2' })
    assert.deepEqual(refused(conflict), [409, 'Conflict'])
    assert.match(conflict.body.message, /Apply failed with 1 conflict: conflict with "one": \.data\.a/)
    assert.deepEqual(conflict.body.details.causes, [{ reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' }])
    const shared = await apply('two', { a: '1' })
    const owners = (object: Json) =>
      Object.fromEntries(
        object.metadata.managedFields.map((f: Json) => [f.manager, Object.keys(f.fieldsV1['f:data']).filter((k) => k !== '.')]),
      )
    assert.deepEqual(owners(shared.body), { one: ['f:a', 'f:b'], two: ['f:a'] })
    const forced = await apply('two', { a: '2' }, true)
    assert.deepEqual(
      [forced.body.data, owners(forced.body)],
      [
        { a: '2', b: '1' },
        { one: ['f:b'], two: ['f:a'] },
      ],
    )
    const left = await apply('one', {})
    assert.deepEqual(left.body.data, { a: '2' }, 'what nobody owns any more is gone')
    for (const { time, operation, apiVersion, fieldsType } of left.body.metadata.managedFields) {
      assert.deepEqual([operation, apiVersion, fieldsType], ['Apply', 'v1', 'FieldsV1'])
      assert.match(time, /^\d{4}-\d\d-\d\dT/)
    }
  })

  it('apply must say who applies what, and only that', async () => {
    assert.deepEqual(refused(await patch('apply', `${maps}/applied`, map('applied'))), [422, 'Invalid'])
    assert.equal((await patch('apply', `${maps}/applied?fieldManager=x`, { data: {} })).code, 400)
    assert.equal(
      (await patch('apply', `${maps}/applied?fieldManager=x`, map('applied', {}, { managedFields: [{ manager: 'x' }] }))).code,
      400,
    )
    assert.equal((await patch('merge', `${maps}/applied?force=true`, { data: {} })).code, 422)
  })

  it('of no known kind are refused with those that are', async () => {
    const { code, body } = await ask('PATCH', `${maps}/applied`, {}, { 'content-type': 'application/x-patch' })
    assert.deepEqual([code, body.reason], [415, 'UnsupportedMediaType'])
    for (const type of Object.values(types)) assert.ok(body.message.includes(type))
  })
})

describe('managedFields', () => {
  it('tell updates from applies, name the subresource, and can be cleared', async () => {
    const entryOf = async (path: string, manager: string) =>
      (await ask('GET', path)).body.metadata.managedFields.find((f: Json) => f.manager === manager)
    await ask('POST', `${deployments}?fieldManager=maker`, deployment('managed'))
    const maker = await entryOf(`${deployments}/managed`, 'maker')
    assert.deepEqual([maker.operation, maker.subresource], ['Update', undefined])
    assert.ok(maker.fieldsV1['f:spec']['f:template']['f:spec']['f:containers']['k:{"name":"main"}']['f:image'])
    // A field that no controller writes.
    await ask('POST', '/api/v1/nodes', { metadata: { name: 'managed', labels: { tier: 'edge' } } })
    await patch('merge', '/api/v1/nodes/managed/status?fieldManager=teller', { status: { volumesInUse: ['disk'] } })
    const teller = await entryOf('/api/v1/nodes/managed', 'teller')
    assert.deepEqual([teller.operation, teller.subresource], ['Update', 'status'])
    assert.deepEqual(teller.fieldsV1, { 'f:status': { 'f:volumesInUse': {} } })
    await ask('DELETE', '/api/v1/nodes/managed')
    const cleared = await patch('json', `${deployments}/managed`, [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }])
    assert.equal(cleared.body.metadata.managedFields, undefined)
  })
})

describe('status, scale and generation', () => {
  const part = async (name: string) => {
    const { body } = await ask('GET', `${deployments}/${name}`)
    return {
      generation: body.metadata.generation,
      replicas: body.spec.replicas,
      conditions: body.status?.conditions?.map((c: Json) => c.type),
    }
  }
  const paused = { spec: { paused: true } }

  it('the spec leaves the status alone, and the status the spec', async () => {
    await ask('POST', deployments, { ...deployment('parts', paused.spec), status: { conditions: [{ type: 'Faked', status: 'True' }] } })
    assert.ok(!(await part('parts')).conditions?.includes('Faked'), 'a status is not created')
    const condition = { type: 'Told', status: 'True', reason: 'R', message: 'm' }
    const body = { metadata: { labels: { no: 'way' } }, spec: { replicas: 9 }, status: { conditions: [condition] } }
    assert.equal((await patch('merge', `${deployments}/parts/status`, body)).code, 200)
    const { metadata, spec, status } = (await ask('GET', `${deployments}/parts/status`)).body
    assert.deepEqual([metadata.labels, spec.replicas], [undefined, 0])
    assert.ok(status.conditions.some((c: Json) => c.type === 'Told'))
    await patch('merge', `${deployments}/parts`, { status: { conditions: [] }, metadata: { labels: { yes: 'x' } } })
    assert.ok((await part('parts')).conditions.includes('Told'))
  })

  it('generation counts what is asked for: the spec, not metadata, not status', async () => {
    const before = await part('parts')
    await patch('merge', `${deployments}/parts`, { metadata: { annotations: { a: 'b' } } })
    await patch('merge', `${deployments}/parts/status`, { status: { observedGeneration: 1 } })
    assert.equal((await part('parts')).generation, before.generation)
    await patch('merge', `${deployments}/parts`, { spec: { minReadySeconds: 1 } })
    assert.equal((await part('parts')).generation, before.generation + 1)
  })

  it('scale is a form that all share: read, replaced, patched, and refused below nothing', async () => {
    const scale = (await ask('GET', `${deployments}/parts/scale`)).body
    assert.deepEqual(
      [scale.apiVersion, scale.kind, scale.spec, scale.status.selector],
      ['autoscaling/v1', 'Scale', { replicas: 0 }, 'app=parts'],
    )
    const put = await ask('PUT', `${deployments}/parts/scale`, { ...scale, spec: { replicas: 3 } })
    assert.deepEqual([put.code, put.body.spec.replicas], [200, 3])
    const stale = await ask('PUT', `${deployments}/parts/scale`, { ...scale, spec: { replicas: 4 } })
    assert.deepEqual(refused(stale), [409, 'Conflict'])
    assert.equal((await patch('merge', `${deployments}/parts/scale`, { spec: { replicas: 2 } })).body.spec.replicas, 2)
    assert.deepEqual(refused(await patch('merge', `${deployments}/parts/scale`, { spec: { replicas: -1 } })), [422, 'Invalid'])
    assert.equal((await part('parts')).replicas, 2)
  })
})

describe('verbs', () => {
  it('that a resource does not have are 405', async () => {
    assert.deepEqual(refused(await ask('PUT', maps, map('x'))), [405, 'MethodNotAllowed'])
    assert.deepEqual(refused(await ask('POST', `${maps}/taken`, map('taken'))), [405, 'MethodNotAllowed'])
    assert.deepEqual(refused(await ask('DELETE', '/api/v1/componentstatuses/etcd-0')), [405, 'MethodNotAllowed'])
  })
})
