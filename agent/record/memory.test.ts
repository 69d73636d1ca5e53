// Informers that begin with what an earlier process knew.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import type { Informer } from '#api/informer/informer.ts'
import { informers } from '#api/informer/informers.ts'
import { ConfigMap, Lease, Node, Pod } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { silent } from '#api/log.ts'
import { memoryOf } from './memory.ts'
import { openRecord } from './record.ts'

const namespace = 'default'
const here = { fieldSelector: 'spec.nodeName=a' }

async function world(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-memory-'))
  t.after(() => rm(dir, { recursive: true }))
  const clock = fakeClock()
  const client = fakeClient({ clock })
  let away = false
  client.intercept(({ verb }) => {
    if (away && (verb === 'list' || verb === 'watch')) throw new StatusError('ServiceUnavailable', 'away')
  })
  return {
    client,
    clock,
    away(is: boolean) {
      away = is
      if (is) client.disconnect()
    },
    /** A process with its memory; closing it writes. */
    async begin() {
      const record = await openRecord({ dir, clock, log: silent })
      const memory = memoryOf({ record, clock })
      const shared = informers({ client, log: silent, clock, random: () => 0.5, memory })
      const close = async () => {
        await shared.close()
        await record.close()
      }
      return { record, memory, shared, close }
    },
  }
}

const heardBy = <T extends KubeObject>(informer: Informer<T>): string[] => {
  const heard: string[] = []
  informer.on({
    add: ({ metadata }) => heard.push(`+${metadata.name}`),
    update: ({ metadata }) => heard.push(`~${metadata.name}`),
    delete: ({ metadata }) => heard.push(`-${metadata.name}`),
  })
  return heard
}
const map = (name: string, v: string) => ({ metadata: { name, namespace }, data: { v } })
const pod = (name: string, nodeName = 'a') => ({ metadata: { name, namespace }, spec: { nodeName, containers: [] } })

test('where the server does not answer, what was known serves; once it does, the difference is heard', async (t) => {
  const { client, clock, away, begin } = await world(t)
  for (const name of ['stays', 'changes', 'goes']) client.put(ConfigMap, map(name, '1'))
  for (const name of ['one', 'two']) client.put(Pod, pod(name))
  const first = await begin()
  await Promise.all([first.shared.of(ConfigMap).synced, first.shared.of(Pod, here).synced])
  client.put(Pod, pod('three'))
  client.drop(Pod, { namespace, name: 'one' })
  await settle()
  await first.close()

  away(true)
  client.put(ConfigMap, map('changes', '2'))
  client.drop(ConfigMap, { namespace, name: 'goes' })
  client.put(ConfigMap, map('new', '1'))
  client.drop(Pod, { namespace, name: 'two' })
  const second = await begin()
  const [maps, pods] = [second.shared.of(ConfigMap), second.shared.of(Pod, here)]
  const [heard, heardPods] = [heardBy(maps), heardBy(pods)]
  await Promise.all([maps.synced, pods.synced])
  let answered = false
  void maps.heard.then(() => (answered = true))
  await settle()
  assert.deepEqual(
    [heard.splice(0).sort(), heardPods.splice(0).sort()],
    [
      ['+changes', '+goes', '+stays'],
      ['+three', '+two'],
    ],
  )
  assert.equal(maps.get('default/changes')?.data?.['v'], '1')
  assert.equal(answered, false)
  away(false)
  await clock.advance(10_000)
  assert.equal(answered, true)
  assert.ok(heard.includes('-goes') && heard.includes('+new') && heardPods.includes('-two'))
  assert.equal(maps.get('default/changes')?.data?.['v'], '2')
  await second.close()
})

test('a server that answers is heard first, and a selection that was empty is known to be', async (t) => {
  const { client, away, begin } = await world(t)
  client.put(ConfigMap, map('goes', '1'))
  const first = await begin()
  await Promise.all([first.shared.of(ConfigMap).synced, first.shared.of(Node).synced])
  await first.close()
  client.drop(ConfigMap, { namespace, name: 'goes' })
  const second = await begin()
  const heard = heardBy(second.shared.of(ConfigMap))
  await second.shared.of(ConfigMap).heard
  assert.deepEqual(heard, [])
  await second.close()
  away(true)
  const third = await begin()
  await third.shared.of(Node).synced
  assert.equal(third.shared.of(Node).size, 0)
  await third.close()
})

test('a server that keeps silent is waited for a second, and no longer for those that follow', async (t) => {
  const { client, clock, begin } = await world(t)
  client.put(ConfigMap, map('a', '1'))
  client.put(Pod, pod('one'))
  const first = await begin()
  await Promise.all([first.shared.of(ConfigMap).synced, first.shared.of(Pod, here).synced])
  await first.close()
  const silence = Promise.withResolvers<never>()
  const second = await begin()
  const shared = informers({
    client: { ...client, list: () => silence.promise },
    log: silent,
    clock,
    random: () => 0.5,
    memory: second.memory,
  })
  const maps = shared.of(ConfigMap)
  await clock.advance(900)
  assert.equal(maps.size, 0)
  await clock.advance(200)
  assert.equal(maps.size, 1)
  const pods = shared.of(Pod, here)
  await clock.advance(1)
  assert.equal(pods.size, 1)
  silence.reject(new Error('over'))
  await shared.close()
  await second.close()
})

test('heartbeats and objects that are as they were write nothing', async (t) => {
  const { client, clock, begin } = await world(t)
  const beat = (n: number, ready: 'True' | 'False' = 'True') =>
    client.put(Node, {
      metadata: { name: 'a' },
      status: { conditions: [{ type: 'Ready', status: ready, lastHeartbeatTime: `2026-01-01T00:00:0${n}Z` }], images: [] },
    })
  const renew = (n: number, holderIdentity = 'a') =>
    client.put(Lease, { metadata: { name: 'a', namespace }, spec: { holderIdentity, renewTime: `2026-01-01T00:00:0${n}.000000Z` } })
  beat(1)
  renew(1)
  client.put(ConfigMap, map('a', '1'))
  client.put(Pod, pod('one'))
  const { record, shared, close } = await begin()
  await Promise.all([shared.of(Node), shared.of(Lease), shared.of(ConfigMap), shared.of(Pod, here)].map(({ synced }) => synced))
  await record.flush()
  const { files } = record.written
  beat(2)
  renew(2)
  client.put(ConfigMap, map('a', '1'))
  client.put(Pod, pod('one'))
  await settle()
  await clock.advance(60_000)
  await record.flush()
  assert.equal(record.written.files, files)
  beat(3, 'False')
  await settle()
  await record.flush()
  assert.equal(record.written.files, files + 1)
  renew(4, 'b')
  await settle()
  await record.flush()
  assert.equal(record.written.files, files + 2)
  await close()
})

test('what nobody asks for any more is let go of', async (t) => {
  const { client, begin } = await world(t)
  client.put(ConfigMap, map('a', '1'))
  client.put(Pod, pod('one'))
  const first = await begin()
  await Promise.all([first.shared.of(ConfigMap).synced, first.shared.of(Pod, here).synced])
  await first.close()
  const second = await begin()
  await second.shared.of(Pod, here).synced
  second.memory.prune()
  await second.close()
  const third = await begin()
  assert.ok(third.record.names().length > 0)
  assert.ok(third.record.names().every((name) => name.includes('Pod')))
  await third.close()
})
