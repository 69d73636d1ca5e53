// One reader of a collection's changes: what was published and not yet taken, up to a bound of changes
// and of their bytes. A reader that falls behind it is ended; it takes what was published before, then
// resumes from its revision.

import type { KubeObject } from '#api/kinds/kind.ts'
import type { Change } from './change.ts'
import type { Item } from './item.ts'

export type FieldReader = (object: KubeObject) => string
/** The one value of a field that a watcher waits for. */
export type Wanted = { read: FieldReader; value: string }

const mostChanges = 10_000
const mostBytes = 16 * 1024 * 1024
/** Taken at a time: who reads slowly should not have all of it copied into one answer. */
const takenBytes = 1024 * 1024

/** Every change up to `revision` is among these, or was taken before. */
export type Taken = { changes: readonly Change[]; revision: number }

/** A reader who can wait for more to be told at a time, and sees nothing new in a change between versions that are the same to it. */
export type Gathered = { readonly same: (before: Item, now: Item) => boolean }

type Options = {
  wanted?: Wanted | undefined
  gathered?: Gathered | undefined
  revision: () => number
  onClose: (watcher: Watcher) => void
}

export class Watcher {
  readonly prefix: string
  /** The one value of a field that all it is told of has, or had. */
  readonly wanted: Wanted | undefined
  readonly gathered: Gathered | undefined
  readonly #revision: () => number
  readonly #onClose: (watcher: Watcher) => void
  #waiting: Change[] = []
  #bytes = 0
  #wake: (() => void) | undefined
  #closed = false

  /** `revision`: up to which changes have been published. */
  constructor(prefix: string, { wanted, gathered, revision, onClose }: Options) {
    this.prefix = prefix
    this.wanted = wanted
    this.gathered = gathered
    this.#revision = revision
    this.#onClose = onClose
  }

  /** For the next `tell`. False once the reader has been cut off for being slow. */
  publish(change: Change): boolean {
    if (this.#closed || !change.item.key.startsWith(this.prefix)) return true
    if (change.type === 'MODIFIED' && change.previous && this.gathered?.same(change.previous, change.item)) return true
    const slow = this.#waiting.length >= mostChanges || this.#bytes >= mostBytes
    if (slow) this.close()
    else {
      this.#waiting.push(change)
      this.#bytes += change.item.size
    }
    return !slow
  }

  get isTold(): boolean {
    return this.#waiting.length === 0
  }

  /** Lets its reader have what has been published. */
  tell(): void {
    if (this.#waiting.length > 0) this.#wake?.()
  }

  /** What has been published; empty when woken for nothing; undefined once closed and drained. */
  async take(): Promise<Taken | undefined> {
    if (this.#waiting.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#waiting.length === 0 && this.#closed) return undefined
    if (this.#bytes > takenBytes) return this.#takeSome()
    const changes = this.#waiting
    this.#waiting = []
    this.#bytes = 0
    return { changes, revision: this.#revision() }
  }

  #takeSome(): Taken {
    let bytes = 0
    let count = 0
    while (bytes < takenBytes && count < this.#waiting.length) {
      bytes += this.#waiting[count]?.item.size ?? 0
      count += 1
    }
    this.#bytes -= bytes
    const changes = this.#waiting.splice(0, count)
    const [next] = this.#waiting
    return { changes, revision: next ? next.revision - 1 : this.#revision() }
  }

  /** Lets a `take` under way return. */
  wake(): void {
    this.#wake?.()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose(this)
    this.#wake?.()
  }
}
