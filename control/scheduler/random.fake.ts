// Random nodes, pods and changes, for tests that hold whatever the cluster is like.

import type { Node, Pod, PodAffinityTerm, PodSpec, Toleration, TopologySpreadConstraint } from '#api/types/core-v1.gen.ts'
import { node, pod } from './objects.fake.ts'

export type Random = {
  /** A whole number below `n`. */
  below: (n: number) => number
  chance: (p: number) => boolean
  of: <T>(values: readonly T[]) => T
}

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, chance: (p) => next() < p, of: (values) => values[below(values.length)]! }
}

const apps = ['a', 'b', 'c']
export const spaces = ['default', 'other']
const keys = ['zone', 'kubernetes.io/hostname']

export function randomNode(random: Random, name: string): Node {
  const { below, chance, of } = random
  return node(name, {
    cpu: String(1 + below(4)),
    memory: `${1 + below(4)}Gi`,
    pods: String(1 + below(6)),
    labels: { ...(chance(0.8) && { zone: of(['1', '2', '3']) }), ...(chance(0.5) && { disk: of(['ssd', 'hdd']) }) },
    taints: chance(0.2) ? [{ key: 'k', value: of(['v', 'w']), effect: of(['NoSchedule', 'PreferNoSchedule', 'NoExecute']) }] : [],
    ready: chance(0.9),
    unschedulable: chance(0.1),
    images: chance(0.3) ? ['docker.io/library/web:1'] : [],
    more: chance(0.2) ? { 'example.com/gpu': '1' } : {},
  })
}

export function randomPod(random: Random): Pod {
  const { below, chance, of } = random
  const labels = { app: of(apps), ...(chance(0.3) && { version: of(['1', '2']) }) }
  const maybe = <T>(p: number, make: () => T): T | undefined => (chance(p) ? make() : undefined)
  const spec: Partial<PodSpec> = {
    ...maybe(0.2, () => ({ nodeSelector: { disk: of(['ssd', 'hdd']) } })),
    ...maybe(0.3, () => ({ topologySpreadConstraints: Array.from({ length: 1 + below(2) }, () => randomSpread(random)) })),
    ...maybe(0.3, () => ({ tolerations: [toleration(random)] })),
    ...maybe(0.5, () => ({ priority: below(4) })),
    affinity: {
      ...maybe(0.25, () => ({ podAffinity: terms(random) })),
      ...maybe(0.3, () => ({ podAntiAffinity: terms(random) })),
      ...maybe(0.2, () => ({ nodeAffinity: nodeAffinity(random) })),
    },
  }
  return pod({
    labels,
    namespace: of(spaces),
    requests: {
      ...(chance(0.8) && { cpu: of(['100m', '500m', '1']) }),
      ...(chance(0.5) && { memory: of(['200Mi', '1Gi']) }),
      ...(chance(0.1) && { 'example.com/gpu': '1' }),
    },
    ports: maybe(0.15, () => [{ containerPort: 80, hostPort: of([80, 81]), protocol: 'TCP' as const }]),
    ...spec,
  })
}

const toleration = ({ of, chance }: Random): Toleration =>
  chance(0.3) ? { operator: 'Exists' } : { key: 'k', operator: 'Equal', value: of(['v', 'w']), effect: of(['NoSchedule', 'NoExecute']) }

export function randomSpread({ of, below, chance }: Random): TopologySpreadConstraint {
  const whenUnsatisfiable = chance(0.7) ? 'DoNotSchedule' : 'ScheduleAnyway'
  return {
    topologyKey: of(keys),
    maxSkew: 1 + below(2),
    whenUnsatisfiable,
    labelSelector: { matchLabels: { app: of(apps) } },
    ...(whenUnsatisfiable === 'DoNotSchedule' && chance(0.2) && { minDomains: 1 + below(4) }),
    ...(chance(0.2) && { matchLabelKeys: ['version'] }),
    ...(chance(0.3) && { nodeTaintsPolicy: of(['Honor', 'Ignore']) }),
    ...(chance(0.3) && { nodeAffinityPolicy: of(['Honor', 'Ignore']) }),
  }
}

function terms(random: Random) {
  const { below, chance } = random
  const required = Array.from({ length: below(3) }, () => term(random))
  const preferred = chance(0.4) ? [{ weight: 1 + below(100), podAffinityTerm: term(random) }] : []
  return { requiredDuringSchedulingIgnoredDuringExecution: required, preferredDuringSchedulingIgnoredDuringExecution: preferred }
}

function term({ of, chance }: Random): PodAffinityTerm {
  const labelSelector = chance(0.7)
    ? { matchLabels: { app: of(apps) } }
    : { matchExpressions: [{ key: 'app', operator: of(['In', 'NotIn', 'Exists'] as const), values: [] as string[] }] }
  for (const each of labelSelector.matchExpressions ?? []) if (each.operator !== 'Exists') each.values = [of(apps), of(apps)]
  return {
    topologyKey: of(keys),
    labelSelector,
    ...(chance(0.2) && { namespaces: [of(spaces)] }),
    ...(chance(0.2) && { namespaceSelector: { matchLabels: { team: of(['x', 'y']) } } }),
    ...(chance(0.15) && { matchLabelKeys: ['version'] }),
    ...(chance(0.1) && { mismatchLabelKeys: ['version'] }),
  }
}

function nodeAffinity({ of, chance, below }: Random) {
  const requirement = { matchExpressions: [{ key: 'zone', operator: of(['In', 'NotIn', 'Exists'] as const), values: [] as string[] }] }
  for (const each of requirement.matchExpressions) if (each.operator !== 'Exists') each.values = [of(['1', '2'])]
  const named = { matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [of(['n0', 'n1', 'n2'])] }] }
  return {
    ...(chance(0.7) && { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [chance(0.3) ? named : requirement] } }),
    ...(chance(0.5) && { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1 + below(50), preference: requirement }] }),
  }
}
