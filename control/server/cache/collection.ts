// The current objects of one resource, in key order, the changes that led there, and those who watch
// them. Filled by the watch cache only.

import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { Change } from './change.ts'
import { type Allowance, History } from './history.ts'
import type { Item } from './item.ts'
import { gathering, type Pace, prompt, Rounds } from './rounds.ts'
import { type Gathered, type Wanted, Watcher } from './watcher.ts'
import { Watchers } from './watchers.ts'

type Options = {
  /** Of all keys. */
  prefix: string
  items: Item[]
  /** Of the items. */
  revision: number
  /** Up to which changes have been applied. */
  now: () => number
  allowance: Allowance
  clock: Clock
  log: Log
}

/** Of items that are gone, besides as many as there are. */
const fewKeys = 64

export class Collection {
  readonly #items = new Map<string, Item>()
  /** Sorted. Those of items that are gone stay until they are many: to close the gap for each would cost its square. */
  #keys: string[] = []
  readonly #history: History
  readonly #watchers: Watchers
  readonly #prompt: Turns
  readonly #gathering: Turns
  readonly #now: () => number
  readonly #log: Log

  constructor({ prefix, items, revision, now, allowance, clock, log }: Options) {
    for (const item of items) this.#items.set(item.key, item)
    this.#keys = items.map((item) => item.key)
    this.#history = new History(revision, allowance)
    this.#watchers = new Watchers(prefix)
    this.#now = now
    this.#prompt = turns(clock, prompt)
    this.#gathering = turns(clock, gathering)
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
      const item = this.#items.get(key)
      if (item) yield item
    }
  }

  apply(change: Change): void {
    const { key } = change.item
    if (change.type === 'DELETED') {
      this.#items.delete(key)
      if (this.#keys.length > this.#items.size * 2 + fewKeys) this.#keys = this.#keys.filter((each) => this.#items.has(each))
    } else {
      if (!this.#items.has(key)) this.#addKey(key)
      this.#items.set(key, change.item)
    }
    this.#history.push(change)
    for (const watcher of this.#watchers.concerned(change)) {
      if (!watcher.publish(change)) this.#log.warn({ prefix: watcher.prefix }, 'a watch was cut off: its reader is too slow')
      else if (!watcher.isTold) this.#turnsOf(watcher).waiting.add(watcher)
    }
    for (const { waiting, rounds } of [this.#prompt, this.#gathering]) if (waiting.size > 0) rounds.due(waiting.size)
  }

  /** Whether every change above `revision` is at hand. */
  reaches(revision: number): boolean {
    return this.#history.reaches(revision)
  }

  /**
   * Changes under `prefix` above `revision`, then live ones; the caller closes it. Of `wanted` it is sure to
   * tell all, and may tell more. `prefix`: the collection's, a namespace's, or a whole key.
   */
  watch(
    prefix: string,
    revision: number,
    { wanted, gathered }: { wanted?: Wanted | undefined; gathered?: Gathered | undefined } = {},
  ): Watcher {
    const onClose = (closed: Watcher) => {
      this.#watchers.delete(closed)
      this.#turnsOf(closed).waiting.delete(closed)
    }
    const watcher = new Watcher(prefix, { wanted, gathered, revision: this.#now, onClose })
    for (const change of this.#history.after(revision)) watcher.publish(change)
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
    this.#prompt.rounds.close()
    this.#gathering.rounds.close()
    this.#history.close()
    for (const watcher of this.#watchers) watcher.close()
  }

  #addKey(key: string): void {
    const at = this.#firstAtLeast(key)
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key)
  }

  #turnsOf({ gathered }: Watcher): Turns {
    return gathered ? this.#gathering : this.#prompt
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

/** Who has something to be told of, and when. */
type Turns = { waiting: Set<Watcher>; rounds: Rounds }

function turns(clock: Clock, pace: Pace): Turns {
  const waiting = new Set<Watcher>()
  const tell = () => {
    for (const watcher of waiting) watcher.tell()
    waiting.clear()
  }
  return { waiting, rounds: new Rounds({ clock, pace, tell }) }
}
