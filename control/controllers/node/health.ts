// What a node's silence or its own report makes of its conditions and taints. Pure.

import { timestamp } from '#api/clock.ts'
import type { Node, NodeCondition, Taint } from '#api/types/core-v1.gen.ts'
import { notReadyTaint, unreachableTaint, unschedulableTaint } from '../../scheduler/taints.ts'
import { canonical } from '../template.ts'

/** Conditions that only the node itself can know. */
const reported = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const

const pressureTaints: Record<string, string> = {
  MemoryPressure: 'node.kubernetes.io/memory-pressure',
  DiskPressure: 'node.kubernetes.io/disk-pressure',
  PIDPressure: 'node.kubernetes.io/pid-pressure',
  NetworkUnavailable: 'node.kubernetes.io/network-unavailable',
}
const ours = new Set([notReadyTaint, unreachableTaint, unschedulableTaint, ...Object.values(pressureTaints)])

export const readiness = (node: Node): 'True' | 'False' | 'Unknown' | undefined =>
  node.status?.conditions?.find(({ type }) => type === 'Ready')?.status

/** The conditions of a node not heard of for too long; undefined where they say so already. */
export function unknownConditions(node: Node, now: number): NodeCondition[] | undefined {
  const conditions = node.status?.conditions ?? []
  if (readiness(node) === 'Unknown') return undefined
  const unheard = reported.map((type): NodeCondition => {
    const known = conditions.find((condition) => condition.type === type)
    if (known?.status === 'Unknown') return known
    return {
      type,
      status: 'Unknown',
      reason: known ? 'NodeStatusUnknown' : 'NodeStatusNeverUpdated',
      message: known ? 'Kubelet stopped posting node status.' : 'Kubelet never posted node status.',
      ...(known?.lastHeartbeatTime && { lastHeartbeatTime: known.lastHeartbeatTime }),
      lastTransitionTime: timestamp(now),
    }
  })
  return [...conditions.filter(({ type }) => !reported.some((each) => each === type)), ...unheard]
}

/**
 * The taints that the node's conditions call for, beside those that others put there; undefined where
 * they are right. `evicting` false: schedule nothing there, but let stay what runs (when no node is
 * heard of, the fault is more likely ours than theirs).
 */
export function taintsFor(node: Node, evicting: boolean, now: number): Taint[] | undefined {
  const present = node.spec.taints ?? []
  const wanted: Taint[] = []
  const ready = readiness(node)
  const key = ready === 'Unknown' ? unreachableTaint : notReadyTaint
  if (ready !== 'True') wanted.push({ key, effect: 'NoSchedule' })
  if ((ready === 'False' || ready === 'Unknown') && evicting) wanted.push({ key, effect: 'NoExecute' })
  if (node.spec.unschedulable) wanted.push({ key: unschedulableTaint, effect: 'NoSchedule' })
  for (const { type, status } of node.status?.conditions ?? []) {
    const pressure = pressureTaints[type]
    if (pressure && status === 'True') wanted.push({ key: pressure, effect: 'NoSchedule' })
  }
  const next = [
    ...present.filter((taint) => !ours.has(taint.key)),
    ...wanted.map(
      (taint) => present.find(({ key, effect }) => key === taint.key && effect === taint.effect) ?? { ...taint, timeAdded: timestamp(now) },
    ),
  ]
  return canonical(sorted(next)) === canonical(sorted(present)) ? undefined : next
}

const sorted = (taints: readonly Taint[]) => taints.toSorted((a, b) => `${a.key}${a.effect}`.localeCompare(`${b.key}${b.effect}`))
