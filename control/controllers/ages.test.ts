import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { CertificateSigningRequest, Deployment, Event, Pod } from '#api/kinds/index.ts'
import { Ages } from './ages.ts'
import { harness } from './harness.fake.ts'

const hour = 3_600_000
const day = 24 * hour
const event = (name: string, more: object) => ({
  metadata: { name, namespace: 'default' },
  involvedObject: { kind: 'Pod', name: 'p', namespace: 'default' },
  ...more,
})

test('an age counts from when something was seen to be so; only at the start is a likely time believed', async () => {
  const clock = fakeClock()
  const time = (ms: number) => new Date(clock.now() + ms).toISOString()
  const ages = new Ages(clock)
  const [before, future, unset] = [time(-hour), time(hour), '1970-01-01T00:00:00Z']
  assert.deepEqual([ages.of('a', before), ages.of('b', future), ages.of('c', unset), ages.of('d', undefined)], [hour, 0, 0, 0])
  await clock.advance(20_000)
  assert.equal(ages.of('a', before), hour + 20_000)
  assert.equal(ages.of('late', before), 0)
  clock.jump(50 * 365 * day)
  assert.equal(ages.of('late', before), 0)
  await clock.advance(1000)
  assert.equal(ages.of('late', before), 1000)
  assert.equal(ages.of('late', time(0)), 0, 'it has become so anew')
})

test('events live an hour from when they were written, whatever times they carry', async () => {
  await using h = await harness()
  await h.clock.advance(60_000)
  const old = '2017-01-01T00:00:00.000000Z'
  await h.client.create(Event, event('old', { eventTime: old, lastTimestamp: '1970-01-01T00:00:00Z' }))
  await h.client.create(Event, event('renewed', { lastTimestamp: '2017-01-01T00:00:00Z', count: 1 }))
  await h.client.create(Event, event('ahead', { lastTimestamp: '2099-01-01T00:00:00Z' }))
  const names = async () => (await h.client.list(Event, { namespace: 'default' })).items.map(({ metadata }) => metadata.name).toSorted()
  h.clock.jump(56 * 365 * day)
  await h.clock.advance(hour / 2)
  assert.deepEqual(await names(), ['ahead', 'old', 'renewed'])
  await h.client.patch(Event, { namespace: 'default', name: 'renewed' }, 'merge', { count: 2 })
  await h.clock.advance(hour / 2 + 1000)
  assert.deepEqual(await names(), ['renewed'])
  await h.clock.advance(hour / 2)
  assert.deepEqual(await names(), [])
})

test('a step of the clock ends no rollout, makes no pod available early and forgets no request', async () => {
  await using h = await harness()
  await h.clock.advance(60_000)
  await h.addNode('n')
  const labels = { app: 'web' }
  await h.client.create(CertificateSigningRequest, {
    metadata: { name: 'waits' },
    spec: { request: '', signerName: 'example.com/x', usages: [] },
  })
  await h.client.create(Deployment, {
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 1,
      minReadySeconds: 30,
      progressDeadlineSeconds: 120,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  await h.settle()
  const web = async () => (await h.client.get(Deployment, { namespace: 'default', name: 'web' })).status
  const progress = async () => (await web())?.conditions?.find(({ type }) => type === 'Progressing')?.reason
  for (const years of [56, -56]) {
    h.clock.jump(years * 365 * day)
    // Somebody touches it, so that it is looked at.
    await h.client.patch(Deployment, { namespace: 'default', name: 'web' }, 'merge', { metadata: { labels: { at: String(years) } } })
    for (const { metadata } of (await h.client.list(Pod)).items)
      await h.client.patch(Pod, metadata, 'merge', { metadata: { labels: { at: `${years}` } } })
    await h.settle()
    assert.deepEqual([(await web())?.availableReplicas ?? 0, await progress()], [0, 'ReplicaSetUpdated'], `a step of ${years} years`)
  }
  await h.beat('n')
  await h.clock.advance(31_000)
  assert.equal((await web())?.availableReplicas, 1)
  assert.ok(await h.client.find(CertificateSigningRequest, { name: 'waits' }))
  await h.clock.advance(day)
  assert.equal(await h.client.find(CertificateSigningRequest, { name: 'waits' }), undefined)
})
