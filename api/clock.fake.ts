import type { Clock, Timer } from './clock.ts'

export type FakeClock = Clock & {
  /** Moves both clocks on, runs what falls due in its order, and lets what it started settle in between. */
  advance(ms: number): Promise<void>
  /** Moves both clocks on and runs nothing, as when the process was stopped; what fell due runs with the next `advance`. */
  stall(ms: number): void
  /** Moves only the wall clock, as a time server's correction does. */
  jump(ms: number): void
  /** Timers not yet due: a test that leaves some has a leak. */
  readonly pending: number
}

/** A clock that stands still until told. Starts at 2025-01-01T00:00:00Z. */
export function fakeClock(start = Date.UTC(2025, 0, 1)): FakeClock {
  let elapsed = 0
  let offset = 0
  let timers: { at: number; run: () => void }[] = []
  return {
    now: () => start + offset + elapsed,
    monotonic: () => elapsed,
    after(ms, run): Timer {
      const timer = { at: elapsed + Math.max(ms, 0), run }
      timers.push(timer)
      return { cancel: () => void (timers = timers.filter((t) => t !== timer)) }
    },
    async advance(ms) {
      const end = elapsed + ms
      await settle()
      for (;;) {
        const next = timers
          .filter((t) => t.at <= end)
          .reduce<(typeof timers)[0] | undefined>((a, b) => (a && a.at <= b.at ? a : b), undefined)
        if (!next) break
        timers = timers.filter((t) => t !== next)
        elapsed = Math.max(elapsed, next.at)
        next.run()
        await settle()
      }
      elapsed = end
    },
    stall: (ms) => void (elapsed += ms),
    jump: (ms) => void (offset += ms),
    get pending() {
      return timers.length
    },
  }
}

/** Lets everything that can run without more time or I/O run. */
export async function settle(turns = 5): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}
