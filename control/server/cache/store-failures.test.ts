import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { isStatus } from '#api/errors.ts'
import { ConfigMap, Lease, Service } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { MemoryEngine } from '../../store/memory.ts'
import { openMvcc } from '../../store/mvcc.ts'
import { configMap, eventsOf, type Json, pod, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const noRights = { name: 'system:node:one', groups: ['system:nodes', 'system:authenticated'] }

async function serverOn(t: TestContext) {
  const engine = new MemoryEngine()
  const store = await openMvcc({ engine, log: silent, lookAgainMs: 5 })
  const server = await trial({ store })
  server.ready()
  t.after(async () => {
    await server.close()
    await store.close()
  })
  const names = async () => (await server.ask('GET', maps)).body.items.map((item: Json) => item.metadata.name)
  return { engine, store, server, names }
}

describe('a commit that fails', () => {
  it('costs the writes under way, each of which is told, and nothing that was there before', async (t) => {
    const { engine, server, names } = await serverOn(t)
    await server.ask('POST', maps, configMap('before'))
    engine.failure = new Error('input/output error')
    const lost = await server.ask('POST', maps, configMap('lost'))
    assert.deepEqual([lost.code, lost.body.reason], [503, 'ServiceUnavailable'])
    assert.match(lost.body.message, /"lost" cannot be written: the store could not commit: input\/output error/)
    assert.deepEqual(await names(), ['before'])
    assert.equal((await server.ask('POST', maps, configMap('lost'))).code, 201)
    assert.deepEqual(await names(), ['before', 'lost'])
  })

  it('lets no second write of a name say that the first one, which is lost, is there', async (t) => {
    const { engine, server, names } = await serverOn(t)
    engine.failure = new Error('input/output error')
    const both = await Promise.all(['1', '2'].map((a) => server.ask('POST', maps, configMap('lost', { a }))))
    assert.deepEqual(
      both.map(({ body }) => body.reason),
      ['ServiceUnavailable', 'ServiceUnavailable'],
    )
    for (const { body } of both) assert.match(body.message, /"lost" cannot be written: /)
    assert.deepEqual(await names(), [])
    const again = await Promise.all(['1', '2'].map((a) => server.ask('POST', maps, configMap('lost', { a }))))
    assert.deepEqual(
      again.map(({ code }) => code).toSorted((a, b) => a - b),
      [201, 409],
    )
  })

  it('leaves reads, rights and health as they are until the disk is read back, says so, and heals', async (t) => {
    const { engine, server, store, names } = await serverOn(t)
    await server.ask('POST', maps, configMap('before'))
    await server.client.create(Lease, { metadata: { namespace: 'kube-node-lease', name: 'one' }, spec: { holderIdentity: 'one' } })
    const may = async () => (await server.ask('GET', '/api/v1/services', undefined, { user: noRights })).code
    assert.equal(await may(), 200)
    engine.failure = new Error('input/output error')
    engine.broken = new Error('no medium found')
    assert.equal((await server.ask('POST', maps, configMap('lost'))).code, 503)
    const refused = await server.ask('PUT', `${maps}/before`, configMap('before', { a: '1' }))
    assert.equal(refused.code, 503)
    assert.match(refused.body.message, /"before" cannot be written: the store cannot be read back: no medium found/)
    assert.deepEqual(await names(), ['before'])
    assert.equal(await may(), 200)
    assert.equal((await server.ask('GET', '/readyz')).code, 500)
    assert.match((await server.ask('GET', '/readyz?verbose')).text, /\[-\]store failed/)
    assert.equal((await server.ask('GET', '/livez')).text, 'ok', 'a restart would mend nothing')
    const [component] = (await server.ask('GET', '/api/v1/componentstatuses')).body.items
    assert.deepEqual([component.conditions[0].status, component.conditions[0].message], ['False', store.trouble])
    engine.broken = undefined
    while (store.trouble) await setImmediate()
    assert.equal((await server.ask('GET', '/readyz')).text, 'ok')
    assert.equal((await server.ask('PUT', `${maps}/before`, configMap('before', { a: '1' }))).code, 200)
    assert.ok(await server.client.find(Lease, { namespace: 'kube-node-lease', name: 'one' }), 'heartbeats are not lost with it')
  })

  it('ends watches, which go on from where they were and miss nothing, not even a write that came through all the same', async (t) => {
    const { engine, server } = await serverOn(t)
    const { body } = await server.ask('GET', maps)
    const from = body.metadata.resourceVersion
    const watch = (revision: string) => server.open(`${maps}?watch=1&resourceVersion=${revision}`)
    const events = eventsOf(await watch(from))
    await server.ask('POST', maps, configMap('a'))
    const first = (await events.next()).value
    engine.failsLate = true
    engine.failure = new Error('the sync failed')
    assert.equal((await server.ask('POST', maps, configMap('b'))).code, 201, 'it was found on the disk')
    assert.equal((await events.next()).done, true)
    const again = eventsOf(await watch(first.object.metadata.resourceVersion))
    const second = (await again.next()).value
    assert.deepEqual([second.type, second.object.metadata.name], ['ADDED', 'b'])
    assert.equal((await server.ask('POST', maps, configMap('b'))).code, 409)
    await again.return(undefined)
  })

  it('is known to whatever is made of objects: pods by node, addresses of services', async (t) => {
    const { engine, server, store } = await serverOn(t)
    await server.ask('POST', '/api/v1/namespaces/test/secrets', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' } })
    const usesSecret = pod('user', { nodeName: 'one', imagePullSecrets: [{ name: 's' }] })
    engine.failsLate = true
    engine.failure = new Error('the sync failed')
    engine.broken = new Error('gone')
    assert.equal((await server.ask('POST', '/api/v1/namespaces/test/pods', usesSecret)).code, 503)
    engine.broken = undefined
    const secret = '/api/v1/namespaces/test/secrets/s'
    while ((await server.ask('GET', '/api/v1/namespaces/test/pods/user')).code !== 200) await setImmediate()
    assert.equal((await server.ask('GET', secret, undefined, { user: noRights })).code, 200)

    const service = (name: string) => ({ metadata: { namespace: 'test', name }, spec: { clusterIP: '10.43.7.7', ports: [{ port: 80 }] } })
    engine.failsLate = false
    engine.failure = new Error('input/output error')
    engine.broken = new Error('gone')
    await assert.rejects(server.client.create(Service, service('lost')), /may not have been written/)
    const told = store.trouble
    const failed = engine.failures
    while (engine.failures < failed + 3) await setImmediate()
    assert.equal(store.trouble, told)
    await assert.rejects(server.client.create(Service, service('early')), /already allocated/, 'it may be there')
    engine.broken = undefined
    while (store.trouble) await setImmediate()
    assert.ok(await server.client.create(Service, service('again')), 'what was lost has no address')
    await assert.rejects(server.client.create(Service, service('third')), /already allocated/)
  })
})

it('a shortage refuses all but deletions and what leads to them', async (t) => {
  const { engine, server, store, names } = await serverOn(t)
  for (const name of ['a', 'b', 'held']) await server.ask('POST', maps, configMap(name))
  await server.client.patch(ConfigMap, { namespace: 'test', name: 'held' }, 'merge', { metadata: { finalizers: ['example.com/x'] } })
  engine.full = { message: 'no space left on the disk of /data: 12 KiB are free', deletions: true }
  engine.failure = new Error('no space left on device')
  const lost = await server.ask('POST', maps, configMap('lost'))
  assert.deepEqual([lost.code, /no space left on the disk of \/data: 12 KiB are free/.test(lost.body.message)], [503, true])
  assert.equal((await server.ask('PUT', `${maps}/a`, configMap('a', { k: 'v' }))).code, 503)
  assert.equal((await server.ask('DELETE', `${maps}/a`)).code, 200)
  assert.equal((await server.ask('DELETE', `${maps}/held`)).code, 200)
  assert.deepEqual(await names(), ['b', 'held'])
  await server.client.patch(ConfigMap, { namespace: 'test', name: 'held' }, 'merge', { metadata: { finalizers: null } })
  assert.deepEqual(await names(), ['b'], 'a finalizer that is taken away leads to a deletion')
  assert.equal((await server.ask('GET', '/readyz')).code, 500)
  engine.full = undefined
  while (store.trouble) await setImmediate()
  assert.equal((await server.ask('POST', maps, configMap('c'))).code, 201)
})

it('random histories: readers see every acknowledged write while commits fail and the store recovers', async (t) => {
  const { engine, server, store } = await serverOn(t)
  let loaded = 0
  engine.pause = async () => {
    loaded += 1
    if (loaded % 50 === 0) await setImmediate()
  }
  let seed = 11
  const random = (n: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * n)
  }
  /** By name: the least that a reader may find. A write that failed may be there, or come, all the same. */
  const acknowledged = new Map<string, number>()
  const writing = new AbortController()
  let readings = 0
  let failures = 0
  const read = async () => {
    while (!writing.signal.aborted) {
      const before = new Map(acknowledged)
      const { code, body } = await server.ask('GET', maps)
      assert.equal(code, 200)
      const found = new Map<string, number>(body.items.map((item: Json) => [item.metadata.name, Number(item.data.at)]))
      for (const [name, least] of before)
        assert.ok((found.get(name) ?? -1) >= least, `${name} is ${found.get(name)}, ${least} was acknowledged`)
      readings += 1
      await setImmediate()
    }
  }
  const write = async (name: string) => {
    for (let at = 1; at <= 30; at += 1) {
      if (random(6) === 0) {
        engine.failsLate = random(2) === 0
        engine.failure = new Error('input/output error')
        if (random(3) === 0) engine.broken = new Error('gone')
      }
      try {
        await server.client.patch(ConfigMap, { namespace: 'test', name }, 'merge', { data: { at: String(at) } })
        acknowledged.set(name, at)
      } catch (error) {
        assert.ok(isStatus(error, 'ServiceUnavailable') || /may not have been/.test(String(error)), String(error))
        failures += 1
        engine.broken = undefined
        while (store.trouble) await setImmediate()
      }
    }
  }
  const keys = ['a', 'b', 'c']
  for (const name of keys) await server.ask('POST', maps, configMap(name, { at: '0' }))
  for (const name of keys) acknowledged.set(name, 0)
  const readers = [read(), read()]
  await Promise.all(keys.map(write))
  writing.abort()
  await Promise.all(readers)
  assert.ok(failures > 5 && readings > 10, `${failures} failures, ${readings} readings`)
})

it('leases survive a restart of the server, but for the heartbeats of nodes', async (t) => {
  const engine = new MemoryEngine()
  const lease = (namespace: string) => ({ metadata: { namespace, name: 'leader' }, spec: { holderIdentity: 'one' } })
  const open = async () => trial({ store: await openMvcc({ engine, log: silent }) })
  const before = await open()
  await before.client.create(Lease, lease('test'))
  const heartbeat = await before.client.create(Lease, lease('kube-node-lease'))
  await before.client.patch(Lease, lease('test').metadata, 'merge', { spec: { holderIdentity: 'two' } })
  await before.close()
  const after = await open()
  t.after(() => after.close())
  assert.equal((await after.client.find(Lease, lease('test').metadata))?.spec?.holderIdentity, 'two')
  assert.equal(await after.client.find(Lease, lease('kube-node-lease').metadata), undefined)
  const path = (namespace: string) =>
    `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases?watch=1&timeoutSeconds=1&resourceVersion=${Number(heartbeat.metadata.resourceVersion) - 1}`
  assert.equal((await after.ask('GET', path('kube-node-lease'))).code, 410, 'what is in memory only has no past')
  const events = eventsOf(await after.open(path('test')))
  assert.equal((await events.next()).value.object.spec.holderIdentity, 'two', 'what is on the disk has')
  await events.return(undefined)
})
