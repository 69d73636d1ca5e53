import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PodInfo } from '../cluster/pod-info.ts'
import type { Filter, PreFiltered } from '../framework/plugin.ts'
import { handleOf } from '../objects.fake.ts'
import { reasons } from '../oracle.fake.ts'
import { defaultProfile } from '../plugins/registry.ts'
import { randomOf, randomPod } from '../random.fake.ts'
import { World } from '../world.fake.ts'
import { victimsOn } from './victims.ts'

test('without its victims the pod fits by the documented rules, and with any of them it does not; nothing is left changed', () => {
  let found = 0
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = randomOf(seed * 104_729)
    const world = new World(random, 4)
    const { cluster } = world
    const { filters } = defaultProfile(handleOf(cluster)).plugins
    const pod = { ...randomPod(random) }
    pod.spec = { ...pod.spec, priority: 3 }
    const info = new PodInfo(pod)
    const asked = filters.flatMap((plugin) => plugin.preFilter?.(info) ?? []) as Extract<PreFiltered, { filter: Filter }>[]
    const fits: Filter = (node) => {
      for (const { filter } of asked) {
        const refusal = filter(node)
        if (refusal) return refusal
      }
      return undefined
    }
    const facts = () => ({
      nodes: [...world.nodes.values()],
      pods: [...world.pods.values()],
      namespaceLabels: (name: string) => world.labels[name] ?? {},
    })
    const before = cluster.nodes.map((node) => [node.name, [...node.pods.keys()].sort(), fits(node)])
    for (const node of cluster.nodes) {
      if (!fits(node)) continue
      const result = victimsOn(info, node, fits, { cluster, budgets: { violatedBy: () => new Set() } })
      if ('reasons' in result) continue
      found += 1
      const gone = new Set(result.victims.map(({ uid }) => uid))
      assert.ok(
        result.victims.every(({ priority }) => priority < 3),
        `seed ${seed}`,
      )
      const all = facts()
      const without = (uids: ReadonlySet<string>) => ({ ...all, pods: all.pods.filter(({ metadata }) => !uids.has(metadata.uid)) })
      const seat = world.nodes.get(node.name)!
      assert.deepEqual(reasons(pod, seat, without(gone)), [], `seed ${seed}`)
      // Company and evenness may depend on who else stays.
      if (info.affinity.length || pod.spec.topologySpreadConstraints) continue
      for (const uid of gone)
        assert.notDeepEqual(
          reasons(pod, seat, without(new Set([...gone].filter((each) => each !== uid)))),
          [],
          `seed ${seed}: ${uid} need not go`,
        )
    }
    assert.deepEqual(
      cluster.nodes.map((node) => [node.name, [...node.pods.keys()].sort(), fits(node)]),
      before,
      `seed ${seed}`,
    )
  }
  assert.ok(found > 30, `only ${found} found`)
})
