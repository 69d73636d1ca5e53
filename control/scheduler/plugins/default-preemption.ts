// A pod that fits nowhere drives less important ones from the node where the least is lost, and is promised the room.

import { PodDisruptionBudget } from '#api/kinds/index.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Filter, Handle, NodeRefusal, Plugin, PostFiltered, Refusal } from '../framework/plugin.ts'
import { refusalText } from '../framework/refusal-text.ts'
import { budgetsOf } from '../preemption/budgets.ts'
import { evict, preempted, withdrawPromise } from '../preemption/evict.ts'
import { type Candidate, leastLoss, victimsOn } from '../preemption/victims.ts'

export type DefaultPreemptionArgs = {
  /** Nodes on which it could be done among which one is chosen: a share of all, and at the least so many. */
  minCandidateNodesPercentage?: number
  minCandidateNodesAbsolute?: number
}

const unhelpful: Refusal = { reasons: ['Preemption is not helpful for scheduling'] }

export function defaultPreemption(
  handle: Handle,
  { minCandidateNodesPercentage = 10, minCandidateNodesAbsolute = 100 }: DefaultPreemptionArgs = {},
): Plugin {
  const { cluster, client, informers, random } = handle
  const budgets = budgetsOf(informers.of(PodDisruptionBudget))

  /** Victims are on their way out already, or there are to be none. */
  function unfit(pod: PodInfo, refused: readonly NodeRefusal[]): string | undefined {
    if (pod.pod.spec.preemptionPolicy === 'Never') return 'not eligible due to preemptionPolicy=Never.'
    const promised = cluster.nominations.nodeOf(pod.uid)
    const found = promised === undefined ? undefined : refused.find(({ node }) => node.name === promised)
    if (!found || found.refusal.unresolvable) return undefined
    const leaving = [...found.node.pods.values()].some((other) => other.priority < pod.priority && isLeaving(other))
    return leaving ? 'not eligible due to a terminating pod on the nominated node.' : undefined
  }

  function search(pod: PodInfo, refused: readonly NodeRefusal[], fits: Filter): Candidate[] | NodeRefusal[] {
    const helpful = refused.filter(({ refusal }) => !refusal.unresolvable)
    const wanted = Math.max(minCandidateNodesAbsolute, Math.floor((helpful.length * minCandidateNodesPercentage) / 100))
    const start = Math.floor(random() * helpful.length)
    const candidates: Candidate[] = []
    const hopeless: NodeRefusal[] = []
    let harmless = false
    for (let i = 0; i < helpful.length && !(harmless && candidates.length >= wanted); i += 1) {
      const { node } = helpful[(start + i) % helpful.length]!
      const found = victimsOn(pod, node, fits, { cluster, budgets })
      if ('reasons' in found) hopeless.push({ node, refusal: found })
      else {
        candidates.push(found)
        harmless ||= found.violations === 0
      }
    }
    return candidates.length ? candidates : hopeless
  }

  return {
    name: 'DefaultPreemption',
    postFilter(pod, refused, fits): PostFiltered {
      const reason = unfit(pod, refused)
      if (reason) return { message: `preemption: ${reason}` }
      const found = search(pod, refused, fits)
      const best = leastLoss(found.filter((each): each is Candidate => 'victims' in each))
      if (!best) {
        const count = cluster.nodes.length
        const hopeless = found.filter((each): each is NodeRefusal => 'refusal' in each)
        const rest = { reason: unhelpful.reasons[0]!, count: count - hopeless.length }
        return { message: `preemption: ${refusalText(count, { refused: hopeless, rest })}`, nominated: '' }
      }
      return promise(pod, best)
    },
  }

  function promise(pod: PodInfo, { node, victims }: { node: NodeInfo; victims: readonly PodInfo[] }): PostFiltered {
    return {
      message: '',
      nominated: node.name,
      async act(signal) {
        const losers = cluster.nominations.after(pod, node.name)
        for (const loser of losers) cluster.nominations.delete(loser.uid)
        await evict(victims, pod, node.name, handle, signal)
        for (const loser of losers) await withdrawPromise(loser, client, signal)
      },
    }
  }
}

const isLeaving = ({ pod }: PodInfo): boolean =>
  pod.metadata.deletionTimestamp !== undefined &&
  pod.status?.conditions?.some(({ type, reason }) => type === 'DisruptionTarget' && reason === preempted) === true
