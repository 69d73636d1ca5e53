import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labelSelector, matchesLabels } from '#api/selector/label.ts'
import { randomOf } from '../random.fake.ts'
import { World } from '../world.fake.ts'
import { pairOf } from './buckets.ts'
import { Tallies } from './tallies.ts'
import { allNodes, type Selection } from './tally.ts'

const selectionOf = (app: string): Selection => {
  const labels = labelSelector({ matchLabels: { app } })
  return {
    id: app,
    pair: pairOf(labels),
    choosesNamespaces: false,
    livingOnly: true,
    matches: (subject) => matchesLabels(labels, subject.labels),
  }
}

test('tallies say what counting says, whatever came and went, also those that were dropped and asked for again', () => {
  const key = 'zone'
  for (let seed = 1; seed <= 40; seed += 1) {
    const world = new World(randomOf(seed * 31))
    const { cluster } = world
    for (let step = 0; step < 60; step += 1) {
      world.change()
      for (const app of ['a', 'b', 'c']) {
        const tally = cluster.tallies.of(selectionOf(app), key, allNodes, true)
        const sparse = cluster.tallies.of(selectionOf(app), key)
        const counts = new Map<string, number>()
        for (const node of cluster.nodes) {
          const value = node.labels[key]
          if (value === undefined) continue
          const pods = [...node.pods.values()].filter(({ labels, pod }) => labels['app'] === app && !pod.metadata.deletionTimestamp)
          counts.set(value, (counts.get(value) ?? 0) + pods.length)
        }
        const at = `seed ${seed}, step ${step}, ${app}`
        assert.equal(tally.domains, counts.size, at)
        assert.equal(tally.least, counts.size ? Math.min(...counts.values()) : 0, at)
        for (const [value, count] of counts) assert.deepEqual([tally.in(value), sparse.in(value)], [count, count], at)
        const total = [...counts.values()].reduce((a, b) => a + b, 0)
        assert.deepEqual([tally.total, sparse.total, sparse.domains], [total, total, [...counts.values()].filter(Boolean).length], at)
      }
    }
  }
})

test('those that were not asked for the longest go when there are too many domains', () => {
  const { cluster } = new World(randomOf(5), 5)
  const tallies = new Tallies({ nodes: () => cluster.nodes, pods: (pair) => (pair ? cluster.placedWith(pair) : []) }, 12)
  const ask = (app: string) => tallies.of(selectionOf(app), 'kubernetes.io/hostname', allNodes, true)
  const first = ask('first')
  for (let i = 0; i < 20; i += 1) {
    ask(`other-${i}`)
    assert.equal(ask('first'), first, 'it is asked for all the time')
  }
  assert.ok(tallies.size > 1 && tallies.size <= 12)
  const old = ask('old')
  for (let i = 0; i < 20; i += 1) ask(`more-${i}`)
  assert.notEqual(ask('old'), old)
})
