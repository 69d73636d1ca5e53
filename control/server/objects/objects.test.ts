import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { configMap, deployment, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const deployments = '/apis/apps/v1/namespaces/test/deployments'

describe('objects', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  it('are created with what only the server can say, and read back byte for byte', async () => {
    const made = await server.ask('POST', maps, configMap('one', { a: '1' }))
    assert.equal(made.code, 201)
    const { metadata } = made.body
    assert.ok(metadata.uid && metadata.creationTimestamp && Number(metadata.resourceVersion) > 1)
    assert.equal(metadata.namespace, 'test')
    assert.equal((await server.ask('GET', `${maps}/one`)).text, made.text)
    const list = await server.ask('GET', maps)
    assert.equal(list.body.kind, 'ConfigMapList')
    assert.ok(list.text.includes(made.text), 'the list holds the same bytes')
  })

  it('exist once', async () => {
    await server.ask('POST', maps, configMap('twice'))
    const again = await server.ask('POST', maps, configMap('twice'))
    assert.equal(again.code, 409)
    assert.equal(again.body.message, 'configmaps "twice" already exists')
    assert.deepEqual(again.body.details, { name: 'twice', kind: 'configmaps', group: '' })
  })

  it('get a name that nobody has', async () => {
    const names = new Set<string>()
    for (let i = 0; i < 5; i += 1) {
      const { body } = await server.ask('POST', maps, { metadata: { generateName: 'gen-' } })
      assert.match(body.metadata.name, /^gen-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
      names.add(body.metadata.name)
    }
    assert.equal(names.size, 5)
  })

  it('take the writes of any number of clients that name no version', async () => {
    await server.ask('POST', maps, configMap('popular'))
    const writes = Array.from({ length: 100 }, (_, i) => server.ask('PUT', `${maps}/popular`, configMap('popular', { last: `${i}` })))
    const codes = new Set((await Promise.all(writes)).map(({ code }) => code))
    assert.deepEqual([...codes], [200])
    const { body } = await server.ask('GET', `${maps}/popular`)
    assert.match(body.data.last, /^\d+$/)
  })

  it('are replaced in the version that was read, and in no other', async () => {
    const { body: first } = await server.ask('POST', maps, configMap('raced', { a: '1' }))
    const second = await server.ask('PUT', `${maps}/raced`, { ...first, data: { a: '2' } })
    assert.equal(second.code, 200)
    const stale = await server.ask('PUT', `${maps}/raced`, { ...first, data: { a: '3' } })
    assert.equal(stale.code, 409)
    assert.match(stale.body.message, /^Operation cannot be fulfilled on configmaps "raced": the object has been modified; please apply/)
    const blind = await server.ask('PUT', `${maps}/raced`, configMap('raced', { a: '4' }))
    assert.equal(blind.code, 200, 'without a version the last one wins')
  })

  it('are not written when nothing changes', async () => {
    const { body } = await server.ask('POST', maps, configMap('same', { a: '1' }))
    const revision = await server.store.revision()
    const again = await server.ask('PUT', `${maps}/same`, body)
    assert.equal(again.body.metadata.resourceVersion, body.metadata.resourceVersion)
    assert.equal(await server.store.revision(), revision)
  })

  it('keep their identity through an update', async () => {
    const { body } = await server.ask('POST', maps, configMap('self'))
    const other = { ...configMap('self'), metadata: { name: 'self', uid: 'another' } }
    assert.equal((await server.ask('PUT', `${maps}/self`, other)).code, 409)
    assert.equal((await server.ask('PUT', `${maps}/self`, configMap('renamed'))).code, 400)
    const kept = await server.ask('PUT', `${maps}/self`, configMap('self', { b: '2' }))
    assert.equal(kept.body.metadata.uid, body.metadata.uid)
    assert.equal(kept.body.metadata.creationTimestamp, body.metadata.creationTimestamp)
  })

  it('keep status and spec apart, and count what was asked for', async () => {
    const { body: made } = await server.ask('POST', deployments, { ...deployment('apart'), status: { replicas: 9 } })
    assert.equal(made.metadata.generation, 1)
    assert.equal(made.status.replicas, undefined)
    const spec = { ...made, spec: { ...made.spec, replicas: 3 }, status: { replicas: 9 } }
    const { body: scaled } = await server.ask('PUT', `${deployments}/apart`, spec)
    assert.equal(scaled.metadata.generation, 2)
    assert.equal(scaled.status.replicas, undefined)
    const status = { ...scaled, spec: { ...scaled.spec, replicas: 7 }, status: { replicas: 3 } }
    const { body: told } = await server.ask('PUT', `${deployments}/apart/status`, status)
    assert.deepEqual([told.spec.replicas, told.status.replicas, told.metadata.generation], [3, 3, 2])
    const { body: labelled } = await server.ask('PATCH', `${deployments}/apart`, { metadata: { labels: { a: 'b' } } }, merge)
    assert.equal(labelled.metadata.generation, 2, 'metadata is not what was asked for')
  })

  it('take patches of every kind', async () => {
    await server.ask('POST', deployments, deployment('patched'))
    const path = `${deployments}/patched`
    const json = await server.ask('PATCH', path, [{ op: 'replace', path: '/spec/replicas', value: 4 }], type('application/json-patch+json'))
    assert.equal(json.body.spec.replicas, 4)
    const merged = await server.ask('PATCH', path, { spec: { replicas: 5 } }, merge)
    assert.equal(merged.body.spec.replicas, 5)
    const containers = [{ name: 'second', image: 'busybox:2' }]
    const strategic = await server.ask(
      'PATCH',
      path,
      { spec: { template: { spec: { containers } } } },
      type('application/strategic-merge-patch+json'),
    )
    assert.deepEqual(
      strategic.body.spec.template.spec.containers.map((c: { name: string }) => c.name),
      ['second', 'c'],
    )
    const applied = 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: patched}\nspec: {replicas: 6}\n'
    const refused = await server.ask('PATCH', `${path}?fieldManager=me`, applied, type('application/apply-patch+yaml'))
    assert.equal(refused.code, 409)
    assert.equal(refused.body.details.causes[0].field, '.spec.replicas')
    const forced = await server.ask('PATCH', `${path}?fieldManager=me&force=true`, applied, type('application/apply-patch+yaml'))
    assert.equal(forced.body.spec.replicas, 6)
  })

  it('come to be by being applied, and go on from there', async () => {
    const configuration = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: "1", b: "2"}\n'
    const apply = (text: string) => server.ask('PATCH', `${maps}/applied?fieldManager=me`, text, type('application/apply-patch+yaml'))
    assert.equal((await apply(configuration)).code, 201)
    const again = await apply(configuration.replace(', b: "2"', ''))
    assert.deepEqual([again.code, again.body.data], [200, { a: '1' }], 'what is no longer applied goes')
    const nobody = await server.ask('PATCH', `${maps}/applied`, configuration, type('application/apply-patch+yaml'))
    assert.equal(nobody.code, 422)
  })

  it('can be tried out', async () => {
    const revision = await server.store.revision()
    const { body, code } = await server.ask('POST', `${maps}?dryRun=All`, configMap('tried'))
    assert.deepEqual([code, body.metadata.name], [201, 'tried'])
    assert.equal((await server.ask('GET', `${maps}/tried`)).code, 404)
    await server.ask('POST', maps, configMap('real', { a: '1' }))
    assert.equal((await server.ask('POST', `${maps}?dryRun=All`, configMap('real'))).code, 409)
    const patched = await server.ask('PATCH', `${maps}/real?dryRun=All`, { data: { a: '2' } }, merge)
    assert.equal(patched.body.data.a, '2')
    assert.equal((await server.ask('DELETE', `${maps}/real?dryRun=All`)).code, 200)
    assert.equal((await server.ask('GET', `${maps}/real`)).body.data.a, '1')
    assert.equal(await server.store.revision(), revision + 1)
  })

  it('say what they do not know, as loudly as was asked for', async () => {
    const odd = { ...configMap('odd'), surprise: 1 }
    const strict = await server.ask('POST', `${maps}?fieldValidation=Strict`, odd)
    assert.equal(strict.code, 400)
    assert.match(strict.body.message, /strict decoding error: unknown field "surprise"/)
    const warned = await server.ask('POST', maps, odd)
    assert.equal(warned.headers.get('warning'), '299 - "unknown field \\"surprise\\""')
    assert.equal(warned.body.surprise, undefined)
    const quiet = await server.ask('PUT', `${maps}/odd?fieldValidation=Ignore`, odd)
    assert.equal(quiet.headers.get('warning'), null)
  })

  it('scale by a form that all share', async () => {
    await server.ask('POST', deployments, deployment('scaled', 2))
    const { body: scale } = await server.ask('GET', `${deployments}/scaled/scale`)
    assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.selector], ['Scale', 2, 'app=scaled'])
    const next = await server.ask('PUT', `${deployments}/scaled/scale`, { ...scale, spec: { replicas: 5 } })
    assert.equal(next.body.spec.replicas, 5)
    const stale = await server.ask('PUT', `${deployments}/scaled/scale`, { ...scale, spec: { replicas: 6 } })
    assert.equal(stale.code, 409)
    const patched = await server.ask('PATCH', `${deployments}/scaled/scale`, { spec: { replicas: 0 } }, merge)
    assert.equal(patched.code, 200)
    assert.equal((await server.ask('GET', `${deployments}/scaled`)).body.spec.replicas, 0)
    const negative = await server.ask('PATCH', `${deployments}/scaled/scale`, { spec: { replicas: -1 } }, merge)
    assert.equal(negative.code, 422)
  })

  it('survive many writers at once', async () => {
    await server.ask('POST', maps, configMap('busy', {}))
    const writers = Array.from({ length: 20 }, (_, i) => server.ask('PATCH', `${maps}/busy`, { data: { [`k${i}`]: 'x' } }, merge))
    for (const answer of await Promise.all(writers)) assert.equal(answer.code, 200)
    assert.equal(Object.keys((await server.ask('GET', `${maps}/busy`)).body.data).length, 20)
  })
})

const type = (contentType: string) => ({ headers: { 'content-type': contentType } })
const merge = type('application/merge-patch+json')
