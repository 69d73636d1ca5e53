// Pods that want to be near other pods, or away from them (required and preferred inter-pod affinity).
// "Near" is per topology domain: all nodes that share a label's value.

import { selectorMatcher } from '#api/selector/label.ts'
import type { Pod, PodAffinityTerm } from '#api/types/core-v1.gen.ts'
import type { LabelSelectorOperator, LabelSelectorRequirement } from '#api/types/meta-v1.gen.ts'
import type { NodeState, Placed } from './cluster.ts'
import type { Filter, Namespaces } from './filter.ts'

type Term = { topologyKey: string; matches(pod: Pod): boolean }

const domainOf = ({ node }: NodeState, key: string): string | undefined => node.metadata.labels?.[key]
const tag = (key: string, value: string): string => `${key}=${value}`

function termOf(term: PodAffinityTerm, owner: Pod, namespaces: Namespaces): Term {
  const own = owner.metadata.labels ?? {}
  const byKeys = (keys: string[] | undefined, operator: LabelSelectorOperator): LabelSelectorRequirement[] =>
    (keys ?? []).flatMap((key) => (own[key] === undefined ? [] : [{ key, operator, values: [own[key]] }]))
  const extra = [...byKeys(term.matchLabelKeys, 'In'), ...byKeys(term.mismatchLabelKeys, 'NotIn')]
  // A term without a selector matches no pod.
  const labels = selectorMatcher(
    term.labelSelector && { ...term.labelSelector, matchExpressions: [...(term.labelSelector.matchExpressions ?? []), ...extra] },
  )
  const space = term.namespaceSelector && selectorMatcher(term.namespaceSelector)
  const names = term.namespaces?.length || space ? (term.namespaces ?? []) : [owner.metadata.namespace ?? '']
  const inNamespace = (name: string) => names.includes(name) || (space !== undefined && space(namespaces.labelsOf(name)))
  return {
    topologyKey: term.topologyKey,
    matches: (pod) => labels(pod.metadata.labels) && inNamespace(pod.metadata.namespace ?? ''),
  }
}

/** Undefined where neither this pod nor any placed one asks for anything. */
export function affinityFilter(pod: Pod, nodes: readonly NodeState[], namespaces: Namespaces): Filter | undefined {
  const near = (pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((t) => termOf(t, pod, namespaces))
  const away = (pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []).map((t) =>
    termOf(t, pod, namespaces),
  )
  const shunned = domainsThatShun(pod, nodes, namespaces)
  if (!near.length && !away.length && !shunned.size) return undefined

  const nearDomains = new Set<string>()
  const awayDomains = new Set<string>()
  for (const state of nodes) {
    for (const placed of state.pods.values()) {
      // A pod counts as company only if it meets every term.
      if (near.length && near.every((term) => term.matches(placed.pod))) mark(nearDomains, near, state)
      for (const term of away) if (term.matches(placed.pod)) mark(awayDomains, [term], state)
    }
  }
  // The first of a group that wants to be together may go anywhere.
  const alone = nearDomains.size === 0 && near.every((term) => term.matches(pod))

  return (state) => {
    const inDomain = (domains: Set<string>, key: string) => {
      const value = domainOf(state, key)
      return value !== undefined && domains.has(tag(key, value))
    }
    const follows = near.every(({ topologyKey }) =>
      alone ? domainOf(state, topologyKey) !== undefined : inDomain(nearDomains, topologyKey),
    )
    if (!follows) return ["node(s) didn't match pod affinity rules"]
    if (away.some(({ topologyKey }) => inDomain(awayDomains, topologyKey))) return ["node(s) didn't match pod anti-affinity rules"]
    const unwelcome = Object.entries(state.node.metadata.labels ?? {}).some(([key, value]) => shunned.has(tag(key, value)))
    return unwelcome ? ["node(s) didn't satisfy existing pods anti-affinity rules"] : []
  }
}

/** Domains where a placed pod refuses to have `pod` beside it. */
function domainsThatShun(pod: Pod, nodes: readonly NodeState[], namespaces: Namespaces): Set<string> {
  const domains = new Set<string>()
  for (const state of nodes) {
    for (const { pod: other } of state.pods.values()) {
      for (const term of other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
        const made = termOf(term, other, namespaces)
        if (made.matches(pod)) mark(domains, [made], state)
      }
    }
  }
  return domains
}

function mark(domains: Set<string>, terms: readonly Term[], state: NodeState): void {
  for (const { topologyKey } of terms) {
    const value = domainOf(state, topologyKey)
    if (value !== undefined) domains.add(tag(topologyKey, value))
  }
}

/** The weights of preferred terms that each node's domain meets; undefined where there are none. */
export function affinityScore(pod: Pod, nodes: readonly NodeState[], namespaces: Namespaces): ((state: NodeState) => number) | undefined {
  const preferences = [
    ...(pod.spec.affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((p) => ({ ...p, sign: 1 })),
    ...(pod.spec.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((p) => ({ ...p, sign: -1 })),
  ].map(({ podAffinityTerm, weight, sign }) => ({ term: termOf(podAffinityTerm, pod, namespaces), weight: weight * sign }))
  if (!preferences.length) return undefined
  const weights = new Map<string, number>()
  const each = (state: NodeState, { pod: other }: Placed) => {
    for (const { term, weight } of preferences) {
      const value = domainOf(state, term.topologyKey)
      if (value === undefined || !term.matches(other)) continue
      const key = tag(term.topologyKey, value)
      weights.set(key, (weights.get(key) ?? 0) + weight)
    }
  }
  for (const state of nodes) for (const placed of state.pods.values()) each(state, placed)
  const keys = new Set(preferences.map(({ term }) => term.topologyKey))
  return (state) => [...keys].reduce((sum, key) => sum + (weights.get(tag(key, domainOf(state, key) ?? '')) ?? 0), 0)
}
