// Which of the nodes that fit is the best home: every score is brought to 0..100 over the candidates,
// then weighed.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { NodeState } from './cluster.ts'
import type { Namespaces } from './filter.ts'
import { preferredWeight } from './node-affinity.ts'
import { affinityScore } from './pod-affinity.ts'
import { type Resources, requestsOf } from './resources.ts'
import { crowding } from './spread.ts'
import { untolerated } from './taints.ts'

/** `direction` -1: less is better. */
type Score = { weight: number; direction: 1 | -1; of: (state: NodeState) => number; absolute?: boolean }

/** Whether another pod serves the same purpose, e.g. is behind the same service. */
export type Sibling = ((other: Pod) => boolean) | undefined

export function rank(
  pod: Pod,
  candidates: readonly NodeState[],
  all: readonly NodeState[],
  sibling: Sibling,
  namespaces: Namespaces,
): Map<string, number> {
  const totals = new Map(candidates.map(({ name }) => [name, 0]))
  for (const score of scoresFor(pod, all, sibling, namespaces)) {
    const values = candidates.map(score.of)
    const low = Math.min(...values)
    const span = Math.max(...values) - low
    candidates.forEach(({ name }, i) => {
      const part = score.absolute ? values[i]! : span === 0 ? 0 : ((values[i]! - low) / span) * 100
      totals.set(name, totals.get(name)! + score.weight * (score.direction === 1 ? part : 100 - part))
    })
  }
  return totals
}

function scoresFor(pod: Pod, all: readonly NodeState[], sibling: Sibling, namespaces: Namespaces): Score[] {
  const requests = requestsOf(pod)
  const scores: Score[] = [
    { weight: 1, direction: 1, absolute: true, of: (state) => leastAllocated(state, requests) },
    { weight: 4, direction: -1, of: siblings(pod, sibling) },
    { weight: 2, direction: 1, of: ({ node }) => preferredWeight(pod, node) },
    {
      weight: 3,
      direction: -1,
      of: ({ taints }) => untolerated(taints, pod.spec.tolerations).filter((t) => t.effect === 'PreferNoSchedule').length,
    },
    { weight: 1, direction: 1, of: (state) => presentImages(state, pod) },
  ]
  const near = affinityScore(pod, all, namespaces)
  if (near) scores.push({ weight: 2, direction: 1, of: near })
  const crowd = crowding(pod, all)
  if (crowd) scores.push({ weight: 4, direction: -1, of: crowd })
  return scores
}

/** Pods that ask for nothing still cost something: upstream's figures for them. */
const assumed = { cpu: 100, memory: 200 * 1024 * 1024 }

/** The share of CPU and memory that would be left, in percent. */
function leastAllocated({ allocatable, used, pods }: NodeState, requests: Resources): number {
  const left = (['cpu', 'memory'] as const).map((name) => {
    const total = allocatable.get(name) ?? 0
    if (total === 0) return 0
    const modest = [...pods.values()].filter((placed) => !placed.requests.get(name)).length
    const taken = (used.get(name) ?? 0) + modest * assumed[name] + (requests.get(name) || assumed[name])
    return Math.max(0, ((total - taken) / total) * 100)
  })
  return (left[0]! + left[1]!) / 2
}

function siblings(pod: Pod, sibling: Sibling): (state: NodeState) => number {
  const owner = pod.metadata.ownerReferences?.find((ref) => ref.controller)?.uid
  if (owner) return ({ owners }) => owners.get(owner) ?? 0
  if (!sibling) return () => 0
  return ({ pods }) => [...pods.values()].filter((placed) => sibling(placed.pod)).length
}

/** Bytes that need not be fetched. */
const presentImages = ({ images }: NodeState, pod: Pod): number =>
  images.size === 0
    ? 0
    : pod.spec.containers.reduce((sum, { image }) => sum + (images.get(image ?? '') ?? images.get(`docker.io/library/${image}`) ?? 0), 0)
