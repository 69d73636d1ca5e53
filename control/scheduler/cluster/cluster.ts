// What the scheduler knows: nodes, what runs on them, and what it has just placed there itself. A placed
// pod counts from the decision on, so that a burst of pods does not overcommit a node while their
// bindings are still on the way. Everything that plugins ask about more than one node is counted here as
// pods and nodes come and go, so what they read is always of now.

import { same } from '#api/kinds/rules/faults.ts'
import { isReady, isTerminal } from '#api/pods.ts'
import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import type { AffinityTerm, Namespaces } from './affinity-term.ts'
import type { LabelPair } from './buckets.ts'
import { NodeInfo } from './node-info.ts'
import { Nominations } from './nominations.ts'
import { type Placed, PlacedPods } from './placed-pods.ts'
import { PodInfo } from './pod-info.ts'
import { Tallies } from './tallies.ts'
import { TermGroups } from './term-groups.ts'
import { interleaved } from './zones.ts'

type Domains = ReadonlyMap<string | undefined, readonly NodeInfo[]>

export class Cluster {
  readonly namespaces: Namespaces
  readonly nominations = new Nominations()
  readonly tallies: Tallies
  /** What placed pods ask of others: away from me; with me; rather with me, or not (weights). */
  readonly shunning: TermGroups
  readonly inviting: TermGroups
  readonly preferring: TermGroups
  /** By name; with those of which only pods have been heard. */
  readonly #nodes = new Map<string, NodeInfo>()
  readonly #placed = new PlacedPods()
  readonly #assumed = new Set<string>()
  /** Nodes that have an image. */
  readonly #imageNodes = new Map<string, number>()
  #softTainted = 0
  #order: readonly NodeInfo[] | undefined
  readonly #domains = new Map<string, Domains>()

  constructor(namespaces: Namespaces) {
    this.namespaces = namespaces
    this.tallies = new Tallies({ nodes: () => this.#nodes.values(), pods: (pair) => this.#placed.having(pair) })
    this.shunning = new TermGroups(namespaces)
    this.inviting = new TermGroups(namespaces)
    this.preferring = new TermGroups(namespaces)
  }

  /** In the order in which they are looked at: zone by turns. */
  get nodes(): readonly NodeInfo[] {
    this.#order ??= interleaved([...this.#nodes.values()].filter(({ isKnown }) => isKnown))
    return this.#order
  }

  /** The nodes by the value of this label; those that lack it are under undefined. */
  domains(key: string): Domains {
    const found = this.#domains.get(key)
    if (found) return found
    const made = new Map<string | undefined, NodeInfo[]>()
    for (const node of this.nodes) {
      const value = node.labels[key]
      const there = made.get(value)
      if (there) there.push(node)
      else made.set(value, [node])
    }
    this.#domains.set(key, made)
    return made
  }

  get softTainted(): boolean {
    return this.#softTainted > 0
  }

  node(name: string): NodeInfo | undefined {
    const found = this.#nodes.get(name)
    return found?.isKnown ? found : undefined
  }

  /** Pods that have a node, or are about to, and have this label. */
  placedWith(pair: LabelPair): Iterable<Placed> {
    return this.#placed.having(pair)
  }

  nodesWithImage(name: string): number {
    return this.#imageNodes.get(name) ?? 0
  }

  setNode(node: Node): NodeInfo {
    const info = this.#nodeOf(node.metadata.name)
    const { node: before, isKnown } = info
    // What heartbeats bring bears on nothing that is counted over several nodes.
    const alike =
      isKnown && same(before.metadata.labels, node.metadata.labels) && same(before.spec, node.spec) && isReady(before) === isReady(node)
    if (!alike) {
      this.#index(info, -1)
      this.#reorder()
    }
    this.#leave(info)
    info.become(node)
    for (const image of info.images.keys()) this.#imageNodes.set(image, this.nodesWithImage(image) + 1)
    if (info.softTaints.length) this.#softTainted += 1
    if (!alike) this.#index(info, 1)
    return info
  }

  removeNode(name: string): void {
    const info = this.node(name)
    if (!info) return
    this.#index(info, -1)
    this.#leave(info)
    info.leave()
    this.#reorder()
    if (info.pods.size === 0) this.#nodes.delete(name)
  }

  /** A pod as the server has it, bound to a node. Returns how it counted, and how it counts: at its end not at all. */
  setPod(pod: Pod): { before: PodInfo | undefined; after: PodInfo | undefined } {
    const { uid } = pod.metadata
    const before = this.#placed.get(uid)?.info
    this.#assumed.delete(uid)
    this.nominations.delete(uid)
    this.#unplace(uid)
    const after = isTerminal(pod) ? undefined : new PodInfo(pod)
    if (after) this.#place(after, pod.spec.nodeName ?? '')
    return { before, after }
  }

  /** Returns how it counted. */
  removePod(uid: string): PodInfo | undefined {
    const before = this.#placed.get(uid)?.info
    this.#assumed.delete(uid)
    this.nominations.delete(uid)
    this.#unplace(uid)
    return before
  }

  /** Counts the pod on the node before the server knows; `forget` if the binding fails. */
  assume(pod: PodInfo, nodeName: string): void {
    this.#unplace(pod.uid)
    this.#place(pod, nodeName)
    this.#assumed.add(pod.uid)
  }

  forget(uid: string): void {
    if (this.#assumed.delete(uid)) this.#unplace(uid)
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid)
  }

  /** What would be if these were on the node: all is as it was once `look` returns. */
  with<T>(node: NodeInfo, pods: readonly PodInfo[], look: () => T): T {
    for (const pod of pods) this.put(pod, node)
    try {
      return look()
    } finally {
      for (const pod of pods) this.take(pod, node)
    }
  }

  /** Trials, for preemption: whoever takes a pod away puts it back in the same turn. */
  take(pod: PodInfo, node: NodeInfo): void {
    this.#count(pod, node, -1)
    node.remove(pod)
  }

  put(pod: PodInfo, node: NodeInfo): void {
    node.add(pod)
    this.#count(pod, node, 1)
  }

  #reorder(): void {
    this.#order = undefined
    this.#domains.clear()
  }

  #nodeOf(name: string): NodeInfo {
    const found = this.#nodes.get(name)
    if (found) return found
    const made = new NodeInfo(name)
    this.#nodes.set(name, made)
    return made
  }

  #leave(info: NodeInfo): void {
    for (const image of info.images.keys()) {
      const left = this.nodesWithImage(image) - 1
      if (left > 0) this.#imageNodes.set(image, left)
      else this.#imageNodes.delete(image)
    }
    if (info.softTaints.length) this.#softTainted -= 1
  }

  /** A node comes or goes, with what its pods ask of others. */
  #index(node: NodeInfo, sign: 1 | -1): void {
    if (!node.isKnown) return
    this.tallies.node(node, sign)
    for (const pod of node.pods.values()) this.#terms(pod, node, sign)
  }

  #place(info: PodInfo, nodeName: string): void {
    const node = this.#nodeOf(nodeName)
    this.#placed.add({ info, node })
    this.put(info, node)
  }

  #unplace(uid: string): void {
    const placed = this.#placed.get(uid)
    if (!placed) return
    this.#placed.delete(placed)
    const { info, node } = placed
    this.take(info, node)
    if (node.pods.size === 0 && !node.isKnown) this.#nodes.delete(node.name)
  }

  #count(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    if (!node.isKnown) return
    this.tallies.pod(pod, node, sign)
    this.#terms(pod, node, sign)
  }

  #terms(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    const each = (groups: TermGroups, terms: readonly AffinityTerm[]) => {
      for (const term of terms) groups.add(term, node, 1, sign)
    }
    each(this.shunning, pod.antiAffinity)
    each(this.inviting, pod.affinity)
    for (const { term, weight } of pod.preferred) this.preferring.add(term, node, weight, sign)
  }
}
