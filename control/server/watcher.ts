// One reader of a collection's changes: what was published and not yet taken, up to a bound. A reader
// that falls behind it is ended; it takes what was published before, then resumes from its revision.

import type { Change } from './change.ts'

const bound = 10_000

export class Watcher {
  readonly prefix: string
  readonly #onClose: (watcher: Watcher) => void
  #waiting: Change[] = []
  #wake: (() => void) | undefined
  #closed = false

  constructor(prefix: string, onClose: (watcher: Watcher) => void) {
    this.prefix = prefix
    this.#onClose = onClose
  }

  /** False once the reader has been cut off for being slow. */
  publish(change: Change): boolean {
    if (this.#closed || !change.item.key.startsWith(this.prefix)) return true
    const slow = this.#waiting.length >= bound
    if (slow) this.close()
    else this.#waiting.push(change)
    this.#wake?.()
    return !slow
  }

  /** What has been published; empty when woken for nothing; undefined once closed and drained. */
  async take(): Promise<Change[] | undefined> {
    if (this.#waiting.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#waiting.length === 0 && this.#closed) return undefined
    const taken = this.#waiting
    this.#waiting = []
    return taken
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
