// Whether a node has what a pod asks for, and which of those that have is left in the best shape.

import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin, Refusal } from '../framework/plugin.ts'

export type ResourceWeight = { name: string; weight: number }

export type NodeResourcesFitArgs = {
  /** Extended resources that are not looked at: by name, and by what is before the `/`. */
  ignoredResources?: readonly string[]
  ignoredResourceGroups?: readonly string[]
  scoringStrategy?: ScoringStrategy
}

export type ScoringStrategy = {
  type?: 'LeastAllocated' | 'MostAllocated' | 'RequestedToCapacityRatio'
  resources?: readonly ResourceWeight[]
  /** Of RequestedToCapacityRatio: scores of 0..10 at utilizations of 0..100 percent, straight lines between. */
  requestedToCapacityRatio?: { shape: readonly { utilization: number; score: number }[] }
}

export const cpuAndMemory: readonly ResourceWeight[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
]

const tooManyPods: Refusal = { reasons: ['Too many pods'] }

export function nodeResourcesFit(
  { cluster }: { cluster: Cluster },
  { ignoredResources = [], ignoredResourceGroups = [], scoringStrategy }: NodeResourcesFitArgs = {},
): Plugin {
  const ignored = (name: string) =>
    ignoredResources.includes(name) || ignoredResourceGroups.includes(name.slice(0, Math.max(0, name.indexOf('/'))))
  const score = scoreOf(scoringStrategy ?? {})
  const wantedOf = ({ wanted }: PodInfo) =>
    ignoredResources.length || ignoredResourceGroups.length ? wanted.filter(([name]) => !ignored(name)) : wanted
  /** On the node alone. */
  const could = (pod: PodInfo, { node }: { node: NodeInfo }) =>
    wantedOf(pod).every(([name, amount]) => amount <= (node.allocatable.get(name) ?? 0))
  /** Where another has just made room. One that was promised a room, or was not bound yet, leaves it who knows where. */
  const fitsNow = (pod: PodInfo, { pod: other }: { pod: PodInfo }) => {
    const node = cluster.node(other.pod.spec.nodeName ?? '')
    return !node || !lacking(node, wantedOf(pod))
  }
  return {
    name: 'NodeResourcesFit',
    hints: { 'node/add': could, 'node/allocatable': could, 'pod/delete': fitsNow, 'pod/scale-down': fitsNow },
    preFilter(pod) {
      const wanted = wantedOf(pod)
      return { filter: (node) => lacking(node, wanted) }
    },
    preScore: (pod) => ({ of: (node) => score(node, pod) }),
  }
}

function lacking({ allocatable, free, pods, mostPods }: NodeInfo, wanted: PodInfo['wanted']): Refusal | undefined {
  let reasons: string[] | undefined
  let unresolvable = false
  for (const [name, amount] of wanted) {
    if (amount <= (free.get(name) ?? 0)) continue
    reasons ??= []
    reasons.push(`Insufficient ${name}`)
    unresolvable ||= amount > (allocatable.get(name) ?? 0)
  }
  if (pods.size < mostPods) return reasons && { reasons, unresolvable }
  return reasons ? { reasons: [...tooManyPods.reasons, ...reasons], unresolvable } : tooManyPods
}

/** What of the resource would be taken with the pod there, for scores. */
export function takenWith(node: NodeInfo, pod: PodInfo, name: string): number {
  if (name === 'cpu') return node.cpu + pod.cpu
  if (name === 'memory') return node.memory + pod.memory
  return (node.used.get(name) ?? 0) + (pod.requests.get(name) ?? 0)
}

/** Resources that a pod does not ask for, and few nodes have, say nothing about where it should be. */
export const bearsOn = (pod: PodInfo, name: string): boolean => !name.includes('/') || (pod.requests.get(name) ?? 0) > 0

function scoreOf({ type = 'LeastAllocated', resources, requestedToCapacityRatio }: ScoringStrategy) {
  const wanted = resources?.length ? resources : cpuAndMemory
  const shape = requestedToCapacityRatio?.shape ?? []
  const of = (taken: number, total: number): number => {
    if (type === 'RequestedToCapacityRatio') return onShape(shape, taken > total ? 100 : Math.floor((taken * 100) / total))
    if (type === 'MostAllocated') return Math.floor((Math.min(taken, total) * 100) / total)
    return taken > total ? 0 : Math.floor(((total - taken) * 100) / total)
  }
  return (node: NodeInfo, pod: PodInfo): number => {
    let sum = 0
    let weights = 0
    for (const { name, weight } of wanted) {
      if (!bearsOn(pod, name)) continue
      const total = node.allocatable.get(name) ?? 0
      if (total === 0) continue
      const score = of(takenWith(node, pod, name), total)
      // On a shape, 0 says that the resource is not to count.
      if (type === 'RequestedToCapacityRatio' && score === 0) continue
      sum += score * weight
      weights += weight
    }
    if (weights === 0) return 0
    return type === 'RequestedToCapacityRatio' ? Math.round(sum / weights) : Math.floor(sum / weights)
  }
}

function onShape(shape: readonly { utilization: number; score: number }[], utilization: number): number {
  for (let i = 0; i < shape.length; i += 1) {
    const to = shape[i]!
    if (utilization > to.utilization) continue
    const from = shape[i - 1]
    if (!from) return to.score * 10
    return Math.trunc(
      from.score * 10 + ((to.score - from.score) * 10 * (utilization - from.utilization)) / (to.utilization - from.utilization),
    )
  }
  return (shape.at(-1)?.score ?? 0) * 10
}
