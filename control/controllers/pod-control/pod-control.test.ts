import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FakeClient, fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { informers } from '#api/informer/informers.ts'
import { observing } from '#api/informer/observing.ts'
import { Pod, ReplicaSet } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { podFrom } from '../template.ts'
import { conformanceOwner, type PodControlSubject, podControlConformance } from './conformance.ts'
import { fakePodControl } from './pod-control.fake.ts'
import { podControl } from './pod-control.ts'

const { signal } = new AbortController()

async function open(): Promise<PodControlSubject & { client: FakeClient; clock: ReturnType<typeof fakeClock> }> {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const told: string[] = []
  const events: EventRecorder = {
    event: (_object, _type, reason, message) => void told.push(`${reason} ${message}`),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  const owner = client.put(ReplicaSet, conformanceOwner)
  let asked = 0
  let refusal: Error | undefined
  client.intercept(({ kind, verb }) => {
    if (kind.kind !== 'Pod' || verb !== 'create') return
    asked += 1
    if (refusal) throw refusal
  })
  const control = podControl({ client: observing(client, shared), informers: shared, events })
  await shared.of(Pod).synced
  return {
    client,
    clock,
    control,
    owner,
    async orphan(name, labels) {
      const pod = client.put(Pod, { metadata: { name, namespace: 'default', labels }, spec: owner.spec.template.spec })
      await settle()
      return pod
    },
    async relabel({ metadata }, labels) {
      await client.patch(Pod, metadata, 'merge', { metadata: { labels } })
      await settle()
    },
    async doom() {
      client.put(ReplicaSet, { ...owner, metadata: { ...owner.metadata, deletionTimestamp: '2025-01-01T00:00:00Z' } })
    },
    refuse: (error) => void (refusal = error),
    get asked() {
      return asked
    },
    told: async () => told,
    close: () => shared.close(),
  }
}

podControlConformance('on a server', () => open())

podControlConformance('fake', async () => {
  const control = fakePodControl()
  const owner = { ...conformanceOwner, metadata: { ...conformanceOwner.metadata, uid: 'owner' } } as unknown as ReplicaSet
  return {
    control,
    owner,
    async orphan(name, labels) {
      const pod = { metadata: { name, labels, uid: name }, spec: {}, status: {} } as unknown as Pod
      control.pods.set(name, pod)
      return pod
    },
    async relabel({ metadata }, labels) {
      const pod = control.pods.get(metadata.name)!
      control.pods.set(metadata.name, { ...pod, metadata: { ...pod.metadata, labels } })
    },
    async doom() {
      control.doomed.add('owner')
    },
    refuse: (error) => void (control.refusal = error),
    get asked() {
      return control.asked
    },
    told: async () => control.told,
    close: async () => {},
  }
})

const pod = (owner: ReplicaSet, name?: string) => podFrom(owner.spec.template, owner, ReplicaSet, name)
const matches = () => true

test('bursts double: 1, 2, 4 and the rest', async () => {
  const t = await open()
  const inFlight: number[] = []
  let running = 0
  t.client.intercept(async ({ verb }) => {
    if (verb !== 'create') return
    inFlight.push((running += 1))
    await settle(2)
    running -= 1
  })
  await t.control.create(
    { kind: ReplicaSet, object: t.owner },
    Array.from({ length: 10 }, () => pod(t.owner)),
    signal,
  )
  assert.deepEqual(inFlight, [1, 1, 2, 1, 2, 3, 4, 1, 2, 3])
  await t.close()
})

test('a deletion is waited for until the watch tells of it: with the watch cut, no claim counts the pod', async () => {
  const t = await open()
  const owner = { kind: ReplicaSet, object: t.owner }
  const { pods } = await t.control.create(owner, [pod(t.owner, 'a'), pod(t.owner, 'b')], signal)
  await settle()
  t.client.disconnect()
  await settle()
  let over = false
  const deleted = t.control.delete(owner, pods.slice(0, 1), signal).then(() => (over = true))
  await settle(40)
  assert.equal(over, false)
  await t.clock.advance(1000)
  await deleted
  assert.deepEqual(
    (await t.control.claim(owner, matches, signal)).map(({ metadata }) => metadata.name),
    ['b'],
  )
  await t.close()
})

test('who waits for a deletion to show ends with its signal, and with the informers', async () => {
  const t = await open()
  const owner = { kind: ReplicaSet, object: t.owner }
  const { pods } = await t.control.create(owner, [pod(t.owner, 'a'), pod(t.owner, 'b')], signal)
  t.client.intercept(({ verb }) => {
    if (verb === 'watch') throw new StatusError('ServiceUnavailable', 'away')
  })
  t.client.disconnect()
  await settle()
  const stop = new AbortController()
  const first = t.control.delete(owner, pods.slice(0, 1), stop.signal)
  await settle()
  stop.abort(new Error('enough'))
  await assert.rejects(first, /enough/)
  const second = t.control.delete(owner, pods.slice(1), signal)
  await settle()
  await t.close()
  await second
})

test('a create whose answer was lost is looked up before anybody tries again', async () => {
  const t = await open()
  const owner = { kind: ReplicaSet, object: t.owner }
  const { create } = t.client
  t.client.create = async (kind, object, options) => {
    t.client.disconnect()
    await create(kind, object, options)
    throw new StatusError('ServiceUnavailable', 'the connection was lost')
  }
  const { error } = await t.control.create(owner, [pod(t.owner)], signal)
  assert.match(String(error), /the connection was lost/)
  assert.equal((await t.control.claim(owner, matches, signal)).length, 1)
  await t.close()
})
