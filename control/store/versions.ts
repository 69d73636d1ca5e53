// What is known in memory: for each key its current entry and the revisions before it, and the log of
// revisions since the last compaction. Old values stay on disk.

import type { Entry } from './store.ts'

/** One revision of the log. `previous` is the revision that the key had before (0: none). */
export type LogItem = { revision: number; key: string; deleted: boolean; previous: number }

type Version = { revision: number; deleted: boolean }
type Versions = {
  current: Entry | undefined
  /** Superseded versions, oldest first; ends with the tombstone where the key is deleted. */
  older: Version[]
}

export class KeySpace {
  #keys: string[] = []
  /** Keys not yet merged into `#keys`; loading a database fills it in one go. */
  #fresh: string[] = []
  readonly #versions = new Map<string, Versions>()
  #log: LogItem[] = []

  current(key: string): Entry | undefined {
    return this.#versions.get(key)?.current
  }

  *currents(): Generator<Entry> {
    for (const { current } of this.#versions.values()) if (current) yield current
  }

  /** Applies one write; revisions must rise. Returns the entry that was there. */
  apply(key: string, revision: number, entry: Entry | undefined): Entry | undefined {
    let versions = this.#versions.get(key)
    if (!versions) {
      versions = { current: undefined, older: [] }
      this.#versions.set(key, versions)
      this.#fresh.push(key)
    }
    const before = versions.current
    if (before) versions.older.push({ revision: before.modRevision, deleted: false })
    if (!entry) versions.older.push({ revision, deleted: true })
    versions.current = entry
    this.#log.push({ revision, key, deleted: !entry, previous: before?.modRevision ?? 0 })
    return before
  }

  /** Keys that start with `prefix`, from behind `after` on, in order; deleted ones that history still holds among them. */
  *keysUnder(prefix: string, after?: string): Generator<string> {
    this.#merge()
    let at = this.#firstAtLeast(after !== undefined && after >= prefix ? after : prefix)
    if (after !== undefined && this.#keys[at] === after) at += 1
    for (; at < this.#keys.length; at += 1) {
      const key = this.#keys[at] as string
      if (!key.startsWith(prefix)) return
      yield key
    }
  }

  /** The revision that `key` had at `revision`; 0 where it did not exist then. */
  revisionAt(key: string, revision: number): number {
    const versions = this.#versions.get(key)
    if (!versions) return 0
    if (versions.current && versions.current.modRevision <= revision) return versions.current.modRevision
    const seen = versions.older.findLast((v) => v.revision <= revision)
    return seen && !seen.deleted ? seen.revision : 0
  }

  /** Whether `key` was deleted at `revision`. */
  isTombstone(key: string, revision: number): boolean {
    return this.#versions.get(key)?.older.some((v) => v.deleted && v.revision === revision) ?? false
  }

  /** The log above `revision`, in order. */
  logAfter(revision: number): LogItem[] {
    let low = 0
    let high = this.#log.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#log[middle] as LogItem).revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#log.slice(low)
  }

  /** Forgets the log up to `revision`; returns the revisions whose records nothing needs any more. */
  compact(revision: number): number[] {
    const kept = this.logAfter(revision)
    const gone = this.#log.slice(0, this.#log.length - kept.length)
    const drop: number[] = []
    let forgotten = 0
    for (const item of gone) {
      if (item.previous) drop.push(item.previous)
      if (item.deleted) drop.push(item.revision)
      const versions = this.#versions.get(item.key)
      if (!versions) continue
      versions.older = stillNeeded(versions, revision)
      if (versions.current || versions.older.length > 0) continue
      this.#versions.delete(item.key)
      forgotten += 1
    }
    this.#log = kept
    if (forgotten > 0) {
      this.#merge()
      this.#keys = this.#keys.filter((key) => this.#versions.has(key))
    }
    return drop
  }

  #merge(): void {
    if (this.#fresh.length > 32) this.#keys = [...this.#keys, ...this.#fresh].sort((a, b) => (a < b ? -1 : 1))
    else for (const key of this.#fresh) this.#keys.splice(this.#firstAtLeast(key), 0, key)
    this.#fresh = []
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

/** The versions that a reader at `revision` or later can still see. */
function stillNeeded({ current, older }: Versions, revision: number): Version[] {
  if (current && current.modRevision <= revision) return []
  const visible = older.findLastIndex((v) => v.revision <= revision)
  return older.slice(older[visible]?.deleted ? visible + 1 : Math.max(visible, 0))
}
