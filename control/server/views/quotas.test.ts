// ResourceQuota, by requests.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { ResourceQuota } from '#api/kinds/index.ts'
import { memoryStore } from '../../store/memory.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { configMap, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const core = '/api/v1/namespaces/test'
const pods = `${core}/pods`
const maps = `${core}/configmaps`
const merge = { headers: { 'content-type': 'application/merge-patch+json' } }

let server: Trial
before(async () => {
  server = await trial()
})
after(() => server?.close())
afterEach(async () => {
  for (const plural of ['resourcequotas', 'pods', 'configmaps', 'persistentvolumeclaims', 'services'])
    await server.ask('DELETE', `${core}/${plural}`, { gracePeriodSeconds: 0 })
})

const quota = async (name: string, hard: Json, spec: Json = {}) => {
  const made = await server.ask('POST', `${core}/resourcequotas`, { metadata: { name }, spec: { hard, ...spec } })
  assert.equal(made.code, 201, made.text)
  await until(name, ({ status }) => status.hard !== undefined)
}
/** Resolves to the status once it is as `test` wants it. */
async function until(name: string, test: (quota: ResourceQuota) => boolean, at = server): Promise<ResourceQuota['status']> {
  const signal = AbortSignal.timeout(5000)
  for await (const { object } of at.client.watch(ResourceQuota, { namespace: 'test', fieldSelector: `metadata.name=${name}`, signal }))
    if (test(object)) return object.status
  throw new Error(`${name} did not become what it should`)
}
const used = (name: string, wanted: Record<string, string>) =>
  until(name, ({ status }) => Object.entries(wanted).every(([resource, amount]) => status.used?.[resource] === amount))
const say = async (...request: Parameters<Trial['ask']>) => {
  const { code, body } = await server.ask(...request)
  return code < 300 ? code : body.message
}
const asking = (requests: Json, limits?: Json) => ({
  containers: [{ name: 'c', image: 'busybox:1', resources: { requests, ...(limits && { limits }) } }],
})

describe('a resource quota', () => {
  it('counts, refuses what is too much, and makes room again', async () => {
    await quota('few', { pods: '2', 'count/pods': '3' })
    assert.equal(await say('POST', pods, pod('a')), 201)
    assert.equal(await say('POST', pods, pod('b')), 201)
    assert.equal(
      await say('POST', pods, pod('c')),
      'pods "c" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2',
    )
    assert.deepEqual(await used('few', { pods: '2' }), { hard: { pods: '2', 'count/pods': '3' }, used: { pods: '2', 'count/pods': '2' } })
    await server.ask('PATCH', `${pods}/a/status`, { status: { phase: 'Succeeded' } }, merge)
    await used('few', { pods: '1', 'count/pods': '2' })
    assert.equal(await say('POST', pods, pod('c')), 201)
    await server.ask('DELETE', `${pods}/a`, { gracePeriodSeconds: 0 })
    await server.ask('DELETE', `${pods}/b`, { gracePeriodSeconds: 0 })
    await used('few', { pods: '1', 'count/pods': '1' })
  })

  it('measures what pods ask for, and makes them say it', async () => {
    await quota('size', { 'requests.cpu': '1', 'limits.memory': '1Gi', memory: '1Gi' })
    assert.equal(
      await say('POST', pods, pod('a')),
      'pods "a" is forbidden: failed quota: size: must specify limits.memory for: c; memory for: c; requests.cpu for: c',
    )
    assert.equal(await say('POST', pods, pod('a', asking({ cpu: '600m', memory: '100Mi' }, { memory: '200Mi' }))), 201)
    assert.equal(
      await say('POST', pods, pod('b', asking({ cpu: '500m', memory: '2Gi' }, { memory: '2Gi' }))),
      'pods "b" is forbidden: exceeded quota: size, requested: limits.memory=2Gi,memory=2Gi,requests.cpu=500m, ' +
        'used: limits.memory=200Mi,memory=100Mi,requests.cpu=600m, limited: limits.memory=1Gi,memory=1Gi,requests.cpu=1',
    )
    assert.equal(await say('POST', pods, pod('b', asking({ cpu: '400m', memory: '100Mi' }, { memory: '100Mi' }))), 201)
    await used('size', { 'requests.cpu': '1', 'limits.memory': '300Mi', memory: '200Mi' })
  })

  it('lets pods be that were there before it', async () => {
    assert.equal(await say('POST', pods, pod('old')), 201)
    await quota('strict', { 'limits.cpu': '1' })
    assert.match(await say('POST', pods, pod('new')), /must specify limits\.cpu for: c/)
    assert.equal(await say('PATCH', `${pods}/old`, { metadata: { labels: { a: 'b' } } }, merge), 200)
  })

  it('holds against many at once, and gets back what came to nothing', async () => {
    await quota('five', { configmaps: '5' })
    const codes = await Promise.all(Array.from({ length: 20 }, (_, i) => say('POST', maps, configMap(`m${i}`))))
    assert.equal(codes.filter((code) => code === 201).length, 5)
    await used('five', { configmaps: '5' })
    await server.ask('DELETE', maps)
    await used('five', { configmaps: '0' })
    assert.equal(await say('POST', maps, configMap('same')), 201)
    const again = await Promise.all(Array.from({ length: 10 }, () => server.ask('POST', maps, configMap('same'))))
    assert.ok(
      again.every(({ code }) => code === 409),
      'a name that is taken takes nothing',
    )
    assert.equal(await say('POST', `${maps}?dryRun=All`, configMap('dry')), 201)
    await used('five', { configmaps: '1' })
    assert.equal(await say('POST', maps, configMap('bad', { 'not a key': 'x' })).then((why) => typeof why), 'string')
    assert.deepEqual((await used('five', { configmaps: '1' })).used, { configmaps: '1' })
  })

  it('holds while many come and go, and forgets none of them', async () => {
    await quota('three', { configmaps: '3' })
    const names = Array.from({ length: 12 }, (_, i) => `m${i}`)
    let leaving: string[] = []
    let most = 0
    for (let round = 0; round < 10; round += 1) {
      // Those of the last round go while those of this one come.
      const gone = Promise.all(leaving.map((name) => server.ask('DELETE', `${maps}/${name}`)))
      const codes = await Promise.all(names.map(async (name) => (await server.ask('POST', maps, configMap(`${name}-${round}`))).code))
      await gone
      leaving = names.filter((_, i) => codes[i] === 201).map((name) => `${name}-${round}`)
      assert.deepEqual([...new Set(codes.filter((code) => code !== 201))], [403])
      assert.ok(leaving.length <= 3, `${leaving.length} are there`)
      most = Math.max(most, leaving.length)
    }
    assert.ok(most > 0)
    await Promise.all(leaving.map((name) => server.ask('DELETE', `${maps}/${name}`)))
    // Room is made once it is heard of.
    await used('three', { configmaps: '0' })
    const full = await Promise.all(Array.from({ length: 12 }, (_, i) => say('POST', maps, configMap(`n${i}`))))
    assert.equal(full.filter((code) => code === 201).length, 3, 'the room is as large as it was')
    await used('three', { configmaps: '3' })
  })

  it('knows services by what they hold, and changes of them', async () => {
    await quota('ports', { services: '2', 'services.nodeports': '2', 'services.loadbalancers': '0' })
    const service = (name: string, type: string, ports: number) => ({
      metadata: { name },
      spec: { type, ports: Array.from({ length: ports }, (_, i) => ({ name: `p${i}`, port: 80 + i })) },
    })
    assert.equal(await say('POST', `${core}/services`, service('a', 'NodePort', 2)), 201)
    assert.match(
      await say('POST', `${core}/services`, service('b', 'LoadBalancer', 1)),
      /requested: services\.loadbalancers=1,services\.nodeports=1, used: services\.loadbalancers=0,services\.nodeports=2, limited/,
    )
    assert.equal(await say('POST', `${core}/services`, service('b', 'ClusterIP', 1)), 201)
    assert.match(
      await say('PATCH', `${core}/services/b`, { spec: { type: 'NodePort' } }, merge),
      /exceeded quota: ports, requested: services\.nodeports=1/,
    )
    assert.equal(
      await say(
        'PATCH',
        `${core}/services/a`,
        {
          spec: {
            type: 'ClusterIP',
            ports: [
              { name: 'p0', port: 80, nodePort: null },
              { name: 'p1', port: 81, nodePort: null },
            ],
          },
        },
        merge,
      ),
      200,
    )
    await used('ports', { 'services.nodeports': '0' })
    assert.equal(await say('PATCH', `${core}/services/b`, { spec: { type: 'NodePort' } }, merge), 200)
    await used('ports', { services: '2', 'services.nodeports': '1' })
  })

  it('knows claims by class, and everything else by its name', async () => {
    await establish(server, definition('mugs', {}))
    await quota('rest', {
      'requests.storage': '5Gi',
      'fast.storageclass.storage.k8s.io/requests.storage': '2Gi',
      'count/mugs.example.com': '1',
      'count/deployments.apps': '0',
    })
    const claim = (name: string, size: string, storageClassName: string) => ({
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName, resources: { requests: { storage: size } } },
    })
    const claims = `${core}/persistentvolumeclaims`
    assert.equal(await say('POST', claims, claim('a', '3Gi', 'slow')), 201)
    assert.match(
      await say('POST', claims, claim('b', '3Gi', 'fast')),
      /exceeded quota: rest, requested: fast\.storageclass\.storage\.k8s\.io\/requests\.storage=3Gi,requests\.storage=3Gi,/,
    )
    const mugs = '/apis/example.com/v1/namespaces/test/mugs'
    const mug = (name: string) => ({ apiVersion: 'example.com/v1', kind: 'Mug', metadata: { name } })
    assert.equal(await say('POST', mugs, mug('a')), 201)
    assert.equal(
      await say('POST', mugs, mug('b')),
      'mugs.example.com "b" is forbidden: exceeded quota: rest, requested: count/mugs.example.com=1, used: count/mugs.example.com=1, limited: count/mugs.example.com=1',
    )
    await server.ask('DELETE', mugs)
    await used('rest', { 'count/mugs.example.com': '0', 'requests.storage': '3Gi' })
  })

  it('may be about some pods only', async () => {
    await quota('short', { pods: '0' }, { scopes: ['Terminating'] })
    await quota('best', { pods: '0' }, { scopeSelector: { matchExpressions: [{ scopeName: 'BestEffort', operator: 'Exists' }] } })
    const values = ['system-node-critical']
    await quota('high', { pods: '0' }, { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values }] } })
    const modest = asking({ cpu: '1m' })
    assert.equal(await say('POST', pods, pod('a', modest)), 201)
    assert.match(await say('POST', pods, pod('b', { ...modest, activeDeadlineSeconds: 5 })), /exceeded quota: short/)
    assert.match(await say('POST', pods, pod('b')), /exceeded quota: best/)
    assert.match(await say('POST', pods, pod('b', { ...modest, priorityClassName: 'system-node-critical' })), /exceeded quota: high/)
    assert.equal(await say('POST', maps, configMap('a')), 201)
  })

  it('counts what is there when it comes, or when the server does', async () => {
    await server.ask('POST', maps, configMap('a'))
    await quota('late', { configmaps: '2' })
    await used('late', { configmaps: '1' })
    assert.equal(await say('PATCH', `${core}/resourcequotas/late`, { spec: { hard: { configmaps: '1', secrets: '3' } } }, merge), 200)
    await used('late', { configmaps: '1', secrets: '0' })
    assert.match(await say('POST', maps, configMap('b')), /exceeded quota: late/)

    const store = await memoryStore()
    const first = await trial({ store })
    await first.ask('POST', maps, configMap('a'))
    await first.ask('POST', `${core}/resourcequotas`, { metadata: { name: 'q' }, spec: { hard: { configmaps: '1' } } })
    await first.close()
    const second = await trial({ store })
    assert.match(
      (await second.ask('POST', maps, configMap('b'))).body.message,
      /exceeded quota: q, requested: configmaps=1, used: configmaps=1/,
    )
    await until('q', ({ status }) => status.used?.configmaps === '1', second)
    await second.close()
    await store.close()
  })
})
