// The work queue under every controller, with the meaning of client-go's (util/workqueue): a key that is
// added while it waits is there once; one that is added while it is being processed comes back after
// `done`, never to two workers at a time.

import type { Clock, Timer } from '../clock.ts'

export type QueueOptions = {
  clock: Clock
  /** Delay before the first retry, and the longest; doubled with every failure in between. Milliseconds. */
  backoff?: { first: number; longest: number }
}

export class WorkQueue {
  readonly #clock: Clock
  readonly #backoff: { first: number; longest: number }
  /** In the order in which they are handed out. A Set keeps it and drops repeats. */
  readonly #waiting = new Set<string>()
  readonly #processing = new Set<string>()
  /** Added while being processed. */
  readonly #again = new Set<string>()
  readonly #delayed = new Map<string, { at: number; timer: Timer }>()
  readonly #failures = new Map<string, number>()
  #takers: ((key: string | undefined) => void)[] = []
  #closed = false

  constructor({ clock, backoff = { first: 5, longest: 60_000 } }: QueueOptions) {
    this.#clock = clock
    this.#backoff = backoff
  }

  /** Keys waiting or delayed, without those being processed. */
  get size(): number {
    return this.#waiting.size + this.#delayed.size
  }

  add(key: string): void {
    if (this.#closed) return
    if (this.#processing.has(key)) {
      this.#again.add(key)
      return
    }
    const taker = this.#waiting.has(key) ? undefined : this.#takers.shift()
    if (!taker) {
      this.#waiting.add(key)
      return
    }
    this.#processing.add(key)
    taker(key)
  }

  /** Adds after `ms`; of several delays for one key the shortest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return
    if (ms <= 0) return this.add(key)
    const at = this.#clock.monotonic() + ms
    const earlier = this.#delayed.get(key)
    if (earlier && earlier.at <= at) return
    earlier?.timer.cancel()
    const timer = this.#clock.after(ms, () => {
      this.#delayed.delete(key)
      this.add(key)
    })
    this.#delayed.set(key, { at, timer })
  }

  /** Adds after the key's own backoff, which grows until `forget`. Returns the delay. */
  retry(key: string): number {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const ms = Math.min(this.#backoff.first * 2 ** Math.min(failures, 30), this.#backoff.longest)
    this.addAfter(key, ms)
    return ms
  }

  forget(key: string): void {
    this.#failures.delete(key)
  }

  /** The next key, as soon as there is one; undefined once the queue is closed. The taker owes a `done`. */
  take(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined)
    const [key] = this.#waiting
    if (key === undefined) return new Promise((resolve) => this.#takers.push(resolve))
    this.#waiting.delete(key)
    this.#processing.add(key)
    return Promise.resolve(key)
  }

  done(key: string): void {
    this.#processing.delete(key)
    if (this.#again.delete(key)) this.add(key)
  }

  /** Drops everything that waits and sends the takers home. */
  close(): void {
    this.#closed = true
    for (const { timer } of this.#delayed.values()) timer.cancel()
    this.#delayed.clear()
    this.#waiting.clear()
    this.#again.clear()
    this.#failures.clear()
    for (const taker of this.#takers) taker(undefined)
    this.#takers = []
  }
}
