import assert from 'node:assert/strict'
import { it } from 'node:test'
import { informers } from '#api/informer/informers.ts'
import { ConfigMap, Event, Pod } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { trial } from './testing/trial.fake.ts'

it('in-process objects are the stored ones: frozen, and shared with every reader', async () => {
  const { client, close } = await trial()
  const made = await client.create(ConfigMap, { metadata: { namespace: 'test', name: 'a' }, data: { a: '1' } })
  assert.equal(await client.get(ConfigMap, made.metadata), made)
  assert.equal((await client.list(ConfigMap, { namespace: 'test' })).items[0], made)
  assert.throws(() => Object.assign(made.data ?? {}, { b: '2' }), TypeError)
  await close()
})

it('in-process callers keep what they pass in', async () => {
  const { client, close } = await trial()
  const pod = { metadata: { namespace: 'test', name: 'mine' }, spec: { containers: [{ name: 'c', image: 'i' }] } }
  const before = structuredClone(pod)
  await client.create(Pod, pod)
  assert.deepEqual(pod, before)
  assert.equal(Object.isFrozen(pod.spec), false)
  await close()
})

it('informers keep no managers, and what is written back from them loses none', async () => {
  const { client, clock, close } = await trial()
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const made = await client.create(ConfigMap, { metadata: { namespace: 'test', name: 'a' }, data: { a: '1' } }, { fieldManager: 'first' })
  const maps = shared.of(ConfigMap)
  const events = shared.of(Event)
  await Promise.all([maps.synced, events.synced])
  const kept = maps.get(made.metadata)
  assert.ok(kept)
  assert.deepEqual(
    { ...made, metadata: { ...made.metadata, managedFields: undefined } },
    { ...kept, metadata: { ...kept.metadata, managedFields: undefined } },
  )
  assert.equal('managedFields' in kept.metadata, false)
  const written = await client.update(ConfigMap, { ...kept, data: { a: '1', b: '2' } }, { fieldManager: 'second' })
  assert.deepEqual(
    written.metadata.managedFields?.map(({ manager }) => manager),
    ['first', 'second'],
  )
  const same = await client.update(ConfigMap, {
    ...kept,
    metadata: { ...kept.metadata, resourceVersion: written.metadata.resourceVersion },
    data: { a: '1', b: '2' },
  })
  assert.equal(same.metadata.resourceVersion, written.metadata.resourceVersion)
  // An event is nobody's to work with: when it was written is what ends it.
  const about = {
    involvedObject: { kind: 'ConfigMap', namespace: 'test', name: 'a' },
    reason: 'Tried',
    message: 'at length',
    type: 'Normal',
  }
  const heard = new Promise<object>((add) => events.on({ add }))
  const { metadata } = await client.create(Event, { metadata: { namespace: 'test', name: 'e' }, ...about })
  const { name, namespace, uid, resourceVersion, creationTimestamp, managedFields } = metadata
  const times = managedFields?.map(({ time }) => ({ time }))
  assert.deepEqual(await heard, {
    kind: 'Event',
    apiVersion: 'v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp, managedFields: times },
  })
  await shared.close()
  await close()
})
