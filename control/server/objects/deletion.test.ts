import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ServiceAccount } from '#api/kinds/index.ts'
import { configMap, pod, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const pods = '/api/v1/namespaces/test/pods'
const merge = { headers: { 'content-type': 'application/merge-patch+json' } }

describe('deletion', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())
  const bind = (name: string, node = 'n1') => server.ask('POST', `${pods}/${name}/binding`, { target: { kind: 'Node', name: node } })

  it('is at once where nobody needs time', async () => {
    const { body } = await server.ask('POST', maps, configMap('plain'))
    const gone = await server.ask('DELETE', `${maps}/plain`)
    assert.deepEqual(
      [gone.code, gone.body.status, gone.body.details],
      [200, 'Success', { name: 'plain', kind: 'configmaps', uid: body.metadata.uid }],
    )
    assert.equal((await server.ask('GET', `${maps}/plain`)).code, 404)
    assert.equal((await server.ask('DELETE', `${maps}/plain`)).code, 404)
  })

  it('of a pod that runs nowhere is at once; of one on a node waits for the node', async () => {
    await server.ask('POST', pods, pod('nowhere'))
    await server.ask('DELETE', `${pods}/nowhere`)
    assert.equal((await server.ask('GET', `${pods}/nowhere`)).code, 404)

    await server.ask('POST', pods, pod('bound', { terminationGracePeriodSeconds: 20 }))
    assert.equal((await bind('bound')).code, 201)
    const { body } = await server.ask('DELETE', `${pods}/bound`)
    assert.equal(body.metadata.deletionGracePeriodSeconds, 20)
    assert.equal(Date.parse(body.metadata.deletionTimestamp) - server.clock.now(), 20_000)
    const revision = await server.store.revision()
    assert.equal((await server.ask('DELETE', `${pods}/bound`)).code, 200)
    assert.equal(await server.store.revision(), revision, 'asking again changes nothing')
    const sooner = await server.ask('DELETE', `${pods}/bound?gracePeriodSeconds=5`)
    assert.equal(sooner.body.metadata.deletionGracePeriodSeconds, 5)
    await server.ask('DELETE', `${pods}/bound`, { gracePeriodSeconds: 0, preconditions: { uid: body.metadata.uid } })
    assert.equal((await server.ask('GET', `${pods}/bound`)).code, 404)
  })

  it('binds once', async () => {
    await server.ask('POST', pods, pod('once'))
    await bind('once')
    const { body } = await server.ask('GET', `${pods}/once`)
    assert.deepEqual([body.spec.nodeName, body.status.conditions[0].type], ['n1', 'PodScheduled'])
    const again = await bind('once', 'n2')
    assert.deepEqual([again.code, again.body.reason], [409, 'Conflict'])
  })

  it('waits for finalizers, and takes no new ones', async () => {
    await server.ask('POST', maps, { ...configMap('held'), metadata: { name: 'held', finalizers: ['example.com/a', 'example.com/b'] } })
    const marked = await server.ask('DELETE', `${maps}/held`)
    assert.ok(marked.body.metadata.deletionTimestamp)
    const more = await server.ask('PATCH', `${maps}/held`, { metadata: { finalizers: ['example.com/a', 'example.com/c'] } }, merge)
    assert.deepEqual([more.code, /no new finalizers can be added/.test(more.body.message)], [422, true])
    await server.ask('PATCH', `${maps}/held`, { metadata: { finalizers: ['example.com/a'] } }, merge)
    assert.equal((await server.ask('GET', `${maps}/held`)).code, 200)
    assert.equal((await server.ask('PATCH', `${maps}/held`, { metadata: { finalizers: null } }, merge)).code, 200)
    assert.equal((await server.ask('GET', `${maps}/held`)).code, 404)
  })

  it('leaves word for the garbage collector', async () => {
    for (const [policy, finalizer] of [
      ['Foreground', 'foregroundDeletion'],
      ['Orphan', 'orphan'],
    ] as const) {
      await server.ask('POST', maps, configMap('owner'))
      const { body } = await server.ask('DELETE', `${maps}/owner`, { propagationPolicy: policy })
      assert.deepEqual(body.metadata.finalizers, [finalizer])
      await server.ask('PATCH', `${maps}/owner`, { metadata: { finalizers: null } }, merge)
    }
  })

  it('leaves the last word, too, where it is another', async () => {
    await server.ask('POST', maps, configMap('owner'))
    const finalizersAfter = async (propagationPolicy?: string) =>
      (await server.ask('DELETE', `${maps}/owner`, propagationPolicy ? { propagationPolicy } : {})).body.metadata.finalizers
    assert.deepEqual(await finalizersAfter('Foreground'), ['foregroundDeletion'])
    assert.deepEqual(await finalizersAfter('Orphan'), ['orphan'])
    assert.deepEqual(await finalizersAfter(), ['orphan'])
    assert.deepEqual(await finalizersAfter('Foreground'), ['foregroundDeletion'])
    await server.ask('DELETE', `${maps}/owner`, { propagationPolicy: 'Background' })
    assert.equal((await server.ask('GET', `${maps}/owner`)).code, 404)
  })

  it('of a namespace waits until it is empty, and lets nothing new in', async () => {
    const path = '/api/v1/namespaces/going'
    const { body: made } = await server.ask('POST', '/api/v1/namespaces', { metadata: { name: 'going' } })
    assert.deepEqual([made.spec.finalizers, made.status.phase], [['kubernetes'], 'Active'])
    const { body } = await server.ask('DELETE', path)
    assert.equal(body.status.phase, 'Terminating')
    const late = await server.ask('POST', `${path}/configmaps`, configMap('late'))
    assert.equal(late.code, 403)
    assert.match(late.body.message, /unable to create new content in namespace going because it is being terminated/)
    assert.deepEqual(late.body.details.causes, [
      { reason: 'NamespaceTerminating', message: 'namespace going is being terminated', field: 'metadata.namespace' },
    ])
    const { body: updated } = await server.ask('PUT', path, { ...body, spec: {} })
    assert.deepEqual(updated.spec.finalizers, ['kubernetes'], 'only through finalize')
    await server.ask('PUT', `${path}/finalize`, { ...updated, spec: { finalizers: [] } })
    assert.equal((await server.ask('GET', path)).code, 404)
    assert.equal((await server.ask('DELETE', '/api/v1/namespaces/kube-system')).code, 403)
  })

  it('of a collection takes what is selected', async () => {
    await server.client.create(ServiceAccount, { metadata: { namespace: 'default', name: 'x' } })
    for (const [name, label] of [
      ['d1', 'a'],
      ['d2', 'a'],
      ['d3', 'b'],
    ] as const)
      await server.ask('POST', maps, configMap(name, {}, { set: label }))
    const { code, body } = await server.ask('DELETE', `${maps}?labelSelector=set%3Da`)
    assert.deepEqual([code, body.items.length], [200, 2])
    const left = await server.ask('GET', `${maps}?labelSelector=set`)
    assert.deepEqual(
      left.body.items.map((i: { metadata: { name: string } }) => i.metadata.name),
      ['d3'],
    )
  })

  it('by eviction is a deletion with grace', async () => {
    await server.ask('POST', pods, pod('evicted'))
    await bind('evicted')
    const answer = await server.ask('POST', `${pods}/evicted/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      deleteOptions: { gracePeriodSeconds: 3 },
    })
    assert.deepEqual([answer.code, answer.body.status], [201, 'Success'])
    assert.equal((await server.ask('GET', `${pods}/evicted`)).body.metadata.deletionGracePeriodSeconds, 3)
  })
})
