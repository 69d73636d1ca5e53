// When the watchers of a collection are told of changes: few of them at once, many of them in rounds.
// A round costs every watcher a packet of its own, however little is in it. So the first change after a
// quiet time is told as soon as its writer has been answered, and those on its heels share the next round.

import type { Clock, Timer } from '#api/clock.ts'

/** Below this many watchers a round is cheaper than to wait for one. */
const many = 20

/** Milliseconds for each watcher, and after how many nobody waits any longer because of others. */
export type Pace = { forEach: number; most: number }
export const prompt: Pace = { forEach: 0.1, most: 10 }
/** Of those who can wait for more at a time: as many rounds in a second as there are watchers would take all of it. */
export const gathering: Pace = { forEach: 2, most: 1000 }

export class Rounds {
  readonly #clock: Clock
  readonly #pace: Pace
  readonly #tell: () => void
  #last = Number.NEGATIVE_INFINITY
  #next: Timer | undefined

  constructor({ clock, pace, tell }: { clock: Clock; pace: Pace; tell: () => void }) {
    this.#clock = clock
    this.#pace = pace
    this.#tell = tell
  }

  /** There is something to tell to some of `watchers`. */
  due(watchers: number): void {
    if (watchers < many) this.#run()
    else if (!this.#next) {
      const wait = this.#last + Math.min(watchers * this.#pace.forEach, this.#pace.most) - this.#clock.monotonic()
      this.#next = wait > 0 ? this.#clock.after(wait, () => this.#run()) : soon(() => this.#run())
    }
  }

  close(): void {
    this.#next?.cancel()
    this.#next = undefined
  }

  #run(): void {
    this.close()
    this.#last = this.#clock.monotonic()
    this.#tell()
  }
}

function soon(run: () => void): Timer {
  const immediate = setImmediate(run)
  return { cancel: () => clearImmediate(immediate) }
}
