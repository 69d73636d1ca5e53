// Topology spread constraints: how unevenly matching pods may be spread over the domains of a label.

import { selectorMatcher } from '#api/selector/label.ts'
import type { Pod, TopologySpreadConstraint } from '#api/types/core-v1.gen.ts'
import type { NodeState } from './cluster.ts'
import type { Filter } from './filter.ts'
import { matchesRequired } from './node-affinity.ts'
import { untolerated } from './taints.ts'

type Spread = { key: string; maxSkew: number; counts: Map<string, number>; self: number; minDomains: number }

const valueOf = ({ node }: NodeState, key: string): string | undefined => node.metadata.labels?.[key]

function measure(
  pod: Pod,
  constraint: TopologySpreadConstraint,
  all: readonly TopologySpreadConstraint[],
  nodes: readonly NodeState[],
): Spread {
  const labels = pod.metadata.labels ?? {}
  const keyed = (constraint.matchLabelKeys ?? []).flatMap((key) =>
    labels[key] === undefined ? [] : [{ key, operator: 'In' as const, values: [labels[key]] }],
  )
  const { labelSelector: given } = constraint
  const selector = selectorMatcher(given && { ...given, matchExpressions: [...(given.matchExpressions ?? []), ...keyed] })
  const counts = new Map<string, number>()
  for (const state of nodes) {
    const value = valueOf(state, constraint.topologyKey)
    // Only nodes where the pod could go at all, and that have every key, count as domains.
    if (value === undefined || all.some(({ topologyKey }) => valueOf(state, topologyKey) === undefined)) continue
    if ((constraint.nodeAffinityPolicy ?? 'Honor') === 'Honor' && !matchesRequired(pod, state.node)) continue
    if (
      constraint.nodeTaintsPolicy === 'Honor' &&
      untolerated(state.taints, pod.spec.tolerations).some((t) => t.effect !== 'PreferNoSchedule')
    )
      continue
    let count = 0
    for (const { pod: other } of state.pods.values()) {
      const counted = other.metadata.namespace === pod.metadata.namespace && !other.metadata.deletionTimestamp
      if (counted && selector(other.metadata.labels)) count += 1
    }
    counts.set(value, (counts.get(value) ?? 0) + count)
  }
  const { topologyKey, maxSkew, minDomains = 1 } = constraint
  return { key: topologyKey, maxSkew, counts, self: selector(labels) ? 1 : 0, minDomains }
}

const constraintsOf = (pod: Pod, when: TopologySpreadConstraint['whenUnsatisfiable']) =>
  (pod.spec.topologySpreadConstraints ?? []).filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)

export function spreadFilter(pod: Pod, nodes: readonly NodeState[]): Filter {
  const constraints = constraintsOf(pod, 'DoNotSchedule')
  const spreads = constraints.map((constraint) => {
    const spread = measure(pod, constraint, constraints, nodes)
    const least = spread.counts.size < spread.minDomains ? 0 : Math.min(...spread.counts.values())
    return { ...spread, least: Number.isFinite(least) ? least : 0 }
  })
  const text = "node(s) didn't match pod topology spread constraints"
  return (state) => {
    for (const { key, counts, self, maxSkew, least } of spreads) {
      const value = valueOf(state, key)
      if (value === undefined) return [`${text} (missing required label)`]
      if ((counts.get(value) ?? 0) + self - least > maxSkew) return [text]
    }
    return []
  }
}

/** How crowded a node's domains are already, summed over soft constraints: less is better. Undefined where there are none. */
export function crowding(pod: Pod, nodes: readonly NodeState[]): ((state: NodeState) => number) | undefined {
  const constraints = constraintsOf(pod, 'ScheduleAnyway')
  if (!constraints.length) return undefined
  const spreads = constraints.map((constraint) => measure(pod, constraint, constraints, nodes))
  return (state) =>
    spreads.reduce((sum, { key, counts, maxSkew }) => {
      const value = valueOf(state, key)
      return sum + (value === undefined ? Math.max(0, ...counts.values()) + maxSkew : (counts.get(value) ?? 0))
    }, 0)
}
