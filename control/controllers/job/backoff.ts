// How long a job waits before it replaces pods that failed: 10 s after the first failure since its last success,
// and double that with each further one, up to six minutes. Counted are ends that this process has seen, by the
// monotonic clock, and after a start those of the pods that are still there, which are as old as they say.

import type { Clock } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { Ages } from '../ages.ts'
import { finishedAt } from './pod.ts'

const firstMs = 10_000
const mostMs = 6 * 60_000

/** Milliseconds from the last of so many failures in a row. */
export const delayAfter = (failures: number): number => (failures === 0 ? 0 : Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 16)))

type Row = { seen: Set<string>; failures: number; lastAt: number }

export class Backoffs {
  readonly #clock: Clock
  readonly #ages: Ages
  readonly #rows = new Map<string, Row>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#ages = new Ages(clock)
  }

  /** Milliseconds that the job of this uid has to wait, given its pods that have ended. */
  remaining(uid: string, succeeded: readonly Pod[], failed: readonly Pod[]): number {
    const row = this.#rows.get(uid) ?? { seen: new Set<string>(), failures: 0, lastAt: 0 }
    this.#rows.set(uid, row)
    const isNew = ({ metadata }: Pod) => !row.seen.has(metadata.uid)
    const [successes, failures] = [succeeded.filter(isNew), failed.filter(isNew)]
    const success = successes.reduce((last, pod) => Math.max(last, Date.parse(finishedAt(pod) ?? '') || 0), 0)
    if (successes.length) row.failures = 0
    for (const pod of failures) {
      if (successes.length && (Date.parse(finishedAt(pod) ?? '') || 0) <= success) continue
      row.failures += 1
      row.lastAt = Math.max(row.lastAt, this.#clock.monotonic() - this.since(pod))
    }
    row.seen = new Set([...succeeded, ...failed].map(({ metadata }) => metadata.uid))
    return row.failures ? Math.max(0, row.lastAt + delayAfter(row.failures) - this.#clock.monotonic()) : 0
  }

  /** Milliseconds since a pod ended. */
  since(pod: Pod): number {
    return this.#ages.of(pod.metadata.uid, finishedAt(pod))
  }

  forget(uid: string): void {
    this.#rows.delete(uid)
  }
}
