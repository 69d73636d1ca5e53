// Selectors found by the pods that they may select, without asking each of them: a selector lies under one
// label that it demands, so a pod has to ask only what lies under its own labels.

import type { Selector } from '#api/selector/label.ts'

export type LabelPair = { key: string; value: string }

/** A label that everything selected has. */
export function pairOf(selector: Selector | undefined): LabelPair | undefined {
  for (const { key, operator, values } of selector ?? []) if (operator === 'in' && values.length === 1) return { key, value: values[0]! }
  return undefined
}

export class Buckets<T extends { readonly pair: LabelPair | undefined }> {
  readonly #byPair = new Map<string, Set<T>>()
  /** Those that demand no label. */
  readonly #others = new Set<T>()

  add(item: T): void {
    if (!item.pair) return void this.#others.add(item)
    const key = tag(item.pair.key, item.pair.value)
    const found = this.#byPair.get(key)
    if (found) found.add(item)
    else this.#byPair.set(key, new Set([item]))
  }

  delete(item: T): void {
    if (!item.pair) return void this.#others.delete(item)
    const key = tag(item.pair.key, item.pair.value)
    const found = this.#byPair.get(key)
    found?.delete(item)
    if (found?.size === 0) this.#byPair.delete(key)
  }

  /** All that may select something with these labels, each once. */
  forEach(labels: Readonly<Record<string, string>>, visit: (item: T) => void): void {
    for (const item of this.#others) visit(item)
    if (this.#byPair.size === 0) return
    for (const key in labels) {
      const found = this.#byPair.get(tag(key, labels[key]!))
      if (found) for (const item of found) visit(item)
    }
  }
}

/** One text for one label. */
export const tag = (key: string, value: string): string => `${key}=${value}`
