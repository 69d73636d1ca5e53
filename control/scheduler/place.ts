// Chooses a node for one pod from what is known. Pure: the same cluster, pod and randomness give the same answer.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { NodeState } from './cluster.ts'
import { type Namespaces } from './filter.ts'
import { filtersFor } from './filters.ts'
import { rank, type Sibling } from './scores.ts'

export type Surroundings = { nodes: readonly NodeState[]; namespaces: Namespaces; sibling: Sibling; random: () => number }

export type Placement = { nodeName: string; message?: undefined } | { nodeName?: undefined; message: string }

export function place(pod: Pod, { nodes, namespaces, sibling, random }: Surroundings): Placement {
  if (nodes.length === 0) return { message: 'no nodes available to schedule pods' }
  const filters = filtersFor(pod, nodes, namespaces)
  const refusals = new Map<string, number>()
  const candidates = nodes.filter((state) => {
    for (const filter of filters) {
      const reasons = filter(state)
      for (const reason of reasons) refusals.set(reason, (refusals.get(reason) ?? 0) + 1)
      if (reasons.length) return false
    }
    return true
  })
  if (candidates.length === 0) return { message: refusal(nodes.length, refusals) }
  if (candidates.length === 1) return { nodeName: candidates[0]!.name }

  const scores = rank(pod, candidates, nodes, sibling, namespaces)
  const best = Math.max(...scores.values())
  const ties = candidates.filter(({ name }) => scores.get(name)! > best - 1e-6)
  return { nodeName: ties[Math.floor(random() * ties.length)]!.name }
}

/** `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` */
function refusal(count: number, refusals: Map<string, number>): string {
  const reasons = [...refusals].map(([reason, times]) => `${times} ${reason}`).sort()
  return `0/${count} nodes are available: ${reasons.join(', ')}.`
}
