// The way of a pod past plugins of somebody else's, at every extension point.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '#api/clock.fake.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import { registry } from '../plugins/registry.ts'
import { namespace, setup } from '../scheduler.fake.ts'
import { assemble, pointsOf } from './assemble.ts'
import type { Handle, Plugin } from './plugin.ts'

/** A scheduler with the usual plugins after these. */
const withPlugins = (make: (handle: Handle) => Plugin[]) =>
  setup({
    backoff: { first: 50, longest: 10_000 },
    profiles: [
      {
        schedulerName: 'default-scheduler',
        make(handle) {
          const usual = Object.values(registry).map((entry) => ({ plugin: entry.make(handle), weight: entry.weight ?? 0 }))
          const all = [...make(handle).map((plugin) => ({ plugin, weight: 1 })), ...usual]
          const once = (point: string) => (point === 'queueSort' ? 1 : all.length)
          const plugins = assemble((point) => all.filter(({ plugin }) => pointsOf(plugin).includes(point)).slice(0, once(point)))
          return { schedulerName: handle.schedulerName, percentageOfNodesToScore: 0, plugins }
        },
      },
    ],
  })
const why = async (t: Awaited<ReturnType<typeof setup>>, name: string) =>
  (await t.client.get(Pod, { namespace, name })).status.conditions?.find(({ type }) => type === 'PodScheduled')?.message

test('every extension point is called, in its order', async () => {
  const told: string[] = []
  const say = (what: string): undefined => {
    told.push(what)
  }
  await using t = await withPlugins(() => [
    {
      name: 'Witness',
      preEnqueue: () => say('preEnqueue'),
      preFilter: () => {
        say('preFilter')
        return { filter: ({ name }) => say(`filter ${name}`) }
      },
      preScore: (_, candidates) => {
        say(`preScore ${candidates.length}`)
        return { of: ({ name }) => (name === 'node-2' ? 100 : 0) }
      },
      reserve: (_, node) => say(`reserve ${node}`),
      unreserve: () => say('unreserve'),
      permit: () => say('permit'),
      preBind: async () => say('preBind'),
      bind: async () => {
        say('bind')
        return false
      },
      postBind: () => say('postBind'),
    },
  ])
  t.node('node-1')
  t.node('node-2')
  await t.put('web')
  await settle(20)
  assert.deepEqual(await t.where(), ['web node-2'])
  assert.deepEqual(told, [
    'preEnqueue',
    'preFilter',
    'filter node-1',
    'filter node-2',
    'preScore 2',
    'reserve node-2',
    'permit',
    'preBind',
    'bind',
    'postBind',
  ])
})

test('a pod that must wait for permission holds its room, and goes when it is let, or gives it back', async () => {
  let waiting: Handle['waiting'] | undefined
  await using t = await withPlugins((handle) => {
    waiting = handle.waiting
    return [{ name: 'Slow', permit: ({ pod }) => (pod.metadata.name.startsWith('slow') ? { wait: 30_000 } : undefined) }]
  })
  t.node('node-1', '3')
  const [first, second] = [await t.put('slow-1', '1'), await t.put('slow-2', '1')]
  await t.put('slow-3', '1')
  await settle()
  await t.put('quick', '1')
  await settle()
  assert.deepEqual(await t.where(), ['quick -', 'slow-1 -', 'slow-2 -', 'slow-3 -'])
  assert.deepEqual(
    [...waiting!.list()].map(({ pod, nodeName }) => `${pod.pod.metadata.name} ${nodeName}`),
    ['slow-1 node-1', 'slow-2 node-1', 'slow-3 node-1'],
  )
  waiting!.allow(first.metadata.uid, 'Slow')
  waiting!.reject(second.metadata.uid, 'Slow', 'not today')
  await t.clock.advance(5_000)
  assert.deepEqual(await t.where(), ['quick node-1', 'slow-1 node-1', 'slow-2 -', 'slow-3 -'])
  assert.equal(await why(t, 'slow-2'), 'not today')
  await t.clock.advance(30_000)
  assert.equal(await why(t, 'slow-3'), 'rejected due to timeout after waiting 30s at plugin Slow')
})

test('what was reserved is given back when a later step fails', async () => {
  const held = new Set<string>()
  let broken = true
  await using t = await withPlugins(() => [
    {
      name: 'Shelf',
      reserve: ({ pod }) => {
        if (held.size > 0) return { reasons: ['the shelf is taken'] }
        held.add(pod.metadata.name)
        return undefined
      },
      unreserve: ({ pod }) => void held.delete(pod.metadata.name),
      preBind: async () => {
        if (broken) throw new Error('broken')
      },
    },
  ])
  t.node('node-1')
  await t.put('web')
  await settle(20)
  assert.deepEqual([...held], [])
  assert.deepEqual(await t.where(), ['web -'])
  broken = false
  await t.clock.advance(1_000)
  assert.deepEqual(await t.where(), ['web node-1'])
  assert.deepEqual([...held], ['web'])
  await t.put('late')
  await settle(20)
  assert.equal(await why(t, 'late'), 'the shelf is taken')
})

test('a parked pod is tried again only for what can help it', async () => {
  let tries = 0
  await using t = await withPlugins(() => [
    {
      name: 'Counter',
      preFilter: ({ pod }) => {
        if (pod.metadata.name === 'picky') tries += 1
        return undefined
      },
    },
  ])
  t.node('node-1')
  t.node('node-2')
  await t.put('picky', '1', { nodeSelector: { disk: 'ssd' } })
  await t.put('a', '2')
  await t.put('b', '2')
  await t.put('c', '2')
  await settle(20)
  await t.client.delete(Pod, { namespace, name: 'a' }, { gracePeriodSeconds: 0 })
  await t.clock.advance(100_000)
  assert.equal(tries, 1)
  const node = await t.client.get(Node, { name: 'node-1' })
  t.client.put(Node, { ...node, metadata: { ...node.metadata, labels: { disk: 'hdd' } } })
  await t.clock.advance(10_000)
  assert.equal(tries, 1)
  t.client.put(Node, { ...node, metadata: { ...node.metadata, labels: { disk: 'ssd' } } })
  await t.clock.advance(10_000)
  assert.equal(tries, 2)
})
