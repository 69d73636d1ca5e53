import assert from 'node:assert/strict'
import { after, it } from 'node:test'
import { clientConformance } from '#api/client/conformance.ts'
import { ConfigMap, Namespace, Pod, ServiceAccount } from '#api/kinds/index.ts'
import { trial } from './testing/trial.fake.ts'

const server = await trial()
const stop = new AbortController()
after(async () => {
  stop.abort()
  await server.close()
})
// As the controllers do: a namespace has its account.
void (async () => {
  for await (const { object } of server.client.watch(Namespace, { signal: stop.signal })) {
    const { name } = object.metadata
    if (name.startsWith('conformance')) await server.client.create(ServiceAccount, { metadata: { namespace: name, name: 'default' } })
  }
})()

clientConformance('in-process', () => ({ client: server.client }))

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
