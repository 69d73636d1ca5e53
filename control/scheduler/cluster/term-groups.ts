// The terms of placed pods (what they ask of those who come after them), those that mean the same as one,
// counted per topology value as pods come and go.

import type { AffinityTerm, Namespaces, Subject } from './affinity-term.ts'
import { Buckets, type LabelPair } from './buckets.ts'
import type { NodeInfo } from './node-info.ts'

export class TermGroup {
  readonly term: AffinityTerm
  readonly pair: LabelPair | undefined
  /** Pods that ask it, or their weights, by topology value. */
  readonly amounts = new Map<string, number>()
  /** Pods that ask it, on nodes with that label or not. */
  pods = 0

  constructor(term: AffinityTerm) {
    this.term = term
    this.pair = term.pair
  }

  add(node: NodeInfo, amount: number): void {
    const value = node.labels[this.term.topologyKey]
    if (value === undefined) return
    const sum = (this.amounts.get(value) ?? 0) + amount
    if (sum === 0) this.amounts.delete(value)
    else this.amounts.set(value, sum)
  }
}

export class TermGroups {
  readonly #groups = new Map<string, TermGroup>()
  readonly #buckets = new Buckets<TermGroup>()
  readonly #namespaces: Namespaces
  /** Counts the groups that came and went: as long as it stands still, what `meaning` found is what there is. */
  version = 0

  constructor(namespaces: Namespaces) {
    this.#namespaces = namespaces
  }

  /** A pod that asks it comes onto the node, or goes (`sign`). */
  add(term: AffinityTerm, node: NodeInfo, amount: number, sign: 1 | -1): void {
    let group = this.#groups.get(term.id)
    if (!group) {
      group = new TermGroup(term)
      this.#groups.set(term.id, group)
      this.#buckets.add(group)
      this.version += 1
    }
    group.pods += sign
    group.add(node, amount * sign)
    if (group.pods > 0) return
    this.#groups.delete(term.id)
    this.#buckets.delete(group)
    this.version += 1
  }

  /** The groups whose terms mean this pod. */
  meaning(subject: Subject): TermGroup[] {
    const found: TermGroup[] = []
    if (this.#groups.size === 0) return found
    this.#buckets.forEach(subject.labels, (group) => {
      if (group.term.matches(subject, this.#namespaces)) found.push(group)
    })
    return found
  }
}
