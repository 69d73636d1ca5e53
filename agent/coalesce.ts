// Work that follows from current state: whatever happens while it runs is one more run after it, and a
// failure is tried again, later and later. For kernel state that is applied whole.

import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'

export type Coalesced = {
  /** State has changed: run, or run again. */
  poke(): void
  /** Resolves after the first run that succeeds. */
  readonly first: Promise<void>
  close(): Promise<void>
}

export type CoalesceOptions = {
  name: string
  clock: Clock
  log: Log
  /** Milliseconds between runs, in which changes gather; the first change after a pause is applied at once. */
  gather?: number
}

const RETRY_MIN_MS = 100
const RETRY_MAX_MS = 10_000

export function coalesce(work: () => Promise<unknown>, { name, clock, log, gather = 0 }: CoalesceOptions): Coalesced {
  const closing = new AbortController()
  const { signal } = closing
  const first = Promise.withResolvers<void>()
  let dirty = false
  let ended = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    for (let pause = RETRY_MIN_MS; dirty && !signal.aborted; ) {
      const wait = ended + gather - clock.monotonic()
      if (wait > 0) await sleep(clock, wait, signal)
      dirty = false
      try {
        await work()
        first.resolve()
        ended = clock.monotonic()
        pause = RETRY_MIN_MS
      } catch (error) {
        if (signal.aborted) return
        log.error({ err: error }, `${name} could not be applied`)
        dirty = true
        await sleep(clock, pause, signal)
        pause = Math.min(pause * 2, RETRY_MAX_MS)
      }
    }
  }

  return {
    first: first.promise,
    poke() {
      dirty = true
      running ??= run().finally(() => (running = undefined))
    },
    async close() {
      closing.abort()
      await running
    },
  }
}
