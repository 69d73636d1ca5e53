import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const pods = '/api/v1/namespaces/test/pods'
const budgets = '/apis/policy/v1/namespaces/test/poddisruptionbudgets'

describe('eviction', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  async function runs(name: string, app: string, { ready = true } = {}): Promise<void> {
    await server.ask('POST', pods, { ...pod(name), metadata: { name, labels: { app } } })
    await server.ask('POST', `${pods}/${name}/binding`, { target: { kind: 'Node', name: 'n' } })
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] }
    const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
    assert.equal((await server.ask('PATCH', `${pods}/${name}/status`, { status }, merge)).code, 200)
  }
  /** As the disruption controller leaves it. */
  async function budget(name: string, app: string, status: Json, spec: Json = {}): Promise<void> {
    const object = { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name } }
    await server.ask('POST', budgets, { ...object, spec: { minAvailable: 1, selector: { matchLabels: { app } }, ...spec } })
    const whole = { expectedPods: 2, desiredHealthy: 1, currentHealthy: 2, observedGeneration: 1, ...status }
    const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
    assert.equal((await server.ask('PATCH', `${budgets}/${name}/status`, { status: whole }, merge)).code, 200)
  }
  const evict = (name: string, query = '') =>
    server.ask('POST', `${pods}/${name}/eviction${query}`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })
  const read = async (path: string) => (await server.ask('GET', path)).body

  it('takes one from the budget, says so on the pod, and is refused when there is none left', async () => {
    await runs('a', 'one')
    await runs('b', 'one')
    await budget('one', 'one', { disruptionsAllowed: 1 })
    assert.equal((await evict('a', '?dryRun=All')).code, 201)
    assert.equal((await read(`${budgets}/one`)).status.disruptionsAllowed, 1)
    assert.equal((await evict('a')).code, 201)
    const gone = await read(`${pods}/a`)
    assert.ok(gone.metadata.deletionTimestamp)
    assert.equal(gone.status.conditions.find((c: Json) => c.type === 'DisruptionTarget').reason, 'EvictionByEvictionAPI')
    const { status } = await read(`${budgets}/one`)
    assert.deepEqual([status.disruptionsAllowed, Object.keys(status.disruptedPods)], [0, ['a']])
    const refused = await evict('b')
    assert.deepEqual([refused.code, refused.body.reason], [429, 'TooManyRequests'])
    assert.deepEqual(refused.body.details.causes, [
      { reason: 'DisruptionBudget', message: 'The disruption budget one needs 1 healthy pods and has 2 currently' },
    ])
    assert.equal((await read(`${pods}/b`)).metadata.deletionTimestamp, undefined)
    assert.equal((await evict('a')).code, 201, 'what is going anyway needs no leave')
  })

  it('says so on pods that no budget counts, too', async () => {
    await runs('free', 'free')
    assert.equal((await evict('free')).code, 201)
    await runs('ill', 'ill', { ready: false })
    await budget('ill', 'ill', { disruptionsAllowed: 0 }, { unhealthyPodEvictionPolicy: 'AlwaysAllow' })
    assert.equal((await evict('ill')).code, 201)
    for (const name of ['free', 'ill']) {
      const { metadata, status } = await read(`${pods}/${name}`)
      assert.ok(metadata.deletionTimestamp)
      assert.equal(status.conditions.find((c: Json) => c.type === 'DisruptionTarget')?.reason, 'EvictionByEvictionAPI', name)
    }
  })

  it('evicts the pod that was asked for, in the version that was asked for, and marks no other', async () => {
    await runs('exact', 'exact')
    const { uid, resourceVersion } = (await read(`${pods}/exact`)).metadata
    const demand = (preconditions: Json) =>
      server.ask('POST', `${pods}/exact/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'exact' },
        deleteOptions: { preconditions },
      })
    for (const wrong of [{ uid: 'another' }, { uid, resourceVersion: '1' }]) {
      const { code, body } = await demand(wrong)
      assert.deepEqual([code, body.reason], [409, 'Conflict'])
      assert.equal((await read(`${pods}/exact`)).metadata.resourceVersion, resourceVersion)
    }
    assert.equal((await demand({ uid, resourceVersion })).code, 201)
    assert.ok((await read(`${pods}/exact`)).metadata.deletionTimestamp)
  })

  it('heeds its deleteOptions as a deletion does: what is only tried evicts nobody, what means nothing is refused', async () => {
    await runs('tried', 'tried')
    await budget('tried', 'tried', { disruptionsAllowed: 1 })
    const { resourceVersion } = (await read(`${pods}/tried`)).metadata
    const ask = (deleteOptions: Json) =>
      server.ask('POST', `${pods}/tried/eviction`, {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: 'tried' },
        deleteOptions,
      })
    assert.equal((await ask({ dryRun: ['All'] })).code, 201)
    assert.equal((await ask({ propagationPolicy: 'Nope' })).code, 422)
    assert.equal((await ask({ dryRun: ['Some'] })).code, 422)
    assert.equal((await read(`${pods}/tried`)).metadata.resourceVersion, resourceVersion)
    assert.equal((await read(`${budgets}/tried`)).status.disruptionsAllowed, 1)
    assert.equal((await ask({ gracePeriodSeconds: 7 })).code, 201)
    assert.equal((await read(`${pods}/tried`)).metadata.deletionGracePeriodSeconds, 7)
  })

  it('grants one at a time, whoever asks at once', async () => {
    for (const name of ['m1', 'm2', 'm3', 'm4']) await runs(name, 'many')
    await budget('many', 'many', { disruptionsAllowed: 2 })
    const answers = await Promise.all(['m1', 'm2', 'm3', 'm4'].map((name) => evict(name)))
    assert.equal(answers.filter((a) => a.code === 201).length, 2)
  })

  it('waits for the controller to have seen the budget', async () => {
    await runs('new', 'new')
    await budget('new', 'new', { disruptionsAllowed: 1, observedGeneration: 0 })
    const { code, headers, body } = await evict('new')
    assert.deepEqual([code, headers.get('retry-after')], [429, '10'])
    assert.match(body.details.causes[0].message, /still being processed/)
  })

  it('spares what is not ready, where the budget says so or has enough', async () => {
    await runs('sick', 'sick', { ready: false })
    await budget('sick', 'sick', { disruptionsAllowed: 0, currentHealthy: 0 })
    assert.equal((await evict('sick')).code, 429)
    await runs('ill', 'ill', { ready: false })
    await budget('ill', 'ill', { disruptionsAllowed: 0, currentHealthy: 0 }, { unhealthyPodEvictionPolicy: 'AlwaysAllow' })
    assert.equal((await evict('ill')).code, 201)
    await runs('weak', 'weak', { ready: false })
    await budget('weak', 'weak', { disruptionsAllowed: 0, currentHealthy: 1 })
    assert.equal((await evict('weak')).code, 201)
  })

  it('does not choose between two budgets', async () => {
    await runs('torn', 'torn')
    await budget('torn1', 'torn', { disruptionsAllowed: 1 })
    await budget('torn2', 'torn', { disruptionsAllowed: 1 })
    const { code, body } = await evict('torn')
    assert.equal(code, 500)
    assert.match(body.message, /more than one PodDisruptionBudget/)
  })
})
