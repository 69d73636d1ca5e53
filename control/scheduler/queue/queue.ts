// Pods that wait for a node: those to try now, the first by the profile's order and then the oldest; those that
// fitted nowhere, which come back when something happens that the plugins which refused them say may help,
// each not sooner than its own backoff; and those that are not to be tried yet. In any case one that fitted nowhere
// comes back after a few minutes: no cause that nobody thought of keeps a pod waiting for ever.

import type { Clock, Timer } from '#api/clock.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { ClusterEvent, Plugin } from '../framework/plugin.ts'
import { Heap } from './heap.ts'

/**
 * `active`: to be tried; `taken`: being tried; `parked`: fitted nowhere; `resting`: to be tried again once its backoff is
 * over; `gated`: not to be tried; `gone`: deleted.
 */
type State = 'active' | 'taken' | 'parked' | 'resting' | 'gated' | 'gone'
type Waiting = {
  pod: PodInfo
  order: number
  failures: number
  notBefore: number
  state: State
  by: readonly Plugin[]
  missed: ClusterEvent[]
}

/** Milliseconds before a pod that did not fit is tried again, at the least; doubled with each failure. */
export type Backoff = { first: number; longest: number }
/** Milliseconds after which every parked pod is tried again, whatever happened. */
const flushEvery = 300_000

/** Events that are remembered for a pod that is being tried; after more, one of them will have helped. */
const mostMissed = 1_000

export type QueueOptions = {
  clock: Clock
  /** Called whenever there may be something to take. */
  ready: () => void
  before: (a: PodInfo, b: PodInfo) => boolean
  /** Whether the pod is not to be tried yet. */
  gated: (pod: PodInfo) => boolean
  backoff: Backoff
}

export class SchedulingQueue {
  readonly #clock: Clock
  readonly #ready: () => void
  readonly #gated: (pod: PodInfo) => boolean
  readonly #backoff: Backoff
  readonly #all = new Map<string, Waiting>()
  /** Both with some whose state is another meanwhile. */
  readonly #active: Heap<Waiting>
  readonly #resting = new Heap<{ waiting: Waiting; at: number }>((a, b) => a.at < b.at)
  /** By each plugin that refused them; under undefined those that none refused. */
  readonly #parked = new Map<Plugin | undefined, Set<Waiting>>()
  /** Those that are being tried. */
  readonly #taken = new Set<Waiting>()
  #order = 0
  #timer: { at: number; timer: Timer } | undefined
  #flush: Timer | undefined

  constructor({ clock, ready, before, gated, backoff }: QueueOptions) {
    this.#clock = clock
    this.#ready = ready
    this.#gated = gated
    this.#backoff = backoff
    this.#active = new Heap((a, b) => before(a.pod, b.pod) || (a.order < b.order && !before(b.pod, a.pod)))
  }

  get size(): number {
    return this.#all.size
  }

  /** A pod that waits, as it is now. */
  get(uid: string): PodInfo | undefined {
    return this.#all.get(uid)?.pod
  }

  /** A new pod, or a new version of one that waits. */
  set(pod: PodInfo): void {
    const known = this.#all.get(pod.uid)
    if (!known) {
      const waiting: Waiting = { pod, order: (this.#order += 1), failures: 0, notBefore: 0, state: 'gated', by: [], missed: [] }
      this.#all.set(pod.uid, waiting)
      this.#admit(waiting)
      return
    }
    const changed = substance(known.pod) !== substance(pod)
    known.pod = pod
    if (!changed) return
    if (known.state === 'gated') this.#admit(known)
    else if (known.state === 'parked') this.#rest(known)
  }

  /** A new version of a pod, if it waits: it is the one to try next. */
  refresh(pod: PodInfo): void {
    if (this.#all.has(pod.uid)) this.set(pod)
  }

  delete(uid: string): void {
    const known = this.#all.get(uid)
    if (!known) return
    this.#all.delete(uid)
    this.#unpark(known)
    this.#taken.delete(known)
    known.state = 'gone'
  }

  /** The next pod to place. It stays known until `delete`; a failure is told by `park` or `retry`. */
  take(): PodInfo | undefined {
    let next = this.#active.pop()
    while (next && next.state !== 'active') next = this.#active.pop()
    if (next) this.#try(next)
    return next?.pod
  }

  /** Takes this one as well, out of its turn. False: it is not to be tried, or is being tried. */
  claim(uid: string): boolean {
    const waiting = this.#all.get(uid)
    if (!waiting || waiting.state === 'gated' || waiting.state === 'taken') return false
    this.#unpark(waiting)
    this.#try(waiting)
    return true
  }

  /** The pod taken fitted nowhere, as these plugins say. */
  park(uid: string, by: readonly Plugin[]): void {
    const waiting = this.#failed(uid)
    if (!waiting) return
    // What happened while it waited for a permission was heard by nobody.
    if (waiting.missed.length >= mostMissed || waiting.missed.some((event) => helps(by, waiting.pod, event))) return this.#rest(waiting)
    waiting.state = 'parked'
    waiting.by = by
    for (const plugin of by.length ? by : [undefined]) {
      const set = this.#parked.get(plugin)
      if (set) set.add(waiting)
      else this.#parked.set(plugin, new Set([waiting]))
    }
    this.#flush ??= this.#clock.after(flushEvery, () => {
      this.#flush = undefined
      for (const set of this.#parked.values()) for (const each of set) this.#rest(each, false)
      this.#advance()
    })
  }

  /** The pod taken fitted, and something else went wrong: it comes back by itself. */
  retry(uid: string): void {
    const waiting = this.#failed(uid)
    if (waiting) this.#rest(waiting)
  }

  /** A parked pod is to be tried again. */
  wake(uid: string): void {
    const waiting = this.#all.get(uid)
    if (waiting?.state === 'parked') this.#rest(waiting)
  }

  /** Something changed that may let some fit. */
  happened(event: ClusterEvent): void {
    for (const waiting of this.#taken) if (waiting.missed.length < mostMissed) waiting.missed.push(event)
    if (this.#parked.size === 0) return
    const woken: Waiting[] = []
    for (const [plugin, set] of this.#parked) {
      if (plugin && !plugin.hints?.[event.name]) continue
      for (const waiting of set) if (helps(plugin && [plugin], waiting.pod, event)) woken.push(waiting)
    }
    for (const waiting of woken) if (waiting.state === 'parked') this.#rest(waiting, false)
    if (woken.length) this.#advance()
  }

  close(): void {
    this.#timer?.timer.cancel()
    this.#timer = undefined
    this.#flush?.cancel()
    this.#flush = undefined
    this.#all.clear()
    this.#active.clear()
    this.#resting.clear()
    this.#parked.clear()
    this.#taken.clear()
  }

  #try(waiting: Waiting): void {
    waiting.state = 'taken'
    waiting.missed = []
    this.#taken.add(waiting)
  }

  #admit(waiting: Waiting): void {
    if (this.#gated(waiting.pod)) waiting.state = 'gated'
    else this.#rest(waiting)
  }

  #failed(uid: string): Waiting | undefined {
    const waiting = this.#all.get(uid)
    if (waiting?.state !== 'taken') return undefined
    this.#taken.delete(waiting)
    const { first, longest } = this.#backoff
    waiting.notBefore = this.#clock.monotonic() + Math.min(first * 2 ** Math.min(waiting.failures, 20), longest)
    waiting.failures += 1
    return waiting
  }

  #unpark(waiting: Waiting): void {
    if (waiting.state !== 'parked') return
    for (const plugin of waiting.by.length ? waiting.by : [undefined]) {
      const set = this.#parked.get(plugin)
      set?.delete(waiting)
      if (set?.size === 0) this.#parked.delete(plugin)
    }
  }

  #rest(waiting: Waiting, advance = true): void {
    this.#unpark(waiting)
    waiting.state = 'resting'
    this.#resting.push({ waiting, at: waiting.notBefore })
    if (advance) this.#advance()
  }

  /** Activates all whose time has come, and only then has them taken, so that the first by order goes first. */
  #advance(): void {
    const now = this.#clock.monotonic()
    let some = false
    let next = this.#resting.first
    while (next) {
      const { waiting, at } = next
      const counts = waiting.state === 'resting' && waiting.notBefore === at
      if (counts && at > now) break
      this.#resting.pop()
      if (counts) {
        waiting.state = 'active'
        this.#active.push(waiting)
        some = true
      }
      next = this.#resting.first
    }
    if (next && next.at < (this.#timer?.at ?? Number.POSITIVE_INFINITY)) {
      this.#timer?.timer.cancel()
      const timer = this.#clock.after(next.at - now, () => {
        this.#timer = undefined
        this.#advance()
      })
      this.#timer = { at: next.at, timer }
    }
    if (some) this.#ready()
  }
}

/** Whether one of these has refused the pod for what the event may have changed; without any that refused it everything may help. */
const helps = (by: readonly Plugin[] | undefined, pod: PodInfo, event: ClusterEvent): boolean =>
  !by?.length || by.some(({ hints }) => (hints?.[event.name] as ((pod: PodInfo, event: ClusterEvent) => boolean) | undefined)?.(pod, event))

/** What of a pod bears on where it can go; its status, which we write ourselves, does not. */
const substance = ({ pod: { spec, metadata } }: PodInfo): string => JSON.stringify([spec, metadata.labels])
