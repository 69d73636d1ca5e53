// Priority and fairness: who may be served now, who waits and who is sent away, as FlowSchema and
// PriorityLevelConfiguration objects say. A request takes seats before it is served and gives them back
// when its answer stands. While seats are free that is a match, an addition and a subtraction.

import type { Clock } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { FlowSchema, PriorityLevelConfiguration, PriorityLevelConfigurationSpec } from '#api/types/flowcontrol-v1.gen.ts'
import type { Attempt } from '../auth/authorizer.ts'
import { defaultLevels, defaultSchemas, mandatory } from './defaults.ts'
import { type Flow, flowsOf } from './flows.ts'
import { Level, type Queue, type Waiter } from './level.ts'

export type Seat = { release(): void }
/** Where a request belongs. */
export type Place = { readonly flowUid: string; readonly levelUid: string }

type Options = {
  /** Of all levels together. */
  seats: number
  clock: Clock
  /** Runs something once the events that are due have been seen to. */
  soon: (run: () => void) => void
}
type Objects = { schemas: Iterable<FlowSchema>; levels: Iterable<PriorityLevelConfiguration> }

export type Asking = {
  /** How many seats it takes; asked only where seats are counted. */
  seats(): number
  signal: AbortSignal
}

type Rejection = 'queue-full' | 'concurrency-limit' | 'time-out'
export type FlowCount = { flow: string; level: string; dispatched: number; rejected: Record<Rejection, number> }
type Entry = Place & { flow: Flow; level: Level; count: FlowCount }

/** What is not counted need not be given back. */
const exemptSeat: Seat = Object.freeze({ release() {} })

/** A quarter of what a request may take, as in Kubernetes. */
const waitsMs = 15_000

export class Fairness {
  readonly #options: Options
  readonly #levels = new Map<string, Level>()
  readonly #counts = new Map<string, FlowCount>()
  #entries: Entry[] = []
  #last: Entry | undefined
  /** Of all levels that count them. */
  #inUse = 0
  #waiting = 0
  #isDispatching = false
  #stale: (() => Objects) | undefined

  constructor(options: Options) {
    this.#options = options
    this.configure({ schemas: [], levels: [] })
  }

  get levels(): Iterable<Level> {
    return this.#levels.values()
  }

  get counts(): Iterable<FlowCount> {
    return this.#counts.values()
  }

  /** From now on these objects hold, and the mandatory ones whether or not they are among them. */
  configure(objects: Objects): void {
    const specs = new Map<string, { uid: string; spec: PriorityLevelConfigurationSpec }>()
    for (const { metadata, spec } of objects.levels) specs.set(metadata.name, { uid: metadata.uid, spec })
    for (const name of mandatory) if (!specs.has(name)) specs.set(name, { uid: '', spec: defaultLevels.get(name)! })
    let shares = 0
    for (const { spec } of specs.values()) shares += (spec.limited ?? spec.exempt)?.nominalConcurrencyShares ?? 0
    for (const [name, { uid, spec }] of specs) {
      const level = this.#levels.get(name) ?? new Level(name)
      this.#levels.set(name, level)
      level.configure(uid, spec, this.#options.seats, shares)
    }
    // Who holds a seat of a level that is gone, or waits for one, finishes there.
    for (const [name, level] of this.#levels) {
      if (!specs.has(name) && level.executing + level.waiting === 0) this.#levels.delete(name)
    }
    const schemas = new Map([...objects.schemas].map((schema) => [schema.metadata.name, schema]))
    for (const name of mandatory) {
      const metadata = { name, uid: '', resourceVersion: '' }
      if (!schemas.has(name)) schemas.set(name, { metadata, spec: defaultSchemas.get(name)! } as FlowSchema)
    }
    this.#entries = flowsOf(schemas.values()).flatMap((flow) => {
      const level = specs.has(flow.level) ? this.#levels.get(flow.level) : undefined
      return level ? [this.#entry(flow, level)] : []
    })
    this.#last = this.#entries.find(({ flow }) => flow.name === 'catch-all')
    for (const name of this.#counts.keys()) if (!schemas.has(name)) this.#counts.delete(name)
    if (this.#waiting > 0) this.#dispatchSoon()
  }

  #entry(flow: Flow, level: Level): Entry {
    const known = this.#counts.get(flow.name)
    const count = known?.level === level.name ? known : newCount(flow.name, level.name)
    this.#counts.set(flow.name, count)
    return { flow, level, count, flowUid: flow.uid, levelUid: level.uid }
  }

  /** What holds has changed: it is read again when somebody asks. */
  changed(read: () => Objects): void {
    this.#stale = read
  }

  placeOf(attempt: Attempt): Place {
    if (this.#stale) {
      const objects = this.#stale()
      this.#stale = undefined
      this.configure(objects)
    }
    // The last schema takes whoever is left, in whatever groups.
    return this.#entries.find(({ flow }) => flow.matches(attempt)) ?? this.#last!
  }

  /** A seat at that place, at once where there is one. Throws TooManyRequests. */
  enter(place: Place, attempt: Attempt, asking: Asking): Seat | Promise<Seat> {
    const entry = place as Entry
    const { level, count } = entry
    if (level.exempt) {
      count.dispatched += 1
      return exemptSeat
    }
    const seats = Math.max(1, asking.seats())
    if (level.waiting === 0 && this.#hasRoom(level, seats)) {
      level.take(seats)
      this.#inUse += seats
      count.dispatched += 1
      return this.#seat(entry, seats, undefined)
    }
    return this.#queued(entry, attempt, seats, asking.signal)
  }

  /** What a level keeps is its own; beyond it, seats that nobody else is sure to need. */
  #hasRoom(level: Level, seats: number): boolean {
    const after = level.seatsInUse + seats
    if (after <= level.kept || level.seatsInUse === 0) return true
    if (after > level.most) return false
    let reserved = 0
    for (const other of this.#levels.values()) if (other !== level) reserved += Math.max(0, other.kept - other.seatsInUse)
    return this.#inUse + seats + reserved <= this.#options.seats
  }

  #queued(entry: Entry, attempt: Attempt, seats: number, signal: AbortSignal): Promise<Seat> {
    const { flow, level, count } = entry
    const { promise, resolve, reject } = Promise.withResolvers<Seat>()
    const leave = (error: Error) => {
      level.withdraw(waiter)
      this.#waiting -= 1
      settled()
      reject(error)
    }
    const gone = () => leave(new StatusError('Timeout', 'the client has gone'))
    const waiter: Waiter = {
      seats,
      start: (queue) => {
        this.#waiting -= 1
        this.#inUse += seats
        count.dispatched += 1
        settled()
        resolve(this.#seat(entry, seats, queue))
      },
    }
    if (!level.enqueue(`${flow.name}\0${flow.distinguisher(attempt)}`, waiter)) {
      count.rejected[level.queues ? 'queue-full' : 'concurrency-limit'] += 1
      throw tooMany()
    }
    this.#waiting += 1
    const timer = this.#options.clock.after(waitsMs, () => {
      count.rejected['time-out'] += 1
      leave(tooMany())
    })
    const settled = () => {
      timer.cancel()
      signal.removeEventListener('abort', gone)
    }
    signal.addEventListener('abort', gone, { once: true })
    return promise
  }

  #seat({ level }: Entry, seats: number, queue: Queue | undefined): Seat {
    const started = queue ? this.#options.clock.monotonic() : 0
    let isHeld = true
    return {
      release: () => {
        if (!isHeld) return
        isHeld = false
        level.give(seats)
        this.#inUse -= seats
        if (queue) level.finish(queue, seats, this.#options.clock.monotonic() - started)
        if (this.#waiting > 0) this.#dispatchSoon()
      },
    }
  }

  #dispatchSoon(): void {
    if (this.#isDispatching) return
    this.#isDispatching = true
    this.#options.soon(() => this.#dispatch())
  }

  /**
   * One of each level: all run on one thread, so between two of a greedy client's requests the event
   * loop gets to see who else has come.
   */
  #dispatch(): void {
    this.#isDispatching = false
    let started = false
    for (const level of this.#levels.values()) {
      const next = level.next()
      if (!next || !this.#hasRoom(level, next.seats)) continue
      level.startNext()
      started = true
    }
    if (started && this.#waiting > 0) this.#dispatchSoon()
  }
}

const newCount = (flow: string, level: string): FlowCount => ({
  flow,
  level,
  dispatched: 0,
  rejected: { 'queue-full': 0, 'concurrency-limit': 0, 'time-out': 0 },
})

const tooMany = () =>
  new StatusError('TooManyRequests', 'The server has received too many requests and has asked us to try again later', {
    retryAfterSeconds: 1,
  })
