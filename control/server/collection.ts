// The current objects of one resource, in key order, the changes that led there, and those who watch
// them. Filled by the watch cache only.

import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { Change } from './change.ts'
import type { Item } from './item.ts'
import { Rounds } from './rounds.ts'
import { Watcher } from './watcher.ts'

/** Changes kept for watches that resume; older ones come from the store. */
const historyLength = 4096

export class Collection {
  readonly #items = new Map<string, Item>()
  /** Sorted. */
  #keys: string[] = []
  #history: Change[] = []
  /** Every change above this revision is in the history. */
  #since: number
  readonly #watchers = new Set<Watcher>()
  readonly #rounds: Rounds
  readonly #now: () => number
  readonly #log: Log

  /** `revision`: of the items; `now`: up to which changes have been applied. */
  constructor({ items, revision, now, clock, log }: { items: Item[]; revision: number; now: () => number; clock: Clock; log: Log }) {
    for (const item of items) this.#items.set(item.key, item)
    this.#keys = items.map((item) => item.key)
    this.#since = revision
    this.#now = now
    this.#rounds = new Rounds({
      clock,
      tell: () => {
        for (const watcher of this.#watchers) watcher.tell()
      },
    })
    this.#log = log
  }

  get size(): number {
    return this.#items.size
  }

  get watchers(): number {
    return this.#watchers.size
  }

  get(key: string): Item | undefined {
    return this.#items.get(key)
  }

  /** Under `prefix`, behind `after` if given, in key order. */
  *under(prefix: string, after?: string): Generator<Item> {
    let at = this.#firstAtLeast(after !== undefined && after > prefix ? after : prefix)
    if (after !== undefined && this.#keys[at] === after) at += 1
    for (; at < this.#keys.length; at += 1) {
      const key = this.#keys[at] as string
      if (!key.startsWith(prefix)) return
      yield this.#items.get(key) as Item
    }
  }

  apply(change: Change): void {
    const { key } = change.item
    if (change.type === 'DELETED') {
      this.#items.delete(key)
      const at = this.#firstAtLeast(key)
      if (this.#keys[at] === key) this.#keys.splice(at, 1)
    } else {
      if (!this.#items.has(key)) this.#keys.splice(this.#firstAtLeast(key), 0, key)
      this.#items.set(key, change.item)
    }
    this.#history.push(change)
    if (this.#history.length >= 2 * historyLength) {
      const dropped = this.#history.splice(0, this.#history.length - historyLength)
      this.#since = dropped.at(-1)?.revision ?? this.#since
    }
    for (const watcher of this.#watchers) {
      if (!watcher.publish(change)) this.#log.warn({ prefix: watcher.prefix }, 'a watch was cut off: its reader is too slow')
    }
    if (this.#watchers.size > 0) this.#rounds.due(this.#watchers.size)
  }

  /** Whether every change above `revision` is at hand. */
  reaches(revision: number): boolean {
    return revision >= this.#since
  }

  /** Changes under `prefix` above `revision`, then live ones; the caller closes it. */
  watch(prefix: string, revision: number): Watcher {
    const watcher = new Watcher(prefix, { revision: this.#now, onClose: (w) => this.#watchers.delete(w) })
    const start = this.#history.findLastIndex((change) => change.revision <= revision) + 1
    for (const change of this.#history.slice(start)) watcher.publish(change)
    this.#watchers.add(watcher)
    return watcher
  }

  /** What leads from here to `items`, of `revision`: the last change of each key, where it is known. */
  differences(items: readonly Item[], revision: number): Change[] {
    const changes: Change[] = []
    const left = new Map(this.#items)
    for (const item of items) {
      const before = left.get(item.key)
      left.delete(item.key)
      if (before?.revision !== item.revision) changes.push(new Change(before ? 'MODIFIED' : 'ADDED', item.revision, item, before))
    }
    for (const item of left.values()) changes.push(new Change('DELETED', revision, item, item))
    return changes
  }

  close(): void {
    this.#rounds.close()
    for (const watcher of this.#watchers) watcher.close()
  }

  #firstAtLeast(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#keys[middle] as string) < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
