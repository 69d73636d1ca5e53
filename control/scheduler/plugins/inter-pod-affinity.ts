// Pods that want to be near other pods, or away from them: what the new pod asks, and what those that are there
// ask of it.

import type { AffinityTerm } from '../cluster/affinity-term.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Selection, Tally } from '../cluster/tally.ts'
import type { TermGroup } from '../cluster/term-groups.ts'
import type { Domains, Filter, Plugin } from '../framework/plugin.ts'

export type InterPodAffinityArgs = {
  /** What a placed pod's required affinity to the new one is worth, 0 to 100. */
  hardPodAffinityWeight?: number
  ignorePreferredTermsOfExistingPods?: boolean
}

type Company = { key: string; tally: Tally }

const hostname = 'kubernetes.io/hostname'
const notNear = { reasons: ["node(s) didn't match pod affinity rules"], unresolvable: true }
const tooNear = { reasons: ["node(s) didn't match pod anti-affinity rules"] }
const unwelcome = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] }

export function interPodAffinity(
  { cluster }: { cluster: Cluster },
  { hardPodAffinityWeight = 1, ignorePreferredTermsOfExistingPods = false }: InterPodAffinityArgs = {},
): Plugin {
  const { namespaces, tallies } = cluster
  const matchesAll = (terms: readonly AffinityTerm[], pod: PodInfo) => terms.every((term) => term.matches(pod, namespaces))
  const matchesAny = (terms: readonly AffinityTerm[], pod: PodInfo) => terms.some((term) => term.matches(pod, namespaces))
  /** One tally for each term: pods that meet all of these. */
  const company = (terms: readonly AffinityTerm[]): Company[] => {
    const selection: Selection = {
      id: `near ${terms.map(({ id }) => id).join()}`,
      pair: terms[0]?.pair,
      choosesNamespaces: terms.some(({ choosesNamespaces }) => choosesNamespaces),
      livingOnly: false,
      matches: (subject) => terms.every((term) => term.matches(subject, namespaces)),
    }
    return terms.map(({ topologyKey: key }) => ({ key, tally: tallies.of(selection, key) }))
  }

  const comes = (pod: PodInfo, { pod: other }: { pod: PodInfo }) => pod.affinity.length > 0 && matchesAll(pod.affinity, other)
  /** Whoever wants to be with its like may go anywhere once the last of them is gone. */
  const goes = (pod: PodInfo, { pod: other }: { pod: PodInfo }) =>
    matchesAny(pod.antiAffinity, other) || matchesAny(other.antiAffinity, pod) || comes(pod, { pod: other })

  return {
    name: 'InterPodAffinity',
    hints: {
      'pod/add': comes,
      'pod/delete': goes,
      'pod/labels': (pod, { pod: after, before }) => comes(pod, { pod: after }) || goes(pod, { pod: before }),
      'node/add': () => true,
      // With it go pods that were company.
      'node/delete': () => true,
      'node/labels': (pod, { node, before }) =>
        [...pod.affinity, ...pod.antiAffinity].some(({ topologyKey: key }) => node.labels[key] !== before.metadata.labels?.[key]) ||
        cluster.shunning.meaning(pod).some(({ term: { topologyKey: key } }) => node.labels[key] !== before.metadata.labels?.[key]),
      'namespace/labels': () => true,
    },
    preFilter(pod) {
      const near = company(pod.affinity)
      const away = pod.antiAffinity.flatMap((term) => company([term]))
      const filters: Filter[] = []
      if (near.length) filters.push(besideCompany(near, matchesAll(pod.affinity, pod)))
      if (away.length) filters.push((node) => (away.some(({ key, tally }) => among(node, key, tally)) ? tooNear : undefined))
      const { shunning } = cluster
      let { version } = shunning
      let groups = shunning.meaning(pod)
      // Preemption and promised nodes put pods there, and take them away, while the filter is asked.
      if (!filters.length && !groups.length && cluster.nominations.size === 0) return undefined
      return {
        domains: narrowest(near, away),
        filter(node) {
          for (const filter of filters) {
            const refusal = filter(node)
            if (refusal) return refusal
          }
          if (shunning.version !== version) {
            version = shunning.version
            groups = shunning.meaning(pod)
          }
          return groups.some((group) => amountAt(node, group) > 0) ? unwelcome : undefined
        },
      }
    },
    preScore(pod) {
      const wishes = pod.preferred.map(({ term, weight }) => ({ ...company([term])[0]!, weight }))
      if (ignorePreferredTermsOfExistingPods && !wishes.length) return undefined
      const inviting = hardPodAffinityWeight > 0 ? cluster.inviting.meaning(pod) : []
      const preferring = cluster.preferring.meaning(pod)
      if (!wishes.length && !inviting.length && !preferring.length) return undefined
      return {
        of(node) {
          let sum = 0
          for (const { key, tally, weight } of wishes) {
            const value = node.labels[key]
            if (value !== undefined) sum += weight * tally.in(value)
          }
          for (const group of inviting) sum += hardPodAffinityWeight * amountAt(node, group)
          for (const group of preferring) sum += amountAt(node, group)
          return sum
        },
        normalize: spanned,
      }
    },
  }
}

function besideCompany(near: readonly Company[], matchesItself: boolean): Filter {
  return (node) => {
    // The first of a group that wants to be together finds nobody and may go anywhere.
    const alone = matchesItself && near.every(({ tally }) => tally.total === 0)
    for (const { key, tally } of near) if (alone ? node.labels[key] === undefined : !among(node, key, tally)) return notNear
    return undefined
  }
}

/** Where company is, or nobody to avoid: a label of which many nodes share a value tells of all of them at once. */
function narrowest(near: readonly Company[], away: readonly Company[]): Domains | undefined {
  const [first] = near
  if (first && first.tally.total > 0) return { key: first.key, allows: (value) => value !== undefined && first.tally.in(value) > 0 }
  const wide = away.find(({ key }) => key !== hostname)
  return wide && { key: wide.key, allows: (value) => value === undefined || wide.tally.in(value) === 0 }
}

function among(node: NodeInfo, key: string, tally: Tally): boolean {
  const value = node.labels[key]
  return value !== undefined && tally.in(value) > 0
}

function amountAt({ labels }: NodeInfo, { term, amounts }: TermGroup): number {
  const value = labels[term.topologyKey]
  return value === undefined ? 0 : (amounts.get(value) ?? 0)
}

/** The lowest becomes 0, the highest 100. */
function spanned(values: Float64Array): void {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  for (let i = 0; i < values.length; i += 1) values[i] = high > low ? Math.floor(((values[i]! - low) * 100) / (high - low)) : 0
}
