import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { PodInfo } from './cluster/pod-info.ts'
import { Placer } from './framework/profile.ts'
import { totalsOf } from './framework/rank.ts'
import { handleOf } from './objects.fake.ts'
import { type Facts, reasons, scores } from './oracle.fake.ts'
import { defaultProfile } from './plugins/registry.ts'
import { randomOf, randomPod } from './random.fake.ts'
import { World } from './world.fake.ts'

const worlds = 35
const steps = 12

/** Clusters that have lived for a while: the pods asked about are the same all along, so that what is counted for them must follow. */
function lives(look: (pod: Pod, world: World, facts: Facts, place: (pod: Pod) => ReturnType<Placer['place']>, at: string) => void): void {
  for (let seed = 1; seed <= worlds; seed += 1) {
    const random = randomOf(seed * 7919)
    const world = new World(random, 6)
    const profile = defaultProfile({ ...handleOf(world.cluster), selectors: { of: () => undefined, synced: Promise.resolve() } })
    const placer = new Placer({ cluster: world.cluster, random: () => random.below(1000) / 1000 })
    const pods = Array.from({ length: 4 }, () => randomPod(random))
    for (let step = 0; step < steps; step += 1) {
      const facts = {
        nodes: [...world.nodes.values()],
        pods: [...world.pods.values()],
        namespaceLabels: (namespace: string) => world.labels[namespace] ?? {},
      }
      for (const pod of pods) look(pod, world, facts, (each) => placer.place(new PodInfo(each), profile), `seed ${seed}, step ${step}`)
      for (let i = 0; i < 3; i += 1) world.change()
    }
  }
}

test('a pod goes where the documented rules let it, and nowhere else, and is told why', () => {
  let placed = 0
  let refused = 0
  lives((pod, _, facts, place, at) => {
    const told = facts.nodes.map((node) => reasons(pod, node, facts))
    const placement = place(pod)
    if (placement.nodeName !== undefined) {
      placed += 1
      const chosen = facts.nodes.findIndex(({ metadata }) => metadata.name === placement.nodeName)
      assert.deepEqual(told[chosen], [], at)
      return
    }
    refused += 1
    assert.ok(
      told.every(({ length }) => length > 0),
      `${at}: it fits, and was refused: ${placement.message}`,
    )
    const named =
      pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]?.matchFields?.[0]?.values
    if (named) return
    const times = new Map<string, number>()
    for (const reason of told.flat()) times.set(reason, (times.get(reason) ?? 0) + 1)
    const words = [...times].map(([reason, count]) => `${count} ${reason}`).sort()
    const text = `0/${facts.nodes.length} nodes are available: ${words.join(', ')}.`
    assert.ok(placement.message.startsWith(text), `${at}: ${placement.message} is not ${text}`)
  })
  // It would prove nothing if all were refused, or none.
  assert.ok(placed > 200 && refused > 200, `${placed} placed, ${refused} refused`)
})

test('scores are what the documented rules make of each node', () => {
  lives((pod, world, facts, _, at) => {
    const fitting = facts.nodes.filter((node) => reasons(pod, node, facts).length === 0)
    if (fitting.length < 2) return
    const profile = defaultProfile({ ...handleOf(world.cluster), selectors: { of: () => undefined, synced: Promise.resolve() } })
    const infos = fitting.map(({ metadata }) => world.cluster.node(metadata.name)!)
    for (const { plugin } of profile.plugins.scores) {
      const expected = scores[plugin.name]?.(pod, fitting, facts)
      if (!expected) continue
      const found = [...totalsOf(new PodInfo(pod), infos, [{ plugin, weight: 1 }])]
      // What is the same for all says nothing, and is left out.
      const same = (values: readonly number[]) => values.every((value) => value === values[0])
      if (!(same(expected) && same(found))) assert.deepEqual(found, expected, `${at}: ${plugin.name}`)
    }
  })
})
