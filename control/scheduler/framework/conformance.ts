// What every plugin keeps to, in random clusters to which random things happen.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeInfo } from '../cluster/node-info.ts'
import { PodInfo } from '../cluster/pod-info.ts'
import { handleOf } from '../objects.fake.ts'
import { randomOf, randomPod } from '../random.fake.ts'
import { World } from '../world.fake.ts'
import type { ClusterEvent, Filter, Handle, Plugin, Refusal } from './plugin.ts'
import { totalsOf } from './rank.ts'

const worlds = 40
const changesEach = 40
const podsAtOnce = 10

export function pluginConformance(name: string, make: (handle: Handle) => Plugin, randomPods: typeof randomPod = randomPod): void {
  const eachWorld = (look: (plugin: Plugin, pod: PodInfo, world: World, seed: number) => void) => () => {
    for (let seed = 1; seed <= worlds; seed += 1) {
      const random = randomOf(seed)
      const world = new World(random)
      look(make(handleOf(world.cluster)), new PodInfo(randomPods(random)), world, seed)
    }
  }
  const filterOf = (plugin: Plugin, pod: PodInfo): Filter | undefined => {
    const found = plugin.preFilter?.(pod)
    if (!found) return undefined
    return found.refusal ? () => found.refusal : found.filter
  }
  /** By the names of all nodes. */
  const refusals = (plugin: Plugin, pod: PodInfo, nodes: readonly NodeInfo[]): Map<string, boolean> => {
    const filter = filterOf(plugin, pod)
    return new Map(nodes.map((node) => [node.name, filter?.(node) !== undefined]))
  }

  test(`${name}: has that name`, () => {
    assert.equal(make(handleOf(new World(randomOf(1)).cluster)).name, name)
  })

  test(
    `${name}: a filter says the same to the same question, and gives reasons`,
    eachWorld((plugin, pod, { cluster }, seed) => {
      const [first, second] = [filterOf(plugin, pod), filterOf(plugin, pod)]
      for (const node of cluster.nodes) {
        const refusal = first?.(node)
        assert.deepEqual(first?.(node), refusal, `seed ${seed}`)
        assert.deepEqual(second?.(node), refusal, `seed ${seed}`)
        if (refusal) assert.ok(refusal.reasons.length > 0 && refusal.reasons.every(Boolean), `seed ${seed}`)
      }
    }),
  )

  test(
    `${name}: nodes that need not be asked would be refused`,
    eachWorld((plugin, pod, { cluster }, seed) => {
      const found = plugin.preFilter?.(pod)
      if (!found || found.refusal || !found.only) return
      for (const node of cluster.nodes) if (!found.only.has(node.name)) assert.ok(found.filter(node), `seed ${seed}`)
    }),
  )

  test(
    `${name}: a filter sees pods that are taken away while it is asked, as preemption does`,
    eachWorld((plugin, pod, { cluster }, seed) => {
      const filter = filterOf(plugin, pod)
      for (const node of cluster.nodes) {
        const before = filter?.(node)
        const pods = [...node.pods.values()]
        for (const each of pods) cluster.take(each, node)
        assert.deepEqual(filter?.(node), filterOf(plugin, pod)?.(node), `seed ${seed}`)
        if (before?.unresolvable) assert.ok(filter?.(node), `seed ${seed}: it said that nothing there would help`)
        for (const [i, each] of pods.entries()) {
          cluster.put(each, node)
          if (i % 3 === 0) assert.deepEqual(filter?.(node), filterOf(plugin, pod)?.(node), `seed ${seed}`)
        }
        assert.deepEqual(filter?.(node), before, `seed ${seed}`)
      }
    }),
  )

  test(`${name}: what lets a pod fit that it refused is in its hints`, () => {
    for (let seed = 1; seed <= worlds; seed += 1) {
      const random = randomOf(seed)
      const world = new World(random, 3)
      const plugin = make(handleOf(world.cluster))
      const pods = Array.from({ length: podsAtOnce }, () => new PodInfo(randomPods(random)))
      let before = pods.map((pod) => refusals(plugin, pod, world.cluster.nodes))
      for (let step = 0; step < changesEach; step += 1) {
        const events = world.change()
        const helps = (pod: PodInfo) =>
          events.some((event) => (plugin.hints?.[event.name] as ((pod: PodInfo, event: ClusterEvent) => boolean) | undefined)?.(pod, event))
        const after = pods.map((pod) => refusals(plugin, pod, world.cluster.nodes))
        for (const [i, pod] of pods.entries()) {
          const was = before[i]!
          if (![...was.values()].includes(true)) continue
          // A node that is new counts as one that refused.
          const opened = [...after[i]!].some(([node, refuses]) => !refuses && was.get(node) !== false)
          if (opened) assert.ok(helps(pod), `seed ${seed}, step ${step}: ${events.map((event) => event.name).join()}`)
        }
        before = after
      }
    }
  })

  test(
    `${name}: scores are whole numbers of 0 to 100, in whatever order nodes are asked`,
    eachWorld((plugin, pod, { cluster }, seed) => {
      const nodes = [...cluster.nodes]
      const scores = totalsOf(pod, nodes, [{ plugin, weight: 1 }])
      for (const score of scores) assert.ok(Number.isInteger(score) && score >= 0 && score <= 100, `seed ${seed}: ${score}`)
      assert.deepEqual([...totalsOf(pod, nodes.toReversed(), [{ plugin, weight: 1 }])].reverse(), [...scores], `seed ${seed}`)
    }),
  )

  test(
    `${name}: a reservation is given back, also twice, and where there was none`,
    eachWorld((plugin, pod, { cluster }) => {
      const [node] = cluster.nodes
      if (!node) return
      plugin.unreserve?.(pod, node.name)
      for (let i = 0; i < 2; i += 1) {
        const refusal: Refusal | undefined = plugin.reserve?.(pod, node.name)
        if (i === 0 && refusal) return
        assert.equal(refusal, undefined)
        plugin.unreserve?.(pod, node.name)
        plugin.unreserve?.(pod, node.name)
      }
    }),
  )
}
