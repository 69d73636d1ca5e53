// One priority level: seats, and queues for those who wait for one. Among queues the one that has had
// the least service goes first (start-time fair queuing), so many requests of one flow take turns with
// the few of another.

import type { PriorityLevelConfigurationSpec } from '#api/types/flowcontrol-v1.gen.ts'
import { handOf } from './hand.ts'

type Queuing = { queues: number; handSize: number; queueLengthLimit: number }

/** One request that waits. */
export type Waiter = { seats: number; start(queue: Queue): void }

export type Queue = {
  readonly waiting: Waiter[]
  executing: number
  /** Virtual time: seats × milliseconds that it has had, counted from when it last became busy. */
  served: number
}

/** What a request is thought to take before it has been seen, in milliseconds. */
const firstGuessMs = 5
const leastMs = 0.1

export class Level {
  readonly name: string
  uid = ''
  exempt = false
  /** Seats by its shares. */
  nominal = 0
  /** Of these, what it never lends. */
  kept = 0
  /** With what it may borrow. */
  most = Number.POSITIVE_INFINITY
  #queuing: Queuing | undefined
  #seats = 0
  #waiting = 0
  #executing = 0
  readonly #queues = new Map<number, Queue>()
  #virtualTime = 0
  #usualMs = firstGuessMs

  constructor(name: string) {
    this.name = name
  }

  get seatsInUse(): number {
    return this.#seats
  }

  get executing(): number {
    return this.#executing
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Whether it has any: else who finds no seat is sent away. */
  get queues(): boolean {
    return this.#queuing !== undefined
  }

  /** `seats`: what all levels share; `shares`: the sum of all levels'. */
  configure(uid: string, spec: PriorityLevelConfigurationSpec, seats: number, shares: number): void {
    this.uid = uid
    this.exempt = spec.type === 'Exempt'
    const { limited } = spec
    const own = limited ?? spec.exempt
    this.nominal = Math.ceil((seats * (own?.nominalConcurrencyShares ?? 0)) / Math.max(shares, 1))
    this.kept = this.nominal - Math.round((this.nominal * (own?.lendablePercent ?? 0)) / 100)
    const borrowing = limited?.borrowingLimitPercent
    this.most = borrowing === undefined ? Number.POSITIVE_INFINITY : this.nominal + Math.round((this.nominal * borrowing) / 100)
    this.#queuing = limited?.limitResponse.queuing
  }

  take(seats: number): void {
    this.#seats += seats
    this.#executing += 1
  }

  give(seats: number): void {
    this.#seats -= seats
    this.#executing -= 1
  }

  /** False: there is no room. */
  enqueue(flow: string, waiter: Waiter): boolean {
    const queue = this.#queueFor(flow)
    if (!queue) return false
    if (queue.waiting.length === 0 && queue.executing === 0) queue.served = Math.max(queue.served, this.#virtualTime)
    queue.waiting.push(waiter)
    this.#waiting += 1
    return true
  }

  /** The shortest of the flow's hand, where it is not full. */
  #queueFor(flow: string): Queue | undefined {
    if (!this.#queuing) return undefined
    const { queues, handSize, queueLengthLimit } = this.#queuing
    let best: { number: number; load: number } | undefined
    for (const number of handOf(flow, queues, handSize)) {
      const queue = this.#queues.get(number)
      const load = queue ? queue.waiting.length + queue.executing : 0
      if ((queue?.waiting.length ?? 0) < queueLengthLimit && (!best || load < best.load)) best = { number, load }
    }
    if (!best) return undefined
    const queue = this.#queues.get(best.number) ?? { waiting: [], executing: 0, served: 0 }
    this.#queues.set(best.number, queue)
    return queue
  }

  /** Takes back a waiter that gave up. */
  withdraw(waiter: Waiter): void {
    for (const queue of this.#queues.values()) {
      const at = queue.waiting.indexOf(waiter)
      if (at < 0) continue
      queue.waiting.splice(at, 1)
      this.#waiting -= 1
      this.#forgetIdle()
      return
    }
  }

  /** Whose turn it is. */
  next(): Waiter | undefined {
    return this.#first()?.waiting[0]
  }

  #first(): Queue | undefined {
    let first: Queue | undefined
    for (const queue of this.#queues.values()) if (queue.waiting.length > 0 && (!first || queue.served < first.served)) first = queue
    return first
  }

  /** Lets the one whose turn it is go; its seats are taken. */
  startNext(): void {
    const queue = this.#first()
    const waiter = queue?.waiting.shift()
    if (!queue || !waiter) return
    this.#waiting -= 1
    this.#virtualTime = queue.served
    queue.executing += 1
    queue.served += waiter.seats * this.#usualMs
    this.take(waiter.seats)
    waiter.start(queue)
  }

  /** One that was started from a queue is done; what it really took is charged. */
  finish(queue: Queue, seats: number, ms: number): void {
    // Nothing is for free, however fast it was.
    const took = Math.max(ms, leastMs)
    queue.executing -= 1
    queue.served += seats * (took - this.#usualMs)
    this.#usualMs += (took - this.#usualMs) / 16
    this.#forgetIdle()
  }

  #forgetIdle(): void {
    if (this.#waiting > 0) return
    for (const [number, queue] of this.#queues) if (queue.executing === 0) this.#queues.delete(number)
  }
}
