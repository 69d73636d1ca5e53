// Who watches a collection, found by what a change can concern: watchers of one name or namespace, of one
// value of a field (the node of a pod), and those who want all. A change costs its own watchers only.

import type { Change } from './change.ts'
import type { Item } from './item.ts'
import type { FieldReader, Watcher } from './watcher.ts'

export class Watchers {
  readonly #all = new Set<Watcher>()
  /** By what they watch: the collection's own prefix, a namespace's, or a single key. */
  readonly #byPrefix = new Map<string, Set<Watcher>>()
  readonly #byField = new Map<FieldReader, Map<string, Set<Watcher>>>()
  readonly #root: string

  /** `root`: what all keys begin with. */
  constructor(root: string) {
    this.#root = root
  }

  get size(): number {
    return this.#all.size
  }

  [Symbol.iterator](): Iterator<Watcher> {
    return this.#all.values()
  }

  add(watcher: Watcher): void {
    this.#all.add(watcher)
    const { wanted, prefix } = watcher
    if (!wanted) return put(this.#byPrefix, prefix, watcher)
    const byValue = this.#byField.get(wanted.read) ?? new Map<string, Set<Watcher>>()
    this.#byField.set(wanted.read, byValue)
    put(byValue, wanted.value, watcher)
  }

  delete(watcher: Watcher): void {
    this.#all.delete(watcher)
    const { wanted, prefix } = watcher
    if (!wanted) return take(this.#byPrefix, prefix, watcher)
    const byValue = this.#byField.get(wanted.read)
    if (!byValue) return
    take(byValue, wanted.value, watcher)
    if (byValue.size === 0) this.#byField.delete(wanted.read)
  }

  /** Those whom `change` may concern, each once: it is still for them to look closer. */
  *concerned({ item, previous }: Change): Generator<Watcher> {
    const { key } = item
    yield* this.#byPrefix.get(this.#root) ?? []
    const end = key.lastIndexOf('/') + 1
    if (end > this.#root.length) yield* this.#byPrefix.get(key.slice(0, end)) ?? []
    yield* this.#byPrefix.get(key) ?? []
    for (const [read, byValue] of this.#byField) {
      const now = valueOf(read, item)
      yield* byValue.get(now) ?? []
      const before = previous && valueOf(read, previous)
      if (before !== undefined && before !== now) yield* byValue.get(before) ?? []
    }
  }
}

/** An absent field is the empty one, as selectors have it. */
const valueOf = (read: FieldReader, { object }: Item): string => read(object) ?? ''

function put(sets: Map<string, Set<Watcher>>, key: string, watcher: Watcher): void {
  const set = sets.get(key) ?? new Set()
  set.add(watcher)
  sets.set(key, set)
}

function take(sets: Map<string, Set<Watcher>>, key: string, watcher: Watcher): void {
  const set = sets.get(key)
  set?.delete(watcher)
  if (set?.size === 0) sets.delete(key)
}
