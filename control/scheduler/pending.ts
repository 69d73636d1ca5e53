// Pods that wait for a node: those to try now, by priority and then age, and those that fitted nowhere,
// which come back when something changes, each not sooner than its own backoff, and in any case after a
// few minutes: no cause that nobody thought of keeps a pod waiting for ever.

import type { Clock, Timer } from '#api/clock.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { Heap } from './heap.ts'

/** `active`: to be tried; `taken`: being tried; `parked`: fitted nowhere; `woken`: parked, to be tried again once its backoff is over; `gone`: deleted. */
type Waiting = { pod: Pod; order: number; failures: number; notBefore: number; state: 'active' | 'taken' | 'parked' | 'woken' | 'gone' }

/** Milliseconds before a pod that did not fit is tried again, at the least; doubled with each failure. */
const firstBackoff = 50
const longestBackoff = 10_000
/** Milliseconds after which every parked pod is tried again, whatever happened. */
const flushEvery = 300_000

export class Pending {
  readonly #clock: Clock
  readonly #ready: () => void
  readonly #all = new Map<string, Waiting>()
  /** With some that are gone meanwhile. */
  readonly #active = new Heap<Waiting>(before)
  #order = 0
  #timer: { at: number; timer: Timer } | undefined
  #flush: Timer | undefined

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
      const waiting: Waiting = { pod, order: (this.#order += 1), failures: 0, notBefore: 0, state: 'woken' }
      this.#all.set(uid, waiting)
      this.#activate(waiting)
      this.#ready()
      return
    }
    const changed = substance(known.pod) !== substance(pod)
    known.pod = pod
    if (changed) this.wake((each) => each === pod)
  }

  /** A new version of a pod, if it waits: it is the one to try next. */
  refresh(pod: Pod): void {
    if (this.#all.has(pod.metadata.uid)) this.set(pod)
  }

  delete(uid: string): void {
    const known = this.#all.get(uid)
    if (!known) return
    this.#all.delete(uid)
    known.state = 'gone'
  }

  /** The next pod to place. It stays known until `delete`; a failure is told by `park`. */
  take(): Pod | undefined {
    let next = this.#active.pop()
    while (next?.state === 'gone') next = this.#active.pop()
    if (next) next.state = 'taken'
    return next?.pod
  }

  /** The pod taken fitted nowhere: wait for `wake`. With `retry`, also come back by itself. */
  park(uid: string, retry = false): void {
    const waiting = this.#all.get(uid)
    if (waiting?.state !== 'taken') return
    waiting.notBefore = this.#clock.monotonic() + Math.min(firstBackoff * 2 ** Math.min(waiting.failures, 20), longestBackoff)
    waiting.failures += 1
    waiting.state = retry ? 'woken' : 'parked'
    if (retry) this.#advance()
    else
      this.#flush ??= this.#clock.after(flushEvery, () => {
        this.#flush = undefined
        this.wake()
      })
  }

  /** Something changed that may make room, for all parked pods or those that `concerns` picks. */
  wake(concerns: (pod: Pod) => boolean = () => true): void {
    for (const waiting of this.#all.values()) if (waiting.state === 'parked' && concerns(waiting.pod)) waiting.state = 'woken'
    this.#advance()
  }

  close(): void {
    this.#timer?.timer.cancel()
    this.#timer = undefined
    this.#flush?.cancel()
    this.#flush = undefined
    this.#all.clear()
    this.#active.clear()
  }

  /** Activates all whose time has come, and only then has them taken, so that the most important goes first. */
  #advance(): void {
    const now = this.#clock.monotonic()
    let next = Number.POSITIVE_INFINITY
    let some = false
    for (const waiting of this.#all.values()) {
      if (waiting.state !== 'woken') continue
      if (waiting.notBefore > now) next = Math.min(next, waiting.notBefore)
      else {
        this.#activate(waiting)
        some = true
      }
    }
    if (next < (this.#timer?.at ?? Number.POSITIVE_INFINITY)) {
      this.#timer?.timer.cancel()
      const timer = this.#clock.after(next - now, () => {
        this.#timer = undefined
        this.#advance()
      })
      this.#timer = { at: next, timer }
    }
    if (some) this.#ready()
  }

  #activate(waiting: Waiting): void {
    waiting.state = 'active'
    this.#active.push(waiting)
  }
}

function before(a: Waiting, b: Waiting): boolean {
  const difference = (a.pod.spec.priority ?? 0) - (b.pod.spec.priority ?? 0)
  return difference > 0 || (difference === 0 && a.order < b.order)
}

/** What of a pod bears on where it can go; its status, which we write ourselves, does not. */
const substance = ({ spec, metadata }: Pod): string => JSON.stringify([spec, metadata.labels])
