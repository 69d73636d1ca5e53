import type { Pod } from '#api/types/core-v1.gen.ts'
import { pluginConformance } from '../framework/conformance.ts'
import type { Plugin } from '../framework/plugin.ts'
import { type Random, randomPod, randomSpread } from '../random.fake.ts'
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
for (const [name, { make }] of Object.entries(registry)) pluginConformance(name, make, asking[name])

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
