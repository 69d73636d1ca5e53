// Pods that wait for a node: those to try now, by priority and then age, and those that fitted nowhere,
// which come back when something changes, each not sooner than its own backoff.

import type { Clock, Timer } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'

type Waiting = { pod: Pod; order: number; failures: number; notBefore: number; parked: boolean; timer?: Timer }

/** Milliseconds before a pod that did not fit is tried again, at the least; doubled with each failure. */
const firstBackoff = 50
const longestBackoff = 10_000

export class Pending {
  readonly #clock: Clock
  readonly #ready: () => void
  readonly #all = new Map<string, Waiting>()
  /** Sorted, the next one last. */
  readonly #active: Waiting[] = []
  #order = 0

  /** `ready` is called whenever there may be something to take. */
  constructor({ clock, ready }: { clock: Clock; ready: () => void }) {
    this.#clock = clock
    this.#ready = ready
  }

  get size(): number {
    return this.#all.size
  }

  /** A new pod, or a new version of one that waits. */
  set(pod: Pod): void {
    const { uid } = pod.metadata
    const known = this.#all.get(uid)
    if (!known) {
      const waiting = { pod, order: (this.#order += 1), failures: 0, notBefore: 0, parked: false }
      this.#all.set(uid, waiting)
      this.#activate(waiting)
      return
    }
    const changed = substance(known.pod) !== substance(pod)
    known.pod = pod
    if (changed && known.parked) this.#wakeOne(known)
  }

  delete(uid: string): void {
    const known = this.#all.get(uid)
    if (!known) return
    known.timer?.cancel()
    this.#all.delete(uid)
    const at = this.#active.indexOf(known)
    if (at >= 0) this.#active.splice(at, 1)
  }

  /** The next pod to place. It stays known until `delete`; a failure is told by `park`. */
  take(): Pod | undefined {
    return this.#active.pop()?.pod
  }

  /** The pod taken fitted nowhere: wait for `wake`. With `retry`, also come back by itself. */
  park(uid: string, retry = false): void {
    const waiting = this.#all.get(uid)
    if (!waiting) return
    waiting.notBefore = this.#clock.monotonic() + Math.min(firstBackoff * 2 ** Math.min(waiting.failures, 20), longestBackoff)
    waiting.failures += 1
    waiting.parked = true
    if (retry) this.#wakeOne(waiting)
  }

  /** Something changed that may make room, for all parked pods or those that `concerns` picks. */
  wake(concerns: (pod: Pod) => boolean = () => true): void {
    for (const waiting of this.#all.values()) if (waiting.parked && concerns(waiting.pod)) this.#wakeOne(waiting)
  }

  close(): void {
    for (const { timer } of this.#all.values()) timer?.cancel()
    this.#all.clear()
    this.#active.length = 0
  }

  #wakeOne(waiting: Waiting): void {
    const wait = waiting.notBefore - this.#clock.monotonic()
    if (wait <= 0) return this.#activate(waiting)
    waiting.timer ??= this.#clock.after(wait, () => this.#activate(waiting))
  }

  #activate(waiting: Waiting): void {
    waiting.timer?.cancel()
    delete waiting.timer
    waiting.parked = false
    let at = this.#active.length
    while (at > 0 && before(this.#active[at - 1]!, waiting)) at -= 1
    this.#active.splice(at, 0, waiting)
    this.#ready()
  }
}

const before = (a: Waiting, b: Waiting): boolean => {
  const difference = (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0)
  return difference > 0 || (difference === 0 && a.order < b.order)
}

/** What of a pod bears on where it can go; its status, which we write ourselves, does not. */
const substance = ({ spec, metadata }: Pod): string => JSON.stringify([spec, metadata.labels])
