// What changed for pods that fit nowhere, told from what was and what is.

import { same } from '#api/kinds/rules/faults.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import type { NodeInfo } from './cluster/node-info.ts'
import type { PodInfo } from './cluster/pod-info.ts'
import type { ClusterEvent } from './framework/plugin.ts'
import { effectiveTaints } from './taints.ts'

/** `node` is as it is now. Heartbeats are no events. */
export function nodeEvents(node: NodeInfo, before: Node): ClusterEvent[] {
  const events: ClusterEvent[] = []
  const after = node.node
  if (!same(after.metadata.labels, before.metadata.labels)) events.push({ name: 'node/labels', node, before })
  if (!same(effectiveTaints(after), effectiveTaints(before))) events.push({ name: 'node/taints', node, before })
  if (!same(after.status?.allocatable, before.status?.allocatable)) events.push({ name: 'node/allocatable', node, before })
  return events
}

/** Of a pod that has a node: how it counted and counts; undefined: it did not, or does no more. */
export function podEvents(before: PodInfo | undefined, after: PodInfo | undefined): ClusterEvent[] {
  if (!after) return before ? [{ name: 'pod/delete', pod: before }] : []
  if (!before) return [{ name: 'pod/add', pod: after }]
  const events: ClusterEvent[] = []
  if (!same(after.labels, before.labels)) events.push({ name: 'pod/labels', pod: after, before })
  if (after.pod.metadata.deletionTimestamp && !before.pod.metadata.deletionTimestamp) events.push({ name: 'pod/leaving', pod: after })
  if (before.wanted.some(([name, amount]) => amount > (after.requests.get(name) ?? 0))) events.push({ name: 'pod/scale-down', pod: after })
  return events
}
