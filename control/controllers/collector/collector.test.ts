// The collector on a fake server: what is left of a set of objects after histories of creating, owning,
// letting go and deleting, against a model that knows nothing of events or order.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { informers } from '#api/informer/informers.ts'
import { ClusterRole, ConfigMap, Event, Secret } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { silent } from '#api/log.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'
import { harness } from '../harness.fake.ts'
import { collectGarbage } from './collector.ts'
import { Graph, letGo } from './graph.ts'

const namespace = 'default'

async function collecting() {
  const clock = fakeClock()
  const client = fakeClient({ clock, kinds: [ConfigMap, Event] })
  const stop = new AbortController()
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const recorderFor = () => ({ event() {}, flush: () => Promise.resolve(), close: () => Promise.resolve() })
  const running = collectGarbage({ client, informers: shared, clock, log: silent, recorderFor }, stop.signal)
  await settle(10)
  return {
    client,
    async rest() {
      await settle(8)
      await clock.advance(200)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await shared.close()
      await running
    },
  }
}

/** A generator of numbers in [0, 1) that gives the same ones for the same seed. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

type Entry = { owners: string[]; held: boolean; deleting: boolean; awaiting: boolean }

/** What is to be left, by rules applied until none applies. */
class Model {
  readonly all = new Map<string, Entry>()

  delete(name: string, policy: 'Foreground' | 'Background' | 'Orphan'): void {
    const entry = this.all.get(name)!
    if (policy === 'Orphan') for (const each of this.all.values()) each.owners = each.owners.filter((owner) => owner !== name)
    entry.deleting = true
    entry.awaiting = policy === 'Foreground'
    this.settle()
  }

  settle(): void {
    for (let changed = true; changed; ) {
      changed = false
      for (const [name, entry] of this.all) if (this.#step(name, entry)) changed = true
    }
  }

  #step(name: string, entry: Entry): boolean {
    if (entry.deleting) {
      if (entry.awaiting && this.#isFree(name)) entry.awaiting = false
      else if (entry.awaiting || entry.held) return false
      if (entry.held) return true
      this.all.delete(name)
      // What is being deleted keeps its references, and the next of this name is not who they mean.
      for (const other of this.all.values()) if (other.deleting) other.owners = other.owners.filter((owner) => owner !== name)
      return true
    }
    const lost = entry.owners.filter((owner) => !this.all.has(owner) || this.all.get(owner)!.awaiting)
    if (lost.length === 0) return false
    if (lost.length < entry.owners.length) entry.owners = entry.owners.filter((owner) => !lost.includes(owner))
    else {
      entry.deleting = true
      entry.owners = lost.filter((owner) => this.all.has(owner))
      entry.awaiting = entry.owners.length > 0 && this.#dependentsOf(name).length > 0
    }
    return true
  }

  #dependentsOf = (name: string) => [...this.all].filter(([, { owners }]) => owners.includes(name)).map(([other]) => other)

  /** Nobody depends on it, or only who waits for it in turn. */
  #isFree(name: string): boolean {
    const ahead = this.#ahead(name)
    return [...ahead].every((other) => this.all.get(other)!.awaiting && this.#ahead(other).has(name))
  }

  #ahead(name: string): Set<string> {
    const found = new Set<string>()
    for (const next = [name]; next.length > 0; ) {
      for (const other of this.#dependentsOf(next.pop()!)) {
        if (found.has(other)) continue
        found.add(other)
        next.push(other)
      }
    }
    return found
  }
}

const names = Array.from({ length: 7 }, (_, i) => `m${i}`)

async function history(seed: number, { holds }: { holds: boolean }): Promise<void> {
  const random = seeded(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  await using subject = await collecting()
  const { client } = subject
  const model = new Model()
  const uids = new Map<string, string>()
  const told: string[] = []
  const refTo = (name: string): OwnerReference => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name,
    uid: uids.get(name)!,
    blockOwnerDeletion: true,
  })
  const patch = (name: string, metadata: object) => client.patch(ConfigMap, { namespace, name }, 'merge', { metadata })

  for (let step = 0; step < 30; step += 1) {
    const present = [...model.all.keys()]
    const name = pick(names)
    // Which of a circle goes first is nobody's to say: where some are held that would show.
    const owners = () => present.filter((other) => random() < 0.3 && !(holds && other >= name))
    const entry = model.all.get(name)
    const act = random()
    if (!entry) {
      const made = { owners: owners(), held: holds && random() < 0.3, deleting: false, awaiting: false }
      told.push(`create ${name} of ${made.owners.join(' ')}${made.held ? ', held' : ''}`)
      const finalizers = made.held ? ['example.com/hold'] : []
      const { metadata } = await client.create(ConfigMap, {
        metadata: { name, namespace, finalizers, ownerReferences: made.owners.map(refTo) },
      })
      uids.set(name, metadata.uid)
      model.all.set(name, made)
    } else if (act < 0.45) {
      entry.owners = owners()
      told.push(`own ${name} by ${entry.owners.join(' ')}`)
      await patch(name, { ownerReferences: entry.owners.map(refTo) })
    } else if (entry.held && act < 0.7) {
      entry.held = false
      told.push(`release ${name}`)
      const { metadata } = await client.get(ConfigMap, { namespace, name })
      await patch(name, { finalizers: metadata.finalizers?.filter((each) => each !== 'example.com/hold') ?? [] })
    } else {
      const policy = pick(['Foreground', 'Background', 'Orphan'] as const)
      told.push(`delete ${name} ${policy}`)
      await client.delete(ConfigMap, { namespace, name }, { propagationPolicy: policy })
      model.delete(name, policy)
    }
    await subject.rest()
    model.settle()
    const { items } = await client.list(ConfigMap, { namespace })
    const left = items.map(({ metadata }) => `${metadata.name}${metadata.deletionTimestamp ? ' deleting' : ''}`).sort()
    const expected = [...model.all].map(([each, { deleting }]) => `${each}${deleting ? ' deleting' : ''}`).sort()
    assert.deepEqual(left, expected, `seed ${seed}:\n${told.join('\n')}`)
  }
}

test('random histories leave what a model leaves', async () => {
  for (let seed = 1; seed <= 15; seed += 1) await history(seed, { holds: false })
})

test('and no deletion stays undone that nobody holds, where some are held', async () => {
  for (let seed = 100; seed <= 115; seed += 1) await history(seed, { holds: true })
})

const map = async (h: { client: ReturnType<typeof fakeClient> }, name: string, metadata: object = {}) =>
  await h.client.create(ConfigMap, { metadata: { name, namespace, ...metadata } })
const refOf = ({ metadata }: KubeObject): OwnerReference => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  name: metadata.name,
  uid: metadata.uid,
  blockOwnerDeletion: true,
})

test('an owner whose last dependent was let go need not wait any longer', async () => {
  await using h = await collecting()
  const owner = await map(h, 'owner')
  const held = await map(h, 'held', { ownerReferences: [refOf(owner)], finalizers: ['example.com/hold'] })
  await h.client.delete(ConfigMap, owner.metadata, { propagationPolicy: 'Foreground' })
  await h.rest()
  assert.ok(await h.client.find(ConfigMap, owner.metadata), 'waits for the one that is held')
  await h.client.patch(ConfigMap, held.metadata, 'merge', { metadata: { ownerReferences: [] } })
  await h.rest()
  assert.equal(await h.client.find(ConfigMap, owner.metadata), undefined)
})

test('so is one that is blocked no more', async () => {
  await using h = await collecting()
  const owner = await map(h, 'owner')
  const held = await map(h, 'held', { ownerReferences: [refOf(owner)], finalizers: ['example.com/hold'] })
  await h.client.delete(ConfigMap, owner.metadata, { propagationPolicy: 'Foreground' })
  await h.rest()
  await h.client.patch(ConfigMap, held.metadata, 'merge', {
    metadata: { ownerReferences: [{ ...refOf(owner), blockOwnerDeletion: false }] },
  })
  await h.rest()
  assert.equal(await h.client.find(ConfigMap, owner.metadata), undefined)
})

test('a circle that is all being deleted goes, and not before what hangs on it', async () => {
  await using h = await collecting()
  const [a, b, c] = [await map(h, 'a'), await map(h, 'b'), await map(h, 'c')]
  for (const [one, owner] of [
    [a, c],
    [b, a],
    [c, b],
  ] as const)
    await h.client.patch(ConfigMap, one.metadata, 'merge', { metadata: { ownerReferences: [refOf(owner)] } })
  const leaf = await map(h, 'leaf', { ownerReferences: [refOf(b)], finalizers: ['example.com/hold'] })
  await h.rest()
  for (const one of [a, b, c]) await h.client.delete(ConfigMap, one.metadata, { propagationPolicy: 'Foreground' })
  await h.rest()
  assert.equal((await h.client.list(ConfigMap, { namespace })).items.length, 4)
  await h.client.patch(ConfigMap, leaf.metadata, 'merge', { metadata: { finalizers: [] } })
  await h.rest()
  assert.deepEqual((await h.client.list(ConfigMap, { namespace })).items, [])
})

test('a reference across namespaces is told of; what belongs to no namespace stays', async () => {
  await using h = await harness()
  const owner = await map(h, 'owner')
  const ref = refOf(owner)
  const child = await h.client.create(Secret, { metadata: { name: 'child', namespace: 'elsewhere', ownerReferences: [ref] } })
  const role = await h.client.create(ClusterRole, { metadata: { name: 'role', ownerReferences: [ref] }, rules: [] })
  await h.settle()
  assert.equal(await h.client.find(Secret, child.metadata), undefined)
  assert.ok(await h.client.find(ClusterRole, role.metadata))
  const { items } = await h.client.list(Event)
  const said = items
    .filter(({ reason }) => reason === 'OwnerRefInvalidNamespace')
    .map(({ message, metadata }) => `${metadata.namespace}: ${message}`)
  const about = (place: string) =>
    `ownerRef [v1/ConfigMap, namespace: ${place}, name: owner, uid: ${owner.metadata.uid}] does not exist in namespace "${place}"`
  assert.deepEqual(said.sort(), [`default: ${about('')}`, `elsewhere: ${about('elsewhere')}`])
})

test('it asks for metadata alone of what nobody else follows', async () => {
  const clock = fakeClock()
  const client = fakeClient({ clock, kinds: [ConfigMap, Event] })
  await client.create(ConfigMap, { metadata: { name: 'big', namespace, annotations: { a: 'b' } }, data: { k: 'v' } })
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const bare = shared.metadataOf(ConfigMap)
  await bare.synced
  const [object] = bare.list()
  assert.deepEqual(Object.keys(object!.metadata).sort(), ['creationTimestamp', 'name', 'namespace', 'resourceVersion', 'uid'])
  assert.equal(shared.running(ConfigMap), undefined)
  await shared.close()
})

test('how often an object’s owners are looked at grows as they do', () => {
  const looksAt = (count: number): number => {
    let looks = 0
    const ref = (i: number, blockOwnerDeletion: boolean): OwnerReference => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: `o${i}`,
      get uid() {
        looks += 1
        return `o${i}`
      },
      blockOwnerDeletion,
    })
    const owned = (blocking: boolean) => ({
      metadata: {
        uid: 'd',
        name: 'd',
        namespace,
        resourceVersion: '1',
        creationTimestamp: '',
        ownerReferences: Array.from({ length: count }, (_, i) => ref(i, blocking)),
      },
    })
    const graph = new Graph()
    graph.set(ConfigMap, owned(true))
    for (let i = 0; i < count; i++) assert.equal(graph.blockersOf(`o${i}`).length, 1)
    const { thing, before } = graph.set(ConfigMap, owned(false))
    assert.equal(letGo(thing, before).length, count)
    for (let i = 0; i < count; i++) assert.equal(graph.blockersOf(`o${i}`).length, 0)
    return looks
  }
  for (const count of [100, 1000]) assert.ok(looksAt(2 * count) <= 2.2 * looksAt(count), `of ${count} and ${2 * count} owners`)
})

test('an owner is let go of when no reference holds it as before', () => {
  const metadata = { uid: 'd', name: 'd', namespace, resourceVersion: '1', creationTimestamp: '' }
  const ref = (uid: string, blockOwnerDeletion?: boolean) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: uid, uid, blockOwnerDeletion })
  const free = (before: OwnerReference[], now: OwnerReference[]) => {
    const graph = new Graph()
    graph.set(ConfigMap, { metadata: { ...metadata, ownerReferences: before } })
    const { thing, before: was } = graph.set(ConfigMap, { metadata: { ...metadata, ownerReferences: now } })
    return letGo(thing, was).map(({ uid }) => uid)
  }
  assert.deepEqual(free([ref('a', true), ref('b'), ref('c', true)], [ref('c', true)]), ['a', 'b'])
  assert.deepEqual(free([ref('a', true), ref('b')], [ref('a'), ref('b', true)]), ['a'])
  assert.deepEqual(free([ref('a', true)], [ref('a'), ref('a', true)]), [], 'one of two references holds it')
  assert.deepEqual(free([], [ref('a')]), [])
})
