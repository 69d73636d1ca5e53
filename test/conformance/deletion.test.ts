// Deletion as Kubernetes documents it: grace, finalizers, what becomes of dependents, preconditions, collections.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppsV1Api, CoreV1Api } from '@kubernetes/client-node'
import { eventually } from '../cluster/eventually.ts'
import { type Json, testServer } from './server.ts'

const { config, ask } = await testServer()
const core = config.makeApiClient(CoreV1Api)
const apps = config.makeApiClient(AppsV1Api)
const namespace = 'default'
const maps = `/api/v1/namespaces/${namespace}/configmaps`
const map = (name: string, metadata: Json = {}) => core.createNamespacedConfigMap({ namespace, body: { metadata: { name, ...metadata } } })
const gone = (path: string) => eventually(async () => assert.equal((await ask('GET', path)).code, 404))

describe('finalizers', () => {
  it('hold an object that is being deleted until the last is taken away', async () => {
    await map('held', { finalizers: ['example.com/a', 'example.com/b'] })
    const { code, body } = await ask('DELETE', `${maps}/held`)
    assert.equal(code, 200)
    assert.ok(body.metadata.deletionTimestamp, 'the answer is the object, as it goes')
    assert.equal(body.metadata.deletionGracePeriodSeconds, 0)
    const patch = (finalizers: string[]) =>
      ask('PATCH', `${maps}/held`, { metadata: { finalizers } }, { 'content-type': 'application/merge-patch+json' })
    const more = await patch(['example.com/a', 'example.com/b', 'example.com/c'])
    assert.deepEqual([more.code, more.body.reason], [422, 'Invalid'])
    assert.match(more.body.message, /no new finalizers can be added if the object is being deleted/)
    assert.equal((await patch(['example.com/b'])).code, 200)
    assert.equal((await ask('GET', `${maps}/held`)).code, 200)
    assert.equal((await patch([])).code, 200)
    await gone(`${maps}/held`)
  })
})

describe('preconditions', () => {
  it('are a uid and a version, and stop the deletion of another', async () => {
    const made = await map('guarded')
    for (const preconditions of [{ uid: '00000000-0000-0000-0000-000000000000' }, { resourceVersion: '1' }]) {
      const { code, body } = await ask('DELETE', `${maps}/guarded`, { kind: 'DeleteOptions', apiVersion: 'v1', preconditions })
      assert.deepEqual([code, body.reason], [409, 'Conflict'])
      assert.match(body.message, /Precondition failed: (UID|ResourceVersion) in precondition/)
    }
    const { uid, resourceVersion } = made.metadata as { uid: string; resourceVersion: string }
    const { code, body } = await ask('DELETE', `${maps}/guarded`, { preconditions: { uid, resourceVersion } })
    assert.deepEqual([code, body.status, body.details.uid], [200, 'Success', uid])
  })
})

describe('dry run', () => {
  it('answers as if, and deletes nothing', async () => {
    await map('stays')
    assert.equal((await ask('DELETE', `${maps}/stays?dryRun=All`)).code, 200)
    assert.equal((await ask('DELETE', `${maps}/stays`, { dryRun: ['All'] })).code, 200)
    assert.equal((await ask('DELETE', `${maps}?dryRun=All`)).code, 200)
    assert.equal((await ask('GET', `${maps}/stays`)).code, 200)
  })
})

describe('grace', () => {
  const pods = `/api/v1/namespaces/${namespace}/pods`
  const pod = (name: string, spec: Json = {}) =>
    core.createNamespacedPod({ namespace, body: { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } } })

  it('of a pod on a node: as it asks for, shorter if told so, never longer, and none by force', async () => {
    await pod('there', { nodeName: 'nowhere', terminationGracePeriodSeconds: 50 })
    const seconds = async (query: string) => (await ask('DELETE', `${pods}/there${query}`)).body.metadata?.deletionGracePeriodSeconds
    assert.equal(await seconds(''), 50)
    assert.equal(await seconds('?gracePeriodSeconds=20'), 20)
    assert.equal(await seconds('?gracePeriodSeconds=40'), 20)
    assert.equal((await ask('GET', `${pods}/there`)).body.metadata.deletionGracePeriodSeconds, 20)
    await ask('DELETE', `${pods}/there?gracePeriodSeconds=0`)
    await gone(`${pods}/there`)
  })

  it('of a pod that no node has is none', async () => {
    await pod('waiting', { nodeSelector: { no: 'where' } })
    await ask('DELETE', `${pods}/waiting`)
    assert.equal((await ask('GET', `${pods}/waiting`)).code, 404)
  })

  it('that is negative or no number is refused', async () => {
    await map('kept')
    assert.equal((await ask('DELETE', `${maps}/kept?gracePeriodSeconds=x`)).code, 400)
    assert.equal((await ask('GET', `${maps}/kept`)).code, 200)
  })
})

describe('propagation', () => {
  const sets = `/apis/apps/v1/namespaces/${namespace}/replicasets`
  const pods = async (name: string): Promise<Json[]> => (await core.listNamespacedPod({ namespace, labelSelector: `app=${name}` })).items
  async function family(name: string): Promise<void> {
    const labels = { app: name }
    const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }], nodeSelector: { no: 'where' } } }
    await apps.createNamespacedReplicaSet({
      namespace,
      body: { metadata: { name }, spec: { replicas: 2, selector: { matchLabels: labels }, template } },
    })
    await eventually(async () => assert.equal((await pods(name)).length, 2))
  }

  it('Background: the owner at once, its dependents after', async () => {
    await family('background')
    const { body } = await ask('DELETE', `${sets}/background`, { propagationPolicy: 'Background' })
    assert.equal(body.status, 'Success')
    assert.equal((await ask('GET', `${sets}/background`)).code, 404)
    await eventually(async () => assert.deepEqual(await pods('background'), []))
  })

  it('Foreground: the owner waits for those that block it', async () => {
    await family('foreground')
    const [held] = (await pods('foreground')) as [Json]
    const pod = `/api/v1/namespaces/${namespace}/pods/${held.metadata.name}`
    const finalize = (finalizers: string[]) =>
      ask('PATCH', pod, { metadata: { finalizers } }, { 'content-type': 'application/merge-patch+json' })
    await finalize(['example.com/held'])
    const { body } = await ask('DELETE', `${sets}/foreground`, { propagationPolicy: 'Foreground' })
    assert.deepEqual(body.metadata.finalizers, ['foregroundDeletion'])
    await eventually(async () => assert.equal((await pods('foreground')).length, 1))
    assert.equal((await ask('GET', `${sets}/foreground`)).code, 200)
    await finalize([])
    await gone(`${sets}/foreground`)
    assert.deepEqual(await pods('foreground'), [])
  })

  it('Orphan: dependents stay, and know no owner', async () => {
    await family('orphan')
    const { body } = await ask('DELETE', `${sets}/orphan`, { propagationPolicy: 'Orphan' })
    assert.ok(body.status === 'Success' || body.metadata.finalizers.includes('orphan'))
    await gone(`${sets}/orphan`)
    const left = await pods('orphan')
    assert.equal(left.length, 2)
    assert.ok(left.every((p) => p.metadata.ownerReferences === undefined))
    await core.deleteCollectionNamespacedPod({ namespace, labelSelector: 'app=orphan' })
  })

  it('is one of three, and not told twice', async () => {
    await map('owner')
    assert.equal((await ask('DELETE', `${maps}/owner`, { propagationPolicy: 'Sideways' })).code, 422)
    assert.equal((await ask('DELETE', `${maps}/owner`, { propagationPolicy: 'Orphan', orphanDependents: true })).code, 422)
  })
})

describe('deletecollection', () => {
  it('takes what both selectors select, and nothing else', async () => {
    for (const name of ['x1', 'x2', 'x3', 'y1']) await map(name, { labels: { of: name.slice(0, 1) } })
    const left = async () =>
      (await core.listNamespacedConfigMap({ namespace, labelSelector: 'of' })).items.map((o) => o.metadata?.name).join(' ')
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'of=x', fieldSelector: 'metadata.name!=x2' })
    assert.equal(await left(), 'x2 y1')
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'of in (x, y)' })
    assert.equal(await left(), '')
  })
})
