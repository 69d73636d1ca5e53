// One object, two versions: read, written, patched, applied, selected, watched and deleted in either.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { eventsOf, type Json, type Trial, trial } from '../testing/trial.fake.ts'

const v1 = '/apis/autoscaling/v1/namespaces/test/horizontalpodautoscalers'
const v2 = '/apis/autoscaling/v2/namespaces/test/horizontalpodautoscalers'
const cpu = (averageUtilization: number) => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
})
const memory = { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } } }
const scaleTargetRef = { kind: 'Deployment', name: 'web' }
const type = (value: string) => ({ headers: { 'content-type': value } })

describe('an object in two versions', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())
  const get = async (path: string): Promise<Json> => (await server.ask('GET', path)).body

  it('is made in one and read in the other', async () => {
    const made = await server.ask('POST', v1, {
      metadata: { name: 'a' },
      spec: { scaleTargetRef, maxReplicas: 3, targetCPUUtilizationPercentage: 60 },
    })
    assert.deepEqual([made.code, made.body.apiVersion, made.body.spec.minReplicas], [201, 'autoscaling/v1', 1])
    const other = await get(`${v2}/a`)
    assert.deepEqual([other.apiVersion, other.spec.metrics], ['autoscaling/v2', [cpu(60)]])
    assert.equal(other.metadata.resourceVersion, made.body.metadata.resourceVersion)
    const list = await get(v1)
    assert.deepEqual([list.kind, list.apiVersion, list.items.length], ['HorizontalPodAutoscalerList', 'autoscaling/v1', 1])
    const twice = await server.ask('POST', v2, { metadata: { name: 'a' }, spec: { scaleTargetRef, maxReplicas: 3 } })
    assert.equal(twice.code, 409)
  })

  it('keeps through the old version what that does not know', async () => {
    await server.ask('POST', v2, { metadata: { name: 'b' }, spec: { scaleTargetRef, maxReplicas: 3, metrics: [memory, cpu(60)] } })
    const old = await get(`${v1}/b`)
    const put = await server.ask('PUT', `${v1}/b`, { ...old, spec: { ...old.spec, maxReplicas: 5, targetCPUUtilizationPercentage: 70 } })
    assert.equal(put.code, 200)
    assert.deepEqual((await get(`${v2}/b`)).spec, { scaleTargetRef, minReplicas: 1, maxReplicas: 5, metrics: [memory, cpu(70)] })
    const same = await server.ask('PUT', `${v1}/b`, put.body)
    assert.equal(same.body.metadata.resourceVersion, put.body.metadata.resourceVersion, 'nothing changed, nothing is written')
    const stale = await server.ask('PUT', `${v1}/b`, old)
    assert.equal(stale.code, 409)
  })

  it('takes patches and applied configurations of either', async () => {
    await server.ask('POST', v2, { metadata: { name: 'c' }, spec: { scaleTargetRef, maxReplicas: 3, metrics: [memory] } })
    const patch = { spec: { targetCPUUtilizationPercentage: 50 } }
    await server.ask('PATCH', `${v1}/c`, patch, type('application/merge-patch+json'))
    assert.deepEqual((await get(`${v2}/c`)).spec.metrics, [memory, cpu(50)])
    const configuration =
      'apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: {name: d}\nspec: {maxReplicas: 4, targetCPUUtilizationPercentage: 40, scaleTargetRef: {kind: Deployment, name: web}}\n'
    const apply = (text: string) => server.ask('PATCH', `${v1}/d?fieldManager=me`, text, type('application/apply-patch+yaml'))
    const applied = await apply(configuration)
    assert.deepEqual([applied.code, applied.body.apiVersion, applied.body.spec.targetCPUUtilizationPercentage], [201, 'autoscaling/v1', 40])
    const again = await apply(configuration)
    assert.deepEqual([again.code, again.body.metadata.resourceVersion], [200, applied.body.metadata.resourceVersion])
    const wrong = await server.ask(
      'PATCH',
      `${v1}/d?fieldManager=me`,
      configuration.replace('v1', 'v2'),
      type('application/apply-patch+yaml'),
    )
    assert.equal(wrong.code, 400)
  })

  it('is shown and watched in the version that is asked for', async () => {
    const table = await server.ask('GET', v1, undefined, { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } })
    assert.deepEqual(table.body.rows[1].cells.slice(0, 5), ['b', 'Deployment/web', 'memory: <unknown>/1Gi, cpu: <unknown>/70%', '1', 5])
    const stop = new AbortController()
    const from = (await get(v2)).metadata.resourceVersion
    const watched = eventsOf(await server.open(`${v1}?watch=1&resourceVersion=${from}`, { signal: stop.signal }))
    await server.ask('POST', v2, { metadata: { name: 'e' }, spec: { scaleTargetRef, maxReplicas: 3 } })
    const seen = async () => (await watched.next()).value
    const added = await seen()
    assert.deepEqual(
      [added.type, added.object.apiVersion, added.object.spec.targetCPUUtilizationPercentage],
      ['ADDED', 'autoscaling/v1', 80],
    )
    await server.ask('DELETE', `${v1}/e`)
    const deleted = await seen()
    assert.deepEqual([deleted.type, deleted.object.apiVersion], ['DELETED', 'autoscaling/v1'])
    assert.ok(Number(deleted.object.metadata.resourceVersion) > Number(added.object.metadata.resourceVersion))
    await watched.return(undefined)
  })

  it('is selected by the names that its version has for fields, and judged by its rules', async () => {
    const events = '/apis/events.k8s.io/v1/namespaces/test/events'
    const regarding = { apiVersion: 'v1', kind: 'Pod', namespace: 'test', name: 'web' }
    const event = {
      metadata: { name: 'seen' },
      eventTime: '2024-01-01T00:00:00.000000Z',
      type: 'Normal',
      reason: 'Seen',
      action: 'Look',
      reportingController: 'example.com/watcher',
      reportingInstance: 'w',
      regarding,
    }
    assert.equal((await server.ask('POST', events, event)).code, 201)
    for (const path of [
      `${events}?fieldSelector=regarding.name%3Dweb`,
      '/api/v1/namespaces/test/events?fieldSelector=involvedObject.name%3Dweb',
    ]) {
      assert.equal((await get(path)).items.length, 1, path)
    }
    assert.equal((await get(`${events}?fieldSelector=regarding.name%3Dother`)).items.length, 0)
    const bad = await server.ask('POST', events, { ...event, metadata: { name: 'bad' }, action: '', type: 'Loud' })
    assert.deepEqual(
      [bad.code, bad.body.message],
      [422, 'Event.events.k8s.io "bad" is invalid: [type: Invalid value: "": has invalid value: Loud, action: Required value]'],
    )
    const all = await server.ask('DELETE', events)
    assert.deepEqual([all.code, all.body.items[0].apiVersion], [200, 'events.k8s.io/v1'])
    assert.equal((await get('/api/v1/namespaces/test/events')).items.length, 0)
  })

  it('is found once by what goes through all kinds', async () => {
    const kinds = (await server.client.kinds()).map(({ kind }) => kind)
    for (const kind of ['Event', 'HorizontalPodAutoscaler']) assert.equal(kinds.filter((k) => k === kind).length, 1, kind)
    const { groups } = await get('/apis')
    const autoscaling = groups.find((g: Json) => g.name === 'autoscaling')
    assert.deepEqual([autoscaling.preferredVersion.version, autoscaling.versions.length], ['v2', 2])
  })
})
