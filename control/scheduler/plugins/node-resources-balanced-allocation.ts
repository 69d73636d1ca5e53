// Nodes on which a pod leaves resources used to a similar share are better: none of them runs out while much of
// another is left.

import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin } from '../framework/plugin.ts'
import { bearsOn, cpuAndMemory, type ResourceWeight } from './node-resources-fit.ts'

export type NodeResourcesBalancedAllocationArgs = { resources?: readonly ResourceWeight[] }

export function nodeResourcesBalancedAllocation({ resources }: NodeResourcesBalancedAllocationArgs = {}): Plugin {
  const names = (resources?.length ? resources : cpuAndMemory).map(({ name }) => name)
  return {
    name: 'NodeResourcesBalancedAllocation',
    preScore(pod) {
      // A pod that asks for nothing changes no balance.
      if (!names.some((name) => (pod.requests.get(name) ?? 0) > 0)) return undefined
      return { of: (node) => Math.floor((1 - deviation(shares(node, pod, names))) * 100) }
    },
  }
}

function shares({ allocatable, used }: NodeInfo, pod: PodInfo, names: readonly string[]): number[] {
  const found: number[] = []
  for (const name of names) {
    const total = allocatable.get(name) ?? 0
    if (total > 0 && bearsOn(pod, name)) found.push(Math.min(1, ((used.get(name) ?? 0) + (pod.requests.get(name) ?? 0)) / total))
  }
  return found
}

function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0
  if (values.length === 2) return Math.abs(values[0]! - values[1]!) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
}
