// Everything in the store, in memory, kept current by one watch over all of it, so that its revision
// moves with every write of any kind. Readers who need what is acknowledged now wait until the cache
// has seen it.

import { type Clock, sleep } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { Log } from '#api/log.ts'
import { Compacted, type Entry, type Store } from '../../store/store.ts'
import { type Resource, registryPrefix } from '../objects/resource.ts'
import { Change } from './change.ts'
import { Collection } from './collection.ts'
import { Allowance } from './history.ts'
import { Item } from './item.ts'

/** How long a reader waits for a revision that the store has not reached. */
const patienceMs = 3000
const reloadAgainMs = 1000

type Waiter = { revision: number; resolve: () => void }
type Listener = (resource: Resource, change: Change) => void

export class WatchCache {
  readonly #store: Store
  readonly #log: Log
  readonly #clock: Clock
  readonly #collections = new Map<string, { resource: Resource; collection: Collection }>()
  readonly #stop = new AbortController()
  readonly #listeners = new Set<Listener>()
  /** Of prefixes that are not held: the last change there. */
  readonly #passedOver = new Map<string, number>()
  readonly #allowance = new Allowance()
  #waiters: Waiter[] = []
  #revision = 0
  #reloads = 0
  #following: Promise<void> | undefined

  constructor({ store, log, clock }: { store: Store; log: Log; clock: Clock }) {
    this.#store = store
    this.#log = log
    this.#clock = clock
  }

  /** What the cache shows. */
  get revision(): number {
    return this.#revision
  }

  /** Holds one more resource from now on; only its kind and schema where it is held already. */
  async add(resource: Resource): Promise<void> {
    const { prefix } = resource
    const found = this.#collections.get(prefix)
    if (found) {
      found.resource = resource
      return
    }
    for (;;) {
      const revision = this.#revision
      const reloads = this.#reloads
      const { entries } = await this.#store.list(prefix, { revision })
      // Events of what is not held are passed over: none may have come while it was read.
      if (reloads !== this.#reloads || (this.#passedOver.get(prefix) ?? 0) > revision) continue
      const items = entries.map((entry) => new Item(entry))
      this.#collections.set(prefix, { resource, collection: this.#collection(prefix, items, revision) })
      return
    }
  }

  /** Cleanly: who watches comes back. */
  endWatches({ prefix }: Resource): void {
    this.#collections.get(prefix)?.collection.close()
  }

  remove(resource: Resource): void {
    this.endWatches(resource)
    this.#collections.delete(resource.prefix)
  }

  async start(resources: readonly Resource[]): Promise<void> {
    const revision = await this.#store.revision()
    for (const resource of resources) {
      const { entries } = await this.#store.list(resource.prefix, { revision })
      const items = entries.map((entry) => new Item(entry))
      this.#collections.set(resource.prefix, { resource, collection: this.#collection(resource.prefix, items, revision) })
    }
    this.#revision = revision
    this.#following = this.#follow()
  }

  of(resource: Resource): Collection {
    const found = this.#collections.get(resource.prefix)
    if (!found) throw new StatusError('ServiceUnavailable', `the cache of ${resource.name} is not ready`)
    return found.collection
  }

  /** How many objects there are; none of what is not held. */
  sizeOf({ prefix }: Resource): number {
    return this.#collections.get(prefix)?.collection.size ?? 0
  }

  /** Called with every change, in order, before any watch is told; after a reload with what has become different. */
  onChange(listener: Listener): void {
    this.#listeners.add(listener)
  }

  /** Resolves once the cache shows every write acknowledged so far. */
  async current(): Promise<void> {
    await this.reach(await this.#store.revision())
  }

  /** Resolves once the cache shows `revision`. */
  async reach(revision: number): Promise<void> {
    if (revision <= this.#revision) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter = { revision, resolve }
    this.#waiters.push(waiter)
    const timer = this.#clock.after(patienceMs, resolve)
    await promise
    timer.cancel()
    if (revision <= this.#revision) return
    this.#waiters = this.#waiters.filter((w) => w !== waiter)
    throw new StatusError('Timeout', `Too large resource version: ${revision}, current: ${this.#revision}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    })
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#following
    for (const { collection } of this.#collections.values()) collection.close()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      try {
        for await (const events of this.#store.watch(registryPrefix, { after: this.#revision, signal })) {
          for (const event of events) this.#apply(Change.from(event))
          this.#tellWaiters()
        }
        if (signal.aborted) return
      } catch (err) {
        if (signal.aborted) return
        // The cache itself fell behind, or the store had to read its state back: what happened is not known one by one.
        if (err instanceof Compacted)
          this.#log.warn({ revision: this.#revision }, 'the watch cache reads everything anew; every watch starts over')
        else this.#log.error({ err }, 'the watch cache could not follow the store; it reads everything anew')
        await this.#reload()
      }
    }
  }

  #collection(prefix: string, items: Item[], revision: number): Collection {
    const now = () => this.#revision
    return new Collection({ prefix, items, revision, now, allowance: this.#allowance, clock: this.#clock, log: this.#log })
  }

  #apply(change: Change): void {
    this.#revision = change.revision
    const { key } = change.item
    const end = key.indexOf('/', key.indexOf('/', registryPrefix.length) + 1) + 1
    const found = this.#collections.get(key.slice(0, end))
    if (!found) {
      this.#passedOver.set(key.slice(0, end), change.revision)
      return
    }
    for (const listener of this.#listeners) listener(found.resource, change)
    found.collection.apply(change)
  }

  async #reload(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        return await this.#readAnew()
      } catch (err) {
        if (!(err instanceof Compacted)) {
          this.#log.error({ err }, 'the watch cache cannot be read anew; it is tried again')
          await sleep(this.#clock, reloadAgainMs, signal)
        }
      }
    }
  }

  /** Readers have what was there until all of the new is; then listeners are told of each difference, and watches end. */
  async #readAnew(): Promise<void> {
    this.#reloads += 1
    const revision = await this.#store.revision()
    const fresh = new Map<string, Item[]>()
    for (const [prefix, { collection }] of this.#collections) {
      const { entries } = await this.#store.list(prefix, { revision })
      const known = (entry: Entry) => {
        const item = collection.get(entry.key)
        return item?.revision === entry.modRevision ? item : new Item(entry)
      }
      fresh.set(prefix, entries.map(known))
    }
    const told: { resource: Resource; change: Change }[] = []
    const over: Collection[] = []
    for (const [prefix, found] of this.#collections) {
      const { resource, collection } = found
      const items = fresh.get(prefix)
      if (!items) continue
      for (const change of collection.differences(items, revision)) told.push({ resource, change })
      over.push(collection)
      found.collection = this.#collection(prefix, items, revision)
    }
    this.#revision = Math.max(revision, this.#revision)
    for (const { resource, change } of told.sort((a, b) => a.change.revision - b.change.revision)) {
      for (const listener of this.#listeners) listener(resource, change)
    }
    for (const collection of over) collection.close()
    this.#tellWaiters()
  }

  /** The store shows a write as its current revision before it tells the watch. */
  #tellWaiters(): void {
    if (this.#waiters.length === 0) return
    for (const waiter of this.#waiters) if (waiter.revision <= this.#revision) waiter.resolve()
    this.#waiters = this.#waiters.filter((w) => w.revision > this.#revision)
  }
}
