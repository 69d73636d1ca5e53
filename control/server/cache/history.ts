// The changes of a collection that are kept for watches that resume; older ones come from the store. No
// more than so many, nor than so many bytes: one object that changes often must not fill the memory.
// All collections share one allowance besides.

import type { Change } from './change.ts'

const MiB = 1024 * 1024
/** Changes are dropped a half at a time, so that dropping costs little. */
const mostChanges = 8192
const mostBytes = 2 * MiB
const mostBytesOfAll = 8 * MiB

export class History {
  readonly #allowance: Allowance
  #changes: Change[] = []
  #bytes = 0
  /** Every change above this revision is here. */
  #since: number

  constructor(since: number, allowance: Allowance) {
    this.#since = since
    this.#allowance = allowance
    allowance.add(this)
  }

  get bytes(): number {
    return this.#bytes
  }

  push(change: Change): void {
    this.#changes.push(change)
    this.#bytes += weightOf(change)
    this.#allowance.took(weightOf(change))
    if (this.#changes.length >= mostChanges || this.#bytes >= mostBytes) this.halve()
  }

  /** Whether every change above `revision` is at hand. */
  reaches(revision: number): boolean {
    return revision >= this.#since
  }

  after(revision: number): Change[] {
    return this.#changes.slice(this.#changes.findLastIndex((change) => change.revision <= revision) + 1)
  }

  /** Keeps the newer half, by number and by bytes. */
  halve(): void {
    const bytes = this.#bytes / 2
    const count = this.#changes.length / 2
    let dropped = 0
    while (dropped < count || this.#bytes > bytes) {
      const change = this.#changes[dropped]
      if (!change) break
      this.#bytes -= weightOf(change)
      this.#allowance.gave(weightOf(change))
      this.#since = change.revision
      dropped += 1
    }
    this.#changes = this.#changes.slice(dropped)
  }

  close(): void {
    this.#allowance.remove(this)
    this.#allowance.gave(this.#bytes)
    this.#changes = []
    this.#bytes = 0
  }
}

/** What all histories may hold together. */
export class Allowance {
  readonly #histories = new Set<History>()
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  add(history: History): void {
    this.#histories.add(history)
  }

  remove(history: History): void {
    this.#histories.delete(history)
  }

  took(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < mostBytesOfAll) return
    let largest: History | undefined
    for (const history of this.#histories) if (history.bytes > (largest?.bytes ?? 0)) largest = history
    largest?.halve()
  }

  gave(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** What a small one takes besides its bytes. */
const overhead = 512

/** A deletion has the last state of the object twice: as it was, and at the revision of the deletion. */
const weightOf = ({ type, item }: Change): number => item.size * (type === 'DELETED' ? 2 : 1) + overhead
