// From when on a cron job's times may have been missed. The times in its status are of the wall clock, and that
// may have been wrong: a device boots in 1970, or hours ahead. So what this process has itself seen is taken
// by the monotonic clock, and no time falls due that really lay before the job's last run, or before the job.

import type { Clock } from '#api/clock.ts'
import type { CronJob } from '#api/kinds/index.ts'

/** No clock that was right has shown less. */
const plausibleFrom = Date.UTC(2024, 0, 1)
/** What is first seen later than this after the start has only just become so. */
const startMs = 10_000
/** An object may have waited so long before this process saw it. */
const slackMs = 30_000

type Seen = { time: string; at: number; fresh: boolean; restart?: number }

export class Moments {
  readonly #clock: Clock
  readonly #start: number
  readonly #seen = new Map<string, Seen>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#start = clock.monotonic()
  }

  /** `next` tells the first time that is due after another, to see how far ahead of now the last run is. */
  earliest({ metadata, status }: CronJob, now: number, next: (after: number) => number | undefined): number {
    const time = status?.lastScheduleTime ?? metadata.creationTimestamp ?? ''
    const elapsed = this.#clock.monotonic()
    let seen = this.#seen.get(metadata.uid)
    if (seen?.time !== time) {
      seen = { time, at: elapsed, fresh: seen !== undefined || elapsed - this.#start > startMs }
      this.#seen.set(metadata.uid, seen)
    }
    // The clock has gone back again, behind where it was counted from.
    if ((seen.restart ?? 0) > now) seen.restart = now
    const last = Date.parse(time) || 0
    if (last > now) {
      // The clock was ahead when that was written. By less than one round: that one has been run. By more: it means nothing.
      const first = next(now)
      if (first === undefined || first >= last) return last
      seen.restart ??= now
      return seen.restart
    }
    if (seen.fresh) return Math.max(last, now - (elapsed - seen.at) - slackMs, seen.restart ?? 0)
    if (last < plausibleFrom && now >= plausibleFrom) seen.restart ??= now
    return Math.max(last, seen.restart ?? 0)
  }

  forget(uid: string): void {
    this.#seen.delete(uid)
  }
}
