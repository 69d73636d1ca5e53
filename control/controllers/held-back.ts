// How long a pod that came to its end is left alone before it is made again in its place, a node or an ordinal: the first
// time not at all, then a second, doubled each time up to a quarter of an hour. Where none has ended for twice that
// long it begins anew. A pod that is refused wherever it goes would be made and deleted without a pause.

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

  /** Milliseconds from now; asked any number of times of one pod, it counts once. Owner and pod by uid. */
  of(owner: string, place: string, pod: string): number {
    const now = this.#clock.monotonic()
    const places = this.#failures.get(owner) ?? new Map<string, Failures>()
    this.#failures.set(owner, places)
    const known = places.get(place)
    if (known?.pod === pod) return Math.max(0, known.until - now)
    const isAnew = !known || now - known.until > 2 * longestMs
    const delay = isAnew ? 0 : Math.min(longestMs, known.delay ? known.delay * 2 : firstMs)
    places.set(place, { pod, until: now + delay, delay })
    return delay
  }

  forget(owner: string): void {
    this.#failures.delete(owner)
  }
}
