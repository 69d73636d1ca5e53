// Pods that have a node, by uid, and by each of their labels: who seeks those with a label need not look at all.

import { type LabelPair, tag } from './buckets.ts'
import type { NodeInfo } from './node-info.ts'
import type { PodInfo } from './pod-info.ts'

export type Placed = { readonly info: PodInfo; readonly node: NodeInfo }

const none: ReadonlySet<Placed> = new Set()

export class PlacedPods {
  readonly #byUid = new Map<string, Placed>()
  readonly #byLabel = new Map<string, Set<Placed>>()

  get(uid: string): Placed | undefined {
    return this.#byUid.get(uid)
  }

  add(placed: Placed): void {
    const { uid, labels } = placed.info
    this.#byUid.set(uid, placed)
    for (const key in labels) {
      const label = tag(key, labels[key]!)
      const found = this.#byLabel.get(label)
      if (found) found.add(placed)
      else this.#byLabel.set(label, new Set([placed]))
    }
  }

  delete(placed: Placed): void {
    const { uid, labels } = placed.info
    this.#byUid.delete(uid)
    for (const key in labels) {
      const label = tag(key, labels[key]!)
      const found = this.#byLabel.get(label)
      found?.delete(placed)
      if (found?.size === 0) this.#byLabel.delete(label)
    }
  }

  /** Those with this label; without one all. */
  having(pair: LabelPair | undefined): Iterable<Placed> {
    return pair ? (this.#byLabel.get(tag(pair.key, pair.value)) ?? none) : this.#byUid.values()
  }
}
