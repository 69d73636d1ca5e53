// What to do next about a DaemonSet's pods: a pod to every node that should have one, none to those that should not,
// and, in a rolling update, new ones for old ones.
//
// An update first replaces what is of no use: old pods that are not ready, so that a mistake is mended before more is
// touched. Of those that are, it takes as many as may be unavailable (or puts up as many beside them as may be too
// many). Only nodes that live count: one that does not answer holds nothing up. An old pod that is ready, and not yet
// for long enough, is waited for.

import { isTerminal } from '#api/pods.ts'
import type { DaemonSet } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { scaled } from '../deployment/limits.ts'
import type { Verdict } from './place.ts'

export type NodeSight = {
  name: string
  verdict: Verdict
  /** Whether the node answers. */
  alive: boolean
  /** The set's pods that are there or meant for it, in any state. */
  pods: readonly Pod[]
}

export type Sight = {
  set: DaemonSet
  /** Sorted by name. */
  nodes: readonly NodeSight[]
  /** Pods meant for nodes that are not there any more. */
  lost: readonly Pod[]
  isUpdated: (pod: Pod) => boolean
  /** Milliseconds until a pod is available: 0 once it is; Infinity while it is not ready. */
  wait: (pod: Pod) => number
  /** Milliseconds until a pod that came to its end may be made again. */
  heldBack: (pod: Pod, node: string) => number
}

export type Doomed = { pod: Pod; why: 'lost' | 'unwanted' | 'surplus' | 'failed' | 'succeeded' | 'update'; node: string }

export type Plan = {
  /** Names of nodes. */
  create: string[]
  remove: Doomed[]
  /** Milliseconds until the mere passing of time makes another plan. */
  recheck?: number
}

export function planDaemons(sight: Sight): Plan {
  const create = new Set<string>()
  const remove = new Map<Pod, Doomed>()
  const waits: number[] = []
  const doom = (pod: Pod, node: string, why: Doomed['why']) => remove.set(pod, { pod, why, node })
  for (const pod of sight.lost) if (!pod.metadata.deletionTimestamp) doom(pod, '', 'lost')

  for (const { name, verdict, pods } of sight.nodes) {
    if (verdict.run && pods.length === 0) create.add(name)
    for (const pod of pods) {
      if (pod.metadata.deletionTimestamp) continue
      if (!verdict.keep) doom(pod, name, 'unwanted')
      else if (isTerminal(pod)) {
        const ms = sight.heldBack(pod, name)
        if (ms > 0) waits.push(ms)
        else doom(pod, name, pod.status.phase === 'Failed' ? 'failed' : 'succeeded')
      } else {
        const ms = sight.wait(pod)
        if (ms > 0 && Number.isFinite(ms)) waits.push(ms)
      }
    }
    if (verdict.keep) for (const pod of surplus(sight, pods)) doom(pod, name, 'surplus')
  }
  if (sight.set.spec.updateStrategy?.type !== 'OnDelete') {
    const staying = sight.nodes.map((node) => ({ ...node, active: node.pods.filter((pod) => isActive(pod) && !remove.has(pod)) }))
    update(sight, staying, { doom, create })
  }
  return { create: [...create], remove: [...remove.values()], ...(waits.length && { recheck: Math.min(...waits) }) }
}

type Staying = NodeSight & { active: Pod[] }
type Orders = { doom: (pod: Pod, node: string, why: Doomed['why']) => void; create: Set<string> }

function update({ set, isUpdated, wait }: Sight, nodes: readonly Staying[], { doom, create }: Orders): void {
  const limits = limitsOf(set, nodes.filter(({ verdict }) => verdict.run).length)
  /** Nodes that use up what may be missing, or too many. */
  let used = 0
  const candidates: { node: Staying; old: Pod }[] = []
  for (const node of nodes) {
    const { verdict, alive, active } = node
    const fresh = active.find(isUpdated)
    const old = active.find((pod) => !isUpdated(pod))
    const counts = alive && (verdict.run || node.pods.length > 0)
    const isNew = fresh !== undefined && wait(fresh) === 0
    const isUseless = old && wait(old) === Number.POSITIVE_INFINITY
    // A new pod would not come: what is old here is not waited for.
    if (old && !verdict.run) doom(old, node.name, 'update')
    else if (limits.surge) {
      if (old && isNew) doom(old, node.name, 'update')
      else if (old && fresh) used += Number(counts)
      else if (isUseless) create.add(node.name)
      else if (old) candidates.push({ node, old })
    } else if (old && !fresh && wait(old) === 0) candidates.push({ node, old })
    else if (!isNew) {
      used += Number(counts)
      if (old && !fresh && isUseless) doom(old, node.name, 'update')
    }
  }
  const most = limits.surge || limits.unavailable
  for (const { node, old } of candidates.filter(({ node }) => node.alive).slice(0, Math.max(0, most - used))) {
    if (limits.surge) create.add(node.name)
    else doom(old, node.name, 'update')
  }
}

/**
 * Those beyond one of a node: the oldest stays, or in an update with surge the oldest of the new and the best of the
 * old, until the new one is available or the old one is not ready.
 */
function surplus({ set, isUpdated, wait }: Sight, pods: readonly Pod[]): Pod[] {
  const active = pods.filter(isActive).sort(oldestFirst)
  if (active.length <= 1) return []
  const isSurging = set.spec.updateStrategy?.type !== 'OnDelete' && limitsOf(set, 1).surge > 0
  const first = (among: Pod[]) => among.find((pod) => wait(pod) === 0) ?? among[0]
  if (!isSurging) return active.filter((pod) => pod !== active[0])
  const fresh = first(active.filter(isUpdated))
  const old = first(active.filter((pod) => !isUpdated(pod)))
  const isDone = fresh && old && (wait(fresh) === 0 || wait(old) === Number.POSITIVE_INFINITY)
  return active.filter((pod) => pod !== fresh && (pod !== old || isDone))
}

/** Both round up. Never are both 0: an update could not move. */
function limitsOf({ spec }: DaemonSet, desired: number): { surge: number; unavailable: number } {
  const { maxSurge, maxUnavailable } = spec.updateStrategy?.rollingUpdate ?? {}
  const surge = scaled(maxSurge ?? 0, desired, Math.ceil)
  const unavailable = scaled(maxUnavailable ?? 1, desired, Math.ceil)
  return surge ? { surge, unavailable: 0 } : { surge, unavailable: Math.max(1, unavailable) }
}

const isActive = (pod: Pod): boolean => !pod.metadata.deletionTimestamp && !isTerminal(pod)

export const oldestFirst = (a: Pod, b: Pod): number =>
  Number(!a.spec.nodeName) - Number(!b.spec.nodeName) ||
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name)
