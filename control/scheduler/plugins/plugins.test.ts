import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { pointsOf } from '../framework/assemble.ts'
import { pluginConformance } from '../framework/conformance.ts'
import type { Plugin } from '../framework/plugin.ts'
import { handleOf } from '../objects.fake.ts'
import { type Random, randomOf, randomPod, randomSpread } from '../random.fake.ts'
import { World } from '../world.fake.ts'
import { registry } from './registry.ts'

/** Pods that ask for what the plugin is about, more often than not. */
const asking: Record<string, (random: Random) => Pod> = {
  PodTopologySpread(random) {
    const pod = randomPod(random)
    const constraint = { ...randomSpread(random), whenUnsatisfiable: 'DoNotSchedule' as const, maxSkew: 1 }
    return { ...pod, spec: { ...pod.spec, topologySpreadConstraints: [constraint] } }
  },
  InterPodAffinity(random) {
    const pod = randomPod(random)
    const own = { topologyKey: 'zone', labelSelector: { matchLabels: { app: pod.metadata.labels!['app']! } } }
    return random.chance(0.5)
      ? pod
      : { ...pod, spec: { ...pod.spec, affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [own] } } } }
  },
}
for (const [name, { make, points, weight }] of Object.entries(registry)) {
  pluginConformance(name, make, asking[name])
  test(`${name}: the registry says at which points it works`, () => {
    const plugin = make(handleOf(new World(randomOf(1)).cluster))
    assert.deepEqual([...points].sort(), pointsOf(plugin).sort())
    assert.equal((weight ?? 0) > 0, points.includes('score'), 'a score has a weight')
  })
}

test('docs/scheduling.md names every plugin with its points and its weight', async () => {
  const page = await readFile(new URL('../../../docs/scheduling.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| ([A-Z][\w, ]+) \| ([\w, ]+) \| (\d*) ?\|/gm)].flatMap(([, names = '', points, weight]) =>
    names.split(', ').map((name) => `${name}: ${points} ${weight}`),
  )
  const known = Object.entries(registry).map(([name, { points, weight }]) => `${name}: ${points.join(', ')} ${weight || ''}`)
  assert.deepEqual(rows.sort(), known.sort())
})

/** The plugin of docs/extending.md. */
const quietNodes = (): Plugin => ({
  name: 'QuietNodes',
  hints: {
    'pod/delete': () => true,
    'node/add': ({ labels }, { node }) => labels['quiet'] !== 'true' || node.pods.size === 0,
  },
  preFilter: ({ labels }) =>
    labels['app'] === 'a' ? { filter: ({ pods }) => (pods.size > 0 ? { reasons: ['node(s) had company'] } : undefined) } : undefined,
  preScore: () => ({ of: ({ pods }) => pods.size, normalize: 'lowest' }),
})
pluginConformance('QuietNodes', quietNodes)
