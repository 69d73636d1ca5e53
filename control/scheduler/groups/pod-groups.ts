// Pod groups: pods of which so many are wanted together, or none. Which group a pod is of, and how many of it are wanted
// at the least, its labels say, as people know them from coscheduling.

import type { Cluster } from '../cluster/cluster.ts'
import type { PodInfo } from '../cluster/pod-info.ts'

const nameLabel = 'pod-group.scheduling.sigs.k8s.io/name'
const leastLabel = 'pod-group.scheduling.sigs.k8s.io/min-available'

export type PodGroup = { namespace: string; name: string; least: number }

/** undefined: the pod is on its own. */
export function groupOf({ namespace, labels }: PodInfo): PodGroup | undefined {
  const name = labels[nameLabel]
  const least = Number(labels[leastLabel])
  return name && Number.isInteger(least) && least > 1 ? { namespace, name, least } : undefined
}

const keyOf = ({ namespace, name }: PodGroup): string => `${namespace}/${name}`

/** Those that wait for a node, by group. */
export class PodGroups {
  readonly #members = new Map<string, Set<string>>()
  readonly #keys = new Map<string, string>()

  set(pod: PodInfo): void {
    const group = groupOf(pod)
    const key = group && keyOf(group)
    if (this.#keys.get(pod.uid) === key) return
    this.delete(pod.uid)
    if (key === undefined) return
    this.#keys.set(pod.uid, key)
    const members = this.#members.get(key)
    if (members) members.add(pod.uid)
    else this.#members.set(key, new Set([pod.uid]))
  }

  delete(uid: string): void {
    const key = this.#keys.get(uid)
    if (key === undefined) return
    this.#keys.delete(uid)
    const members = this.#members.get(key)
    members?.delete(uid)
    if (members?.size === 0) this.#members.delete(key)
  }

  /** Uids, the one that came first first. */
  waiting(group: PodGroup): string[] {
    return [...(this.#members.get(keyOf(group)) ?? [])]
  }
}

/** Of those that have a node, or are about to. */
export function placedOf({ namespace, name }: PodGroup, cluster: Cluster): number {
  let count = 0
  for (const { info } of cluster.placedWith({ key: nameLabel, value: name })) if (info.namespace === namespace) count += 1
  return count
}
