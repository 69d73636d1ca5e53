// Why a pod fits nowhere, in kube-scheduler's words: what FailedScheduling and the pod's condition say.

import type { NodeRefusal, Refusal } from './plugin.ts'

type Found = {
  refused: readonly NodeRefusal[]
  /** Holds for every node. */
  everywhere?: Refusal
  /** Nodes that were not asked, and why. */
  rest?: { reason: string; count: number }
}

/** `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` */
export function refusalText(count: number, { refused, everywhere, rest }: Found): string {
  const begin = `0/${count} nodes are available:`
  if (everywhere) return `${begin} ${everywhere.reasons.join(', ')}.`
  const times = new Map<string, number>()
  const tell = (reason: string, more: number) => times.set(reason, (times.get(reason) ?? 0) + more)
  for (const { refusal } of refused) for (const reason of refusal.reasons) tell(reason, 1)
  if (rest && rest.count > 0) tell(rest.reason, rest.count)
  if (times.size === 0) return begin
  return `${begin} ${[...times]
    .map(([reason, n]) => `${n} ${reason}`)
    .sort()
    .join(', ')}.`
}
