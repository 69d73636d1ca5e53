// How long things have been as they are, by the monotonic clock and since this process first saw them so:
// the times that objects carry come from clocks that start in 1970 and step. What was there before this
// process is as old as it says, if that can be at all, since nobody knows better.

import { ageOf, type Clock } from '#api/clock.ts'

/** What is first seen later than this after the start has only just become so. */
const startMs = 10_000
/** What nobody has asked about for so long is forgotten, once there is much of it. */
const forgottenAfterMs = 24 * 3_600_000
const many = 1000

type Seen = { time: string; since: number; asked: number }

export class Ages {
  readonly #clock: Clock
  readonly #start: number
  readonly #seen = new Map<string, Seen>()
  #sweepAt = many

  constructor(clock: Clock) {
    this.#clock = clock
    this.#start = clock.monotonic()
  }

  /** Milliseconds that `key` has been as it became at `time`, which only tells one such moment from another. */
  of(key: string, time: string | undefined): number {
    const now = this.#clock.monotonic()
    const known = this.#seen.get(key)
    if (known && known.time === (time ?? '')) {
      known.asked = now
      return now - known.since
    }
    if (this.#seen.size >= this.#sweepAt) this.#sweep(now)
    const since = now - this.#before(now, time)
    this.#seen.set(key, { time: time ?? '', since, asked: now })
    return now - since
  }

  forget(key: string): void {
    this.#seen.delete(key)
  }

  #before(now: number, time: string | undefined): number {
    return now - this.#start <= startMs ? ageOf(this.#clock, time) : 0
  }

  #sweep(now: number): void {
    for (const [key, { asked }] of this.#seen) if (now - asked > forgottenAfterMs) this.#seen.delete(key)
    this.#sweepAt = Math.max(many, 2 * this.#seen.size)
  }
}
