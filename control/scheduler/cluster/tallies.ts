// The tallies that placements have asked for. Those not asked for the longest go when all of them together
// have too many domains; who asks again pays for looking at all pods once more.

import { Buckets, type LabelPair } from './buckets.ts'
import type { NodeInfo } from './node-info.ts'
import type { Placed } from './placed-pods.ts'
import type { PodInfo } from './pod-info.ts'
import { allNodes, type NodeSelection, type Selection, Tally } from './tally.ts'

/** Of all tallies together: one of a hundred bytes for each host or zone of a workload. */
const mostDomains = 200_000

type Counted = { nodes(): Iterable<NodeInfo>; pods(having: LabelPair | undefined): Iterable<Placed> }

export class Tallies {
  /** Those asked for last stand at the end. */
  readonly #byId = new Map<string, Tally>()
  readonly #buckets = new Buckets<Tally>()
  readonly #counted: Counted
  readonly #most: number

  constructor(counted: Counted, most = mostDomains) {
    this.#counted = counted
    this.#most = most
  }

  get size(): number {
    return this.#byId.size
  }

  /** Stays true while the placement that asked for it goes on, and no longer. */
  of(selection: Selection, topologyKey: string, nodes: NodeSelection = allNodes, countsDomains = false): Tally {
    const id = `${countsDomains} ${topologyKey}\n${selection.id}\n${nodes.id}`
    const found = this.#byId.get(id)
    if (found) {
      this.#byId.delete(id)
      this.#byId.set(id, found)
      return found
    }
    const made = new Tally(selection, topologyKey, nodes, countsDomains)
    if (countsDomains) for (const node of this.#counted.nodes()) made.domain(node, 1)
    for (const { info, node } of this.#counted.pods(made.pair)) if (node.pods.has(info.uid)) made.pod(info, node, 1)
    this.#byId.set(id, made)
    this.#buckets.add(made)
    this.#shrink(made)
    return made
  }

  pod(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    if (!node.isKnown) return
    this.#buckets.forEach(pod.labels, (tally) => tally.pod(pod, node, sign))
  }

  node(node: NodeInfo, sign: 1 | -1): void {
    for (const tally of this.#byId.values()) tally.node(node, sign)
  }

  /** The labels of a namespace have changed. */
  forgetNamespaces(): void {
    for (const [id, tally] of this.#byId) if (tally.selection.choosesNamespaces) this.#drop(id, tally)
  }

  #shrink(kept: Tally): void {
    let domains = 0
    for (const tally of this.#byId.values()) domains += tally.domains + 1
    for (const [id, tally] of this.#byId) {
      if (domains <= this.#most) return
      if (tally === kept) continue
      domains -= tally.domains + 1
      this.#drop(id, tally)
    }
  }

  #drop(id: string, tally: Tally): void {
    this.#byId.delete(id)
    this.#buckets.delete(tally)
  }
}
