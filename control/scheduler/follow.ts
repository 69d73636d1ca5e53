// Hears of nodes, pods and namespaces, and tells the cluster and the queue: what there is, what waits, and what has
// happened that may let something fit.

import type { Informers } from '#api/informer/informers.ts'
import { Namespace, Node, Pod } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { isTerminal } from '#api/pods.ts'
import type { Cluster } from './cluster/cluster.ts'
import { PodInfo } from './cluster/pod-info.ts'
import { nodeEvents, podEvents } from './events.ts'
import type { PodGroups } from './groups/pod-groups.ts'
import type { SchedulingQueue } from './queue/queue.ts'

export type Followed = {
  informers: Informers
  cluster: Cluster
  queue: SchedulingQueue
  groups: PodGroups
  /** Whether one of our profiles is meant. */
  ours: (pod: Pod) => boolean
  /** A pod that waited is gone, or bound. */
  gone: (uid: string) => void
}

/** Returns how to stop hearing. */
export function follow({ informers, cluster, queue, groups, ours, gone }: Followed): () => void {
  const waits = (pod: Pod) => !pod.spec.nodeName && !pod.metadata.deletionTimestamp && !isTerminal(pod) && ours(pod)

  function waiting(pod: Pod): void {
    const info = new PodInfo(pod)
    const nominated = pod.status?.nominatedNodeName
    if (nominated && cluster.nominations.nodeOf(info.uid) === undefined) cluster.nominations.set(info, nominated)
    groups.set(info)
    if (cluster.isAssumed(info.uid)) queue.refresh(info)
    else queue.set(info)
  }

  function placed(pod: Pod, old: Pod | undefined): void {
    const { before, after } = cluster.setPod(pod)
    // What was assumed is news to those that wait.
    const known = old?.spec.nodeName || !after ? before : undefined
    for (const event of podEvents(known, after)) queue.happened(event)
  }

  function heard(pod: Pod, old?: Pod): void {
    if (pod.spec.nodeName) placed(pod, old)
    if (waits(pod)) waiting(pod)
    else leave(pod.metadata.uid)
  }

  function leave(uid: string): void {
    const info = queue.get(uid)
    queue.delete(uid)
    groups.delete(uid)
    gone(uid)
    // The room that it was promised is free.
    if (info && cluster.nominations.nodeOf(uid) !== undefined) {
      cluster.nominations.delete(uid)
      queue.happened({ name: 'pod/delete', pod: info })
    }
  }

  const relabelled = (namespace: string) => {
    cluster.tallies.forgetNamespaces()
    queue.happened({ name: 'namespace/labels', namespace })
  }

  const undo = [
    informers.of(Node).on({
      add(node) {
        queue.happened({ name: 'node/add', node: cluster.setNode(node) })
      },
      update(node, before) {
        const info = cluster.setNode(node)
        for (const event of nodeEvents(info, before)) queue.happened(event)
      },
      delete(node) {
        cluster.removeNode(node.metadata.name)
        queue.happened({ name: 'node/delete', node })
      },
    }),
    informers.of(Namespace).on({
      add: ({ metadata }) => relabelled(metadata.name),
      update: ({ metadata }, old) => {
        if (!same(metadata.labels, old.metadata.labels)) relabelled(metadata.name)
      },
      delete: ({ metadata }) => relabelled(metadata.name),
    }),
    informers.of(Pod).on({
      add: (pod) => heard(pod),
      update: (pod, old) => heard(pod, old),
      delete(pod) {
        leave(pod.metadata.uid)
        const info = cluster.removePod(pod.metadata.uid)
        if (info) queue.happened({ name: 'pod/delete', pod: info })
      },
    }),
  ]
  return () => {
    for (const off of undo) off()
  }
}
