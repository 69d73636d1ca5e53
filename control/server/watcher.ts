// One reader of a collection's changes: what was published and not yet taken, up to a bound. A reader
// that falls behind it is ended; it takes what was published before, then resumes from its revision.

import type { Change } from './change.ts'

const bound = 10_000

/** Every change up to `revision` is among these, or was taken before. */
export type Taken = { changes: readonly Change[]; revision: number }

export class Watcher {
  readonly prefix: string
  readonly #revision: () => number
  readonly #onClose: (watcher: Watcher) => void
  #waiting: Change[] = []
  #wake: (() => void) | undefined
  #closed = false

  /** `revision`: up to which changes have been published. */
  constructor(prefix: string, { revision, onClose }: { revision: () => number; onClose: (watcher: Watcher) => void }) {
    this.prefix = prefix
    this.#revision = revision
    this.#onClose = onClose
  }

  /** For the next `tell`. False once the reader has been cut off for being slow. */
  publish(change: Change): boolean {
    if (this.#closed || !change.item.key.startsWith(this.prefix)) return true
    const slow = this.#waiting.length >= bound
    if (slow) this.close()
    else this.#waiting.push(change)
    return !slow
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
    const changes = this.#waiting
    this.#waiting = []
    return { changes, revision: this.#revision() }
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
