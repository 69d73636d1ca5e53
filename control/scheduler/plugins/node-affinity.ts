// Nodes that a pod chooses by their labels (nodeSelector, node affinity), and those that a profile's pods are kept to.

import type { NodeAffinity, NodeSelectorTerm, Pod } from '#api/types/core-v1.gen.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin } from '../framework/plugin.ts'
import { matchesNodeAffinity, matchesRequired, preferredWeight } from '../node-affinity.ts'

export type NodeAffinityArgs = {
  /** Of every pod of the profile, beside its own. */
  addedAffinity?: NodeAffinity
}

const refusal = { reasons: ["node(s) didn't match Pod's node affinity/selector"], unresolvable: true }
const enforced = { reasons: ["node(s) didn't match scheduler-enforced node affinity"], unresolvable: true }

export function nodeAffinity({ addedAffinity }: NodeAffinityArgs = {}): Plugin {
  const added = addedAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const matches = ({ pod }: PodInfo, { node }: { node: NodeInfo }): boolean =>
    matchesRequired(pod, node.node) && matchesNodeAffinity(added, node.node)
  return {
    name: 'NodeAffinity',
    hints: { 'node/add': matches, 'node/labels': matches },
    preFilter({ pod }) {
      const asks = Object.keys(pod.spec.nodeSelector ?? {}).length > 0 || requiredOf(pod) !== undefined
      if (!asks && !added) return undefined
      const only = namedNodes(requiredOf(pod)?.nodeSelectorTerms)
      return {
        ...(only && { only }),
        filter({ node }) {
          if (!matchesNodeAffinity(added, node)) return enforced
          return !asks || matchesRequired(pod, node) ? undefined : refusal
        },
      }
    },
    preScore({ pod }) {
      const own = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution
      const terms = [...(addedAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []), ...(own ?? [])]
      return terms.length ? { of: ({ node }) => preferredWeight(terms, node), normalize: 'highest' } : undefined
    },
  }
}

const requiredOf = (pod: Pod) => pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution

/** The nodes that every term names, as pods of a DaemonSet do; undefined where some term names none. */
function namedNodes(terms: readonly NodeSelectorTerm[] | undefined): ReadonlySet<string> | undefined {
  if (!terms?.length) return undefined
  const all = new Set<string>()
  for (const { matchFields = [] } of terms) {
    const named = matchFields.filter(({ key, operator }) => key === 'metadata.name' && operator === 'In').map(({ values = [] }) => values)
    if (named.length === 0) return undefined
    for (const name of named[0]!) if (named.every((values) => values.includes(name))) all.add(name)
  }
  return all
}
