// How long to wait before a container is started or its image is pulled again: client-go's flowcontrol
// Backoff with the kubelet's figures. A value, replaced by the next one.

export type Backoff = { delay: number /** When the last attempt was made, monotonic ms. */; at: number }

const FIRST_MS = 10_000
const MAX_MS = 300_000
/** After twice the longest wait without trouble everything is forgotten. */
const RESET_MS = 2 * MAX_MS

/** The state after an attempt made at `now`. */
export function attempted(backoff: Backoff | undefined, now: number, troubleAt = now): Backoff {
  if (!backoff || forgotten(backoff, troubleAt)) return { delay: FIRST_MS, at: now }
  return { delay: Math.min(backoff.delay * 2, MAX_MS), at: now }
}

/** When (monotonic ms) the next attempt may be made, after trouble at `troubleAt`. */
export const nextAttempt = (backoff: Backoff | undefined, troubleAt: number): number =>
  backoff && !forgotten(backoff, troubleAt) ? troubleAt + backoff.delay : troubleAt

const forgotten = (backoff: Backoff, troubleAt: number): boolean => troubleAt - backoff.at > RESET_MS
