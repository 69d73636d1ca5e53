// Whom a pod would have to drive from a node to fit there: as few as possible of those less important than it,
// and of these the least important; pods that a disruption budget protects only where nothing else helps.

import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Filter, Refusal } from '../framework/plugin.ts'
import type { Budgets } from './budgets.ts'

export type Candidate = {
  node: NodeInfo
  /** The most important first. */
  victims: readonly PodInfo[]
  /** Of them, those whose going breaks a budget. */
  violations: number
}

const nobody: Refusal = { reasons: ['No preemption victims found for incoming pod'], unresolvable: true }

/** Leaves the cluster as it was. */
export function victimsOn(
  pod: PodInfo,
  node: NodeInfo,
  fits: Filter,
  { cluster, budgets }: { cluster: Cluster; budgets: Budgets },
): Candidate | Refusal {
  const lesser = [...node.pods.values()].filter(({ priority }) => priority < pod.priority).sort(moreImportant)
  if (lesser.length === 0) return nobody
  for (const each of lesser) cluster.take(each, node)
  const gone = new Set(lesser)
  try {
    const refusal = fits(node)
    if (refusal) return refusal
    const protectedOnes = budgets.violatedBy(lesser)
    let violations = 0
    for (const each of [...lesser.filter((one) => protectedOnes.has(one)), ...lesser.filter((one) => !protectedOnes.has(one))]) {
      cluster.put(each, node)
      if (!fits(node)) gone.delete(each)
      else {
        cluster.take(each, node)
        if (protectedOnes.has(each)) violations += 1
      }
    }
    return { node, victims: lesser.filter((each) => gone.has(each)), violations }
  } finally {
    for (const each of gone) cluster.put(each, node)
  }
}

/** Of pods of one priority the one that has run longer is the more important. */
const moreImportant = (a: PodInfo, b: PodInfo): number => b.priority - a.priority || startOf(a) - startOf(b)

/** Milliseconds; what has not started yet is the youngest. */
const startOf = ({ pod }: PodInfo): number => Date.parse(pod.status?.startTime ?? '') || Number.MAX_SAFE_INTEGER

/** Where the least is lost. */
export function leastLoss(candidates: readonly Candidate[]): Candidate | undefined {
  let best: { candidate: Candidate; loss: number[] } | undefined
  for (const candidate of candidates) {
    const loss = lossOf(candidate)
    if (!best || less(loss, best.loss)) best = { candidate, loss }
  }
  return best?.candidate
}

/** Priorities from 0 on, so that more pods never are less of a loss. */
const positive = 2 ** 31

/** What is compared, in this order; less is better. */
function lossOf({ victims, violations }: Candidate): number[] {
  const highest = victims[0]?.priority ?? Number.NEGATIVE_INFINITY
  const sum = victims.reduce((total, { priority }) => total + priority + positive, 0)
  let oldest = Number.MAX_SAFE_INTEGER
  for (const each of victims) if (each.priority === highest) oldest = Math.min(oldest, startOf(each))
  return [violations, highest, sum, victims.length, -oldest]
}

function less(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return a[i]! < b[i]!
  return false
}
