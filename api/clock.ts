// Time as a dependency. Production passes `systemClock`; tests pass `fakeClock()` and move it themselves.

export type Timer = { cancel(): void }

export interface Clock {
  /** Wall time, milliseconds since the epoch. May jump. */
  now(): number
  /** Milliseconds on a clock that never jumps and does not run while the machine is suspended. */
  monotonic(): number
  /** Calls `run` once after `ms`, unless cancelled. Does not keep the process alive. */
  after(ms: number, run: () => void): Timer
}

/** setTimeout fires at once above this. */
const longestDelay = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), longestDelay))
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}

/** No clock that was right has ever shown less. */
const plausibleFrom = Date.UTC(2024, 0, 1)

/**
 * How long ago a time is that an earlier process wrote, in milliseconds: 0 if either clock cannot have been right.
 * For what this process has seen itself the monotonic clock tells.
 */
export function ageOf(clock: Pick<Clock, 'now'>, time: string | undefined): number {
  const written = Date.parse(time ?? '')
  return written >= plausibleFrom ? Math.max(0, clock.now() - written) : 0
}

/** Resolves after `ms`, or at once when `signal` aborts: the caller looks at the signal. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', stop)
      resolve()
    })
    const stop = () => {
      timer.cancel()
      resolve()
    }
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** `2025-01-31T12:00:00Z`, the form of metav1.Time: whole seconds. */
export const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

/** The form of metav1.MicroTime, as in leases. */
export const microTimestamp = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')
