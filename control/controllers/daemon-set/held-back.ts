// How long a daemon that came to its end is left alone before it is made again: the first time not at all, then a second,
// doubled each time up to a quarter of an hour, by node. Who has run well for twice that long begins anew.

import type { Clock } from '#api/clock.ts'

const firstMs = 1000
const longestMs = 15 * 60_000

type Failures = { pod: string; until: number; delay: number }

export class HeldBack {
  readonly #clock: Clock
  readonly #failures = new Map<string, Map<string, Failures>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds from now; asked any number of times of one pod, it counts once. All by uid. */
  of(owner: string, node: string, pod: string): number {
    const now = this.#clock.monotonic()
    const nodes = this.#failures.get(owner) ?? new Map<string, Failures>()
    this.#failures.set(owner, nodes)
    const known = nodes.get(node)
    if (known?.pod === pod) return Math.max(0, known.until - now)
    const isAnew = !known || now - known.until > 2 * longestMs
    const delay = isAnew ? 0 : Math.min(longestMs, known.delay ? known.delay * 2 : firstMs)
    nodes.set(node, { pod, until: now + delay, delay })
    return delay
  }

  forget(owner: string): void {
    this.#failures.delete(owner)
  }
}
