// Pods that a selection means, counted per topology value: "how many of these are in each zone". It is made
// once, by looking at all pods, and from then on kept up to date as pods and nodes come and go.

import type { Subject } from './affinity-term.ts'
import type { LabelPair } from './buckets.ts'
import type { NodeInfo } from './node-info.ts'
import type { PodInfo } from './pod-info.ts'

export type Selection = {
  /** Equal for selections that mean the same. */
  readonly id: string
  /** A label that each pod meant has, where there is one. */
  readonly pair: LabelPair | undefined
  /** Whether the labels of namespaces bear on it. */
  readonly choosesNamespaces: boolean
  /** Pods on their way out are not counted. */
  readonly livingOnly: boolean
  matches(subject: Subject): boolean
}

/** Which nodes are looked at; `all` is every node with the topology label. */
export type NodeSelection = { readonly id: string; includes(node: NodeInfo): boolean }
export const allNodes: NodeSelection = { id: '', includes: () => true }

export class Tally {
  readonly topologyKey: string
  readonly selection: Selection
  readonly pair: LabelPair | undefined
  readonly #nodes: NodeSelection
  readonly #countsDomains: boolean
  readonly #domains = new Map<string, { nodes: number; pods: number }>()
  /** Domains by how many pods are in them. */
  readonly #levels: number[] = []
  #lowest = 0
  #total = 0

  /** Without `countsDomains` only domains with pods are known, and there is no `least`: enough for who asks how many are in one. */
  constructor(selection: Selection, topologyKey: string, nodes: NodeSelection, countsDomains: boolean) {
    this.#countsDomains = countsDomains
    this.selection = selection
    this.topologyKey = topologyKey
    this.pair = selection.pair
    this.#nodes = nodes
  }

  /** Topology values that there are. */
  get domains(): number {
    return this.#domains.size
  }

  /** Pods in all of them. */
  get total(): number {
    return this.#total
  }

  /** The fewest pods in any domain; 0 where there is none. */
  get least(): number {
    if (this.#domains.size === 0) return 0
    while (!this.#levels[this.#lowest]) this.#lowest += 1
    return this.#lowest
  }

  /** Pods in the domain of this value. */
  in(value: string): number {
    return this.#domains.get(value)?.pods ?? 0
  }

  /** A node comes, or goes (`sign`), with what runs on it. Before and after it the node must look the same. */
  node(node: NodeInfo, sign: 1 | -1): void {
    const value = this.#valueOf(node)
    if (value === undefined) return
    let pods = 0
    for (const pod of node.pods.values()) if (this.#means(pod)) pods += 1
    this.#change(value, sign, pods * sign)
  }

  /** A node that runs nothing comes, or goes. */
  domain(node: NodeInfo, sign: 1 | -1): void {
    const value = this.#countsDomains ? this.#valueOf(node) : undefined
    if (value !== undefined) this.#change(value, sign, 0)
  }

  /** A pod that may be meant comes onto the node, or leaves it. */
  pod(pod: PodInfo, node: NodeInfo, sign: 1 | -1): void {
    if (!this.#means(pod)) return
    const value = this.#valueOf(node)
    if (value !== undefined) this.#change(value, 0, sign)
  }

  #means(pod: PodInfo): boolean {
    return !(this.selection.livingOnly && pod.pod.metadata.deletionTimestamp) && this.selection.matches(pod)
  }

  #valueOf(node: NodeInfo): string | undefined {
    const value = node.isKnown ? node.labels[this.topologyKey] : undefined
    return value !== undefined && this.#nodes.includes(node) ? value : undefined
  }

  #change(value: string, nodes: number, pods: number): void {
    const domain = this.#domains.get(value)
    const before = domain?.pods ?? 0
    const after = before + pods
    const nodesAfter = (domain?.nodes ?? 0) + nodes
    this.#total += pods
    if (this.#countsDomains) this.#move(domain && before, nodesAfter > 0 ? after : undefined)
    if (this.#countsDomains ? nodesAfter === 0 : after === 0) this.#domains.delete(value)
    else if (domain) {
      domain.nodes = nodesAfter
      domain.pods = after
    } else this.#domains.set(value, { nodes: nodesAfter, pods: after })
  }

  /** A domain with so many pods has so many now; undefined: there is none. */
  #move(before: number | undefined, after: number | undefined): void {
    if (before !== undefined) this.#levels[before]! -= 1
    if (after === undefined) return
    this.#levels[after] = (this.#levels[after] ?? 0) + 1
    if (after < this.#lowest) this.#lowest = after
  }
}
