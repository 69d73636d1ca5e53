// The smaller plans: what to give up, what to collect, what a node's state calls for.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import { Pod } from '#api/kinds/index.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { Graph, type Thing } from './collector/graph.ts'
import { judge, type OwnerState } from './collector/plan.ts'
import { firstFree, podRanges, slotsOf } from './node/cidr.ts'
import { toleratedMs } from './node/eviction.ts'
import { taintsFor, unknownConditions } from './node/health.ts'
import { toGiveUp } from './replica-set/rank.ts'
import { templateHash } from './template.ts'

test('pods are given up from the least to the greatest loss', () => {
  const pod = (
    name: string,
    {
      node = 'n',
      phase = 'Running',
      ready = '2025-01-01T00:00:00Z',
      restarts = 0,
      created = '2025-01-01T00:00:00Z',
      cost = '0',
    }: Record<string, string | number> = {},
  ): Pod =>
    ({
      metadata: { name, creationTimestamp: created, annotations: { 'controller.kubernetes.io/pod-deletion-cost': cost } },
      spec: node ? { nodeName: node } : {},
      status: {
        phase,
        conditions: ready ? [{ type: 'Ready', status: 'True', lastTransitionTime: ready }] : [],
        containerStatuses: [{ restartCount: restarts }],
      },
    }) as unknown as Pod
  const pods = [
    pod('oldest'),
    pod('crowded-1', { node: 'm' }),
    pod('crowded-2', { node: 'm', ready: '2025-01-01T00:01:00Z' }),
    pod('younger', { created: '2025-01-01T00:05:00Z' }),
    pod('restarted', { restarts: 4 }),
    pod('just-ready', { ready: '2025-01-02T00:00:00Z' }),
    pod('cheap', { cost: '-5' }),
    pod('unready', { ready: '' }),
    pod('pending', { phase: 'Pending', ready: '' }),
    pod('unbound', { node: '', phase: 'Pending', ready: '' }),
  ]
  const order = (related: Pod[]) => toGiveUp(pods, 9, related).map(({ metadata }) => metadata.name)
  const onM = pods.filter(({ spec }) => spec.nodeName === 'm')
  assert.deepEqual(order(onM), ['unbound', 'pending', 'unready', 'cheap', 'crowded-2', 'crowded-1', 'just-ready', 'restarted', 'younger'])
  assert.equal(toGiveUp(pods, 20, []).length, 10)
})

test('what becomes of an object, by its owners and dependents', () => {
  const owner = (uid: string, blockOwnerDeletion = true) => ({ apiVersion: 'v1', kind: 'Thing', name: uid, uid, blockOwnerDeletion })
  const thing = (owners: string[] = [], more: Partial<Thing> = {}): Thing => ({
    uid: 'x',
    kind: Pod,
    name: 'x',
    namespace: 'default',
    resourceVersion: '1',
    owners: owners.map((uid) => owner(uid)),
    finalizers: [],
    deleting: false,
    ...more,
  })
  const states = new Map<string, OwnerState>([
    ['there', 'solid'],
    ['ending', 'waiting'],
    ['gone', 'gone'],
  ])
  const verdict = (of: Thing, dependents: Thing[] = []) => {
    const graph = new Graph()
    for (const { kind, deleting, owners, ...metadata } of [of, ...dependents.map((each, i) => ({ ...each, uid: `dependent-${i}` }))])
      graph.set(kind, { metadata: { ...metadata, ownerReferences: owners, ...(deleting && { deletionTimestamp: 'now' }) } as never })
    const made = judge(of, states, graph)
    if (made.do === 'delete') return `delete ${made.policy}`
    if (made.do === 'disown') return `disown ${made.owners.map(({ uid }) => uid).join(' ')}`
    return made.do === 'release' ? `release ${made.finalizer}` : made.do
  }
  const child = thing(['x'])
  assert.equal(verdict(thing()), 'nothing')
  assert.equal(verdict(thing(['there'])), 'nothing')
  assert.equal(verdict(thing(['gone'])), 'delete Background')
  assert.equal(verdict(thing(['ending'])), 'delete Background')
  assert.equal(verdict(thing(['ending']), [child]), 'delete Foreground')
  assert.equal(verdict(thing(['gone', 'there'])), 'disown gone')
  assert.equal(verdict(thing(['gone', 'ending', 'there'])), 'disown gone ending')
  assert.equal(verdict(thing(['gone'], { deleting: true })), 'nothing')
  assert.equal(verdict(thing(['gone'], { finalizers: ['orphan'] })), 'delete Orphan')
  const foreground = { deleting: true, finalizers: ['foregroundDeletion'] }
  assert.equal(verdict(thing([], foreground), [child]), 'await')
  assert.equal(verdict(thing([], foreground)), 'release foregroundDeletion')
  assert.equal(verdict(thing([], foreground), [thing([], { owners: [owner('x', false)] })]), 'release foregroundDeletion')
  assert.equal(verdict(thing([], { deleting: true, finalizers: ['orphan'] }), [child]), 'orphan')
})

const rangesOf = (clusters: string, prefixes = { IPv4: 24, IPv6: 64 }) => podRanges(parseCidrs(clusters)!, prefixes)

test('the lowest free range, whatever is taken', () => {
  const free = (taken: string[], cluster = '10.42.0.0/16') => {
    const range = rangesOf(cluster)[0]!
    const slots = new Set(taken.flatMap((text) => slotsOf(range, text)))
    return firstFree(range, (slot) => slots.has(slot))
  }
  assert.equal(free([]), '10.42.0.0/24')
  assert.equal(free(['10.42.0.0/24', '10.42.2.0/24', 'nonsense', 'fd42::/64']), '10.42.1.0/24')
  assert.equal(free(['10.42.0.0/23']), '10.42.2.0/24')
  assert.equal(free(['10.42.0.128/25']), '10.42.1.0/24')
  assert.equal(free(['10.42.0.0/24'], '10.42.0.0/24'), undefined)
  assert.equal(free(['0.0.0.0/0']), undefined)
  assert.equal(free(['10.41.0.0/16', '10.43.0.0/16']), '10.42.0.0/24')
  assert.equal(free(['fd42::/64', 'fd42:0:0:2::/64', '10.42.0.0/24'], 'fd42::/56'), 'fd42:0:0:1::/64')
})

test('ranges out of which no node’s can be cut are refused', () => {
  assert.deepEqual(
    rangesOf('fd42::/56,10.42.0.0/16').map(({ cluster, nodePrefix }) => `${cluster.text} ${nodePrefix}`),
    ['fd42::/56 64', '10.42.0.0/16 24'],
  )
  assert.deepEqual(rangesOf('fd42::/112', { IPv4: 24, IPv6: 120 })[0]?.nodePrefix, 120)
  assert.throws(() => rangesOf('fd42::/112'), /fd42::\/112 is too small: each node gets a \/64/)
  assert.throws(() => rangesOf('fd00::/40'), /too large: with \/64 for each node it may be \/48 at most/)
})

test('a node that is silent, not ready, full or cordoned', () => {
  const node = (
    ready: string | undefined,
    { taints = [], unschedulable, more = [] }: { taints?: object[]; unschedulable?: boolean; more?: object[] } = {},
  ): Node =>
    ({
      metadata: { name: 'n' },
      spec: { taints, unschedulable },
      status: { conditions: [...(ready ? [{ type: 'Ready', status: ready }] : []), ...more] },
    }) as unknown as Node
  const text = (of: Node, evicting = true) =>
    taintsFor(of, evicting, 0)
      ?.map(({ key, effect }) => `${key.replace('node.kubernetes.io/', '')}:${effect}`)
      .join(' ')
  assert.equal(text(node('True')), undefined)
  assert.equal(text(node('False')), 'not-ready:NoSchedule not-ready:NoExecute')
  assert.equal(text(node('Unknown')), 'unreachable:NoSchedule unreachable:NoExecute')
  assert.equal(text(node('Unknown'), false), 'unreachable:NoSchedule')
  assert.equal(text(node(undefined)), 'not-ready:NoSchedule')
  assert.equal(text(node('True', { unschedulable: true })), 'unschedulable:NoSchedule')
  assert.equal(text(node('True', { more: [{ type: 'DiskPressure', status: 'True' }] })), 'disk-pressure:NoSchedule')
  const taints = [
    { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute', timeAdded: 'then' },
    { key: 'theirs', effect: 'NoSchedule' },
  ]
  assert.equal(text(node('True', { taints })), 'theirs:NoSchedule')
  assert.equal(taintsFor(node('Unknown', { taints }), true, 0)?.find(({ effect }) => effect === 'NoExecute')?.timeAdded, 'then')
  const silent = unknownConditions(node('True'), 0)
  assert.deepEqual(
    silent?.map(({ type, reason }) => `${type} ${reason}`),
    [
      'Ready NodeStatusUnknown',
      'MemoryPressure NodeStatusNeverUpdated',
      'DiskPressure NodeStatusNeverUpdated',
      'PIDPressure NodeStatusNeverUpdated',
    ],
  )
  assert.equal(unknownConditions(node('Unknown'), 0), undefined)
})

test('how long a pod may stay beside taints', () => {
  const taints = [
    { key: 'a', effect: 'NoExecute' as const },
    { key: 'b', effect: 'NoExecute' as const },
  ]
  const tolerate = (key: string, tolerationSeconds?: number) => ({
    key,
    operator: 'Exists' as const,
    ...(tolerationSeconds !== undefined && { tolerationSeconds }),
  })
  assert.equal(toleratedMs(taints, []), 0)
  assert.equal(toleratedMs(taints, [tolerate('a', 300)]), 0)
  assert.equal(toleratedMs(taints, [tolerate('a', 300), tolerate('b', 60)]), 60_000)
  assert.equal(toleratedMs(taints, [tolerate('a'), tolerate('b')]), Number.POSITIVE_INFINITY)
  assert.equal(toleratedMs(taints, [tolerate('a'), tolerate('b', -1)]), 0)
})

test('the hash of a template does not depend on the order of keys', () => {
  const hash = (template: object) => templateHash(template as never)
  assert.equal(hash({ metadata: { labels: { a: '1', b: '2' } }, spec: {} }), hash({ spec: {}, metadata: { labels: { b: '2', a: '1' } } }))
  assert.notEqual(hash({ metadata: { labels: { a: '1' } } }), hash({ metadata: { labels: { a: '2' } } }))
})
