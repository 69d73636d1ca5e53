// Pods that have been promised a node: they made room there by preemption and wait until it is free. Others
// that are not more important leave them that room.

import type { PodInfo } from './pod-info.ts'

const none: readonly PodInfo[] = []

export class Nominations {
  readonly #byNode = new Map<string, Map<string, PodInfo>>()
  readonly #nodeOf = new Map<string, string>()

  set(pod: PodInfo, nodeName: string): void {
    this.delete(pod.uid)
    this.#nodeOf.set(pod.uid, nodeName)
    const found = this.#byNode.get(nodeName)
    if (found) found.set(pod.uid, pod)
    else this.#byNode.set(nodeName, new Map([[pod.uid, pod]]))
  }

  delete(uid: string): void {
    const nodeName = this.#nodeOf.get(uid)
    if (nodeName === undefined) return
    this.#nodeOf.delete(uid)
    const there = this.#byNode.get(nodeName)
    there?.delete(uid)
    if (there?.size === 0) this.#byNode.delete(nodeName)
  }

  get size(): number {
    return this.#nodeOf.size
  }

  nodeOf(uid: string): string | undefined {
    return this.#nodeOf.get(uid)
  }

  /** Those on this node that `pod` must leave room for. */
  before(pod: PodInfo, nodeName: string): readonly PodInfo[] {
    if (this.#byNode.size === 0) return none
    const there = this.#byNode.get(nodeName)
    return there ? [...there.values()].filter((other) => other.uid !== pod.uid && other.priority >= pod.priority) : none
  }

  /** Those on this node that are less important than `pod`. */
  after(pod: PodInfo, nodeName: string): readonly PodInfo[] {
    const there = this.#byNode.get(nodeName)
    return there ? [...there.values()].filter((other) => other.priority < pod.priority) : none
  }
}
