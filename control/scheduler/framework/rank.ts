// Which of the nodes that fit is the best home: every score is brought to 0..100 over the candidates, weighed
// and summed up.

import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Plugin, Score } from './plugin.ts'

/** One of the best, by chance. */
export function best(
  pod: PodInfo,
  candidates: readonly NodeInfo[],
  scores: readonly { plugin: Plugin; weight: number }[],
  random: () => number,
): NodeInfo {
  const totals = totalsOf(pod, candidates, scores)
  let most = Number.NEGATIVE_INFINITY
  let ties = 0
  for (const total of totals) {
    if (total > most) {
      most = total
      ties = 1
    } else if (total === most) ties += 1
  }
  let left = Math.floor(random() * ties)
  let chosen = totals.indexOf(most)
  for (; left > 0; left -= 1) chosen = totals.indexOf(most, chosen + 1)
  return candidates[chosen]!
}

export function totalsOf(
  pod: PodInfo,
  candidates: readonly NodeInfo[],
  scores: readonly { plugin: Plugin; weight: number }[],
): Float64Array {
  const totals = new Float64Array(candidates.length)
  const values = new Float64Array(candidates.length)
  for (const { plugin, weight } of scores) {
    const score = plugin.preScore?.(pod, candidates)
    if (!score) continue
    for (let i = 0; i < candidates.length; i += 1) values[i] = score.of(candidates[i]!)
    normalize(score, values, candidates)
    for (let i = 0; i < candidates.length; i += 1) totals[i]! += weight * values[i]!
  }
  return totals
}

function normalize({ normalize: way }: Score, values: Float64Array, candidates: readonly NodeInfo[]): void {
  if (way === undefined) return
  if (typeof way === 'function') return way(values, candidates)
  let highest = 0
  for (const value of values) if (value > highest) highest = value
  for (let i = 0; i < values.length; i += 1) {
    const share = highest === 0 ? 0 : Math.floor((values[i]! * 100) / highest)
    values[i] = way === 'highest' ? share : 100 - share
  }
}
