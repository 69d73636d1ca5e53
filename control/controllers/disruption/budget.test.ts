import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Deployment, Pod, PodDisruptionBudget } from '#api/kinds/index.ts'
import { harness } from '../harness.fake.ts'
import { planBudget } from './budget.ts'

const NOW = Date.parse('2030-01-01T00:00:00Z')

const podOf = (name: string, { ready = true, leaving = false } = {}): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, ...(leaving && { deletionTimestamp: '2030-01-01T00:00:00Z' }) },
    spec: { containers: [] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod
const grantedFor = (_pod: Pod, since: string) => NOW - Date.parse(since)
const budgetOf = (spec: PodDisruptionBudget['spec'], status: Partial<PodDisruptionBudget['status']> = {}): PodDisruptionBudget =>
  ({ metadata: { name: 'b', generation: 3 }, spec, status }) as PodDisruptionBudget
const pods = (...ready: boolean[]) => ready.map((r, i) => podOf(`p${i}`, { ready: r }))

function planned(spec: PodDisruptionBudget['spec'], own: Pod[], wanted: number | string = own.length, status = {}): string {
  const { status: next } = planBudget({ budget: budgetOf(spec, status), pods: own, wanted, now: NOW, grantedFor })
  const { disruptionsAllowed: allowed, currentHealthy: healthy, desiredHealthy: desired, expectedPods: expected, conditions } = next
  return `${allowed} of ${healthy}, ${desired} of ${expected} wanted: ${conditions?.[0]?.reason}`
}

test('what may be taken away, by number and by percentage, of those that are and those that may not be', () => {
  assert.equal(planned({ minAvailable: 2 }, pods(true, true, true)), '1 of 3, 2 of 3 wanted: SufficientPods')
  assert.equal(planned({ minAvailable: 2 }, pods(true, true, false)), '0 of 2, 2 of 3 wanted: InsufficientPods')
  assert.equal(planned({ minAvailable: '50%' }, pods(true, true, true), 3), '1 of 3, 2 of 3 wanted: SufficientPods')
  assert.equal(planned({ maxUnavailable: 1 }, pods(true, true, true), 3), '1 of 3, 2 of 3 wanted: SufficientPods')
  assert.equal(planned({ maxUnavailable: 1 }, pods(true, true), 3), '0 of 2, 2 of 3 wanted: InsufficientPods')
  assert.equal(planned({ maxUnavailable: '30%' }, pods(true, true, true), 3), '1 of 3, 2 of 3 wanted: SufficientPods')
  assert.equal(planned({ maxUnavailable: 5 }, pods(true, true), 2), '2 of 2, 0 of 2 wanted: SufficientPods')
  assert.equal(planned({ minAvailable: 0 }, []), '0 of 0, 0 of 0 wanted: InsufficientPods')
  assert.equal(planned({ maxUnavailable: 1 }, pods(true), 'nobody knows'), '0 of 1, 0 of 0 wanted: SyncFailed')
  assert.equal(planned({ minAvailable: 1 }, [podOf('a'), podOf('b', { leaving: true })]), '0 of 1, 1 of 2 wanted: InsufficientPods')
})

test('a pod whose eviction was granted does not count, until it is gone or nothing came of it', () => {
  const since = (seconds: number) => ({ disruptedPods: { p0: new Date(NOW - seconds * 1000).toISOString() } })
  assert.equal(planned({ minAvailable: 1 }, pods(true, true), 2, since(5)), '0 of 1, 1 of 2 wanted: InsufficientPods')
  assert.equal(planned({ minAvailable: 1 }, pods(true, true), 2, since(121)), '1 of 2, 1 of 2 wanted: SufficientPods')
  const { recheck } = planBudget({
    budget: budgetOf({ minAvailable: 1 }, since(5)),
    pods: pods(true, true),
    wanted: 2,
    now: NOW,
    grantedFor,
  })
  assert.equal(recheck, 115_000)
})

test('a budget follows the pods of a deployment', async () => {
  await using h = await harness()
  await h.addNode('n')
  const labels = { app: 'web' }
  await h.client.create(Deployment, {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  await h.client.create(PodDisruptionBudget, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  })
  await h.settle()
  const status = async () => {
    const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = (
      await h.client.get(PodDisruptionBudget, { namespace: 'default', name: 'web' })
    ).status
    return [disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods]
  }
  assert.deepEqual(await status(), [1, 3, 2, 3])
  h.starting = false
  const [pod] = (await h.client.list(Pod, { namespace: 'default' })).items
  await h.client.delete(Pod, { namespace: 'default', name: pod?.metadata.name ?? '' })
  await h.settle()
  assert.deepEqual(await status(), [0, 2, 2, 3])
  h.starting = true
  await h.settle()
  assert.deepEqual(await status(), [1, 3, 2, 3])
  assert.deepEqual(h.complaints, [])
})
