// A live copy of all objects of one kind: list, then watch, from then on for weeks. Handlers hear each
// change exactly once and in the server's order, across lost connections, server restarts and compacted
// history: a watch resumes from the last version heard, and where that is no longer possible a new list
// is compared with the copy. What was changed several times meanwhile is heard as one change. With a memory
// it begins with what an earlier process knew where the server does not answer.

import { breather } from '../breather.ts'
import type { Client, Ref } from '../client/client.ts'
import { type Clock, sleep } from '../clock.ts'
import { isStatus, StatusError } from '../errors.ts'
import { type Kind, type KubeObject, keyOf } from '../kinds/kind.ts'
import type { Log } from '../log.ts'
import { Cache, freeze } from './cache.ts'
import type { Index } from './indexes.ts'
import type { Memory, Select, Shelf } from './memory.ts'

export type Handler<T> = { add?(object: T): void; update?(object: T, old: T): void; delete?(object: T): void }

export type InformerOptions<T> = {
  /** Cuts down what is kept of an object, for kinds of which there are many. Metadata's name, namespace, uid and version stay; idempotent. */
  trim?: (object: T) => T
  /** Nothing but the metadata of the objects is asked for, and heard. */
  metadataOnly?: boolean
}

export type InformerDeps = { client: Client; log: Log; clock: Clock; random: () => number; memory?: Memory }

/** Milliseconds between attempts to reach the server: doubled from the first to the longest, jittered. */
const firstPause = 50
const longestPause = 5_000
/** A watch that lived this long was a good one. */
const goodWatch = 5_000
/** Events of a watch between looks at how long their turn takes. */
const burst = 64
/** Objects a page of a list. */
const pageSize = 500

export class Informer<T extends KubeObject> {
  readonly kind: Kind<T>
  /** Resolves once the first list, or what was remembered of it, is in the cache and the handlers have heard of it; never rejects. */
  readonly synced: Promise<void>
  /** Resolves once the server itself has listed; never rejects. */
  readonly heard: Promise<void>
  readonly #select: Select
  readonly #trim: (object: T) => T
  readonly #metadataOnly: { metadataOnly?: boolean }
  readonly #deps: InformerDeps
  readonly #cache = new Cache<T>()
  readonly #handlers = new Set<Handler<T>>()
  readonly #closing = new AbortController()
  readonly #markSynced: () => void
  readonly #markHeard: () => void
  readonly #shelf: Shelf<T> | undefined
  /** Observed while there was no position: versions, by key, that a list may not show yet. */
  readonly #early = new Map<string, number>()
  /** Who waits to hear of a deletion, by key. */
  readonly #awaited = new Map<string, Set<() => void>>()
  /** Everything up to this version has been heard; undefined: a list is needed. */
  #position: string | undefined
  /** As an earlier process knew them, until the server has listed. */
  #recalled: readonly T[] | undefined
  /** What is in the cache is remembered, and may be less than the whole object. */
  #remembered = false
  #running: Promise<void> | undefined

  constructor(
    kind: Kind<T>,
    select: Select,
    deps: InformerDeps,
    { trim = (object) => object, metadataOnly = false }: InformerOptions<T> = {},
  ) {
    this.kind = kind
    this.#select = select
    this.#trim = trim
    this.#metadataOnly = metadataOnly ? { metadataOnly } : {}
    this.#deps = deps
    const { promise, resolve } = Promise.withResolvers<void>()
    this.synced = promise
    this.#markSynced = resolve
    const heard = Promise.withResolvers<void>()
    this.heard = heard.promise
    this.#markHeard = heard.resolve
    this.#shelf = deps.memory?.shelf(kind, select)
    this.#recalled = this.#shelf?.recall()
  }

  /** It begins with what is remembered, if the server does not answer in time. */
  get remembers(): boolean {
    return this.#recalled !== undefined
  }

  get size(): number {
    return this.#cache.size
  }

  /** By `namespace/name`, or its parts. */
  get(key: string | Ref): T | undefined {
    return this.#cache.get(key)
  }

  list(): MapIterator<T> {
    return this.#cache.values()
  }

  by(index: Index<T>, value: string): T[] {
    return this.#cache.by(index, value)
  }

  /** Hears first of all that is there already, as adds. Returns how to stop hearing. */
  on(handler: Handler<T>): () => void {
    this.#handlers.add(handler)
    for (const object of this.#cache.values()) this.#call(() => handler.add?.(object))
    return () => this.#handlers.delete(handler)
  }

  /**
   * Takes in the answer to a write of our own, so that the writer reads it here at once; the watch brings
   * it again, unheard. Only for informers that select everything, or what they select will be wrong.
   */
  observe(object: T): void {
    const version = Number(object.metadata.resourceVersion)
    if (this.#position !== undefined && version <= Number(this.#position)) return
    const key = keyOf(object.metadata)
    const known = this.#cache.get(key)
    if (known && version <= Number(known.metadata.resourceVersion)) return
    if (this.#position === undefined) this.#early.set(key, version)
    this.#put(this.#trim(object))
  }

  /**
   * Resolves once a deletion that the server has accepted shows here: the object of this uid (of any, without one)
   * is gone or on its way out. Also when the informer closes or the signal aborts: nothing is waited for in vain.
   */
  async deleted(key: string, uid: string | undefined, signal?: AbortSignal): Promise<void> {
    const there = this.#cache.get(key)
    const shows = () => {
      const known = this.#cache.get(key)
      return !known || known.metadata.uid !== (uid ?? there?.metadata.uid) || Boolean(known.metadata.deletionTimestamp)
    }
    const ended = () => this.#closing.signal.aborted || (signal?.aborted ?? false)
    while (!shows() && !ended()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wake = () => resolve()
      const waiting = this.#awaited.get(key) ?? new Set()
      this.#awaited.set(key, waiting.add(wake))
      signal?.addEventListener('abort', wake, { once: true })
      await promise
      signal?.removeEventListener('abort', wake)
      waiting.delete(wake)
      if (waiting.size === 0) this.#awaited.delete(key)
    }
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the watch and forgets the handlers; the cache stays readable. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#handlers.clear()
    for (const key of this.#awaited.keys()) this.#wake(key)
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, log } = this.#deps
    const { signal } = this.#closing
    let failures = 0
    const recall = () => this.#recall()
    const impatience = this.#recalled && clock.after(this.#shelf?.patience() ?? 0, recall)
    signal.addEventListener('abort', () => impatience?.cancel(), { once: true })
    while (!signal.aborted) {
      const began = clock.monotonic()
      const from = this.#position
      try {
        if (this.#position === undefined) await this.#relist(signal)
        await this.#follow(signal)
      } catch (error) {
        if (signal.aborted) return
        recall()
        if (outOfReach(error)) this.#position = undefined
        // Once in a row, when it is more than a restart of the server.
        log[failures === 5 ? 'warn' : 'debug']({ kind: this.kind.kind, err: error }, 'watch interrupted')
      }
      const fruitful = this.#position !== undefined && this.#position !== from
      failures = fruitful || clock.monotonic() - began > goodWatch ? 0 : failures + 1
      const pause = Math.min(firstPause * 2 ** Math.min(failures, 10), longestPause)
      await sleep(clock, pause * (0.5 + random() / 2), signal)
    }
  }

  /** Once, and only as long as the server has not listed. */
  #recall(): void {
    const objects = this.#recalled
    this.#recalled = undefined
    if (!objects || this.#closing.signal.aborted) return
    this.#remembered = true
    for (const object of objects) this.#put(object)
    this.#markSynced()
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const objects: T[] = []
    let token: string | undefined
    let version: string
    do {
      const asked = { ...this.#select, ...this.#metadataOnly, limit: pageSize, ...(token && { continue: token }), signal }
      const page = await this.#deps.client.list(this.kind, asked)
      for (const item of page.items) objects.push(this.#trim(item))
      token = page.metadata.continue
      version = page.metadata.resourceVersion
    } while (token)

    this.#recalled = undefined
    const listed = new Set(objects.map((object) => keyOf(object.metadata)))
    for (const object of this.#cache.values()) {
      const key = keyOf(object.metadata)
      if (!listed.has(key) && !((this.#early.get(key) ?? 0) > Number(version))) this.#remove(object)
    }
    const breathe = breather()
    for (const object of objects) {
      await breathe()
      if (signal.aborted) return
      const early = this.#early.get(keyOf(object.metadata))
      if (early === undefined || early <= Number(object.metadata.resourceVersion)) this.#put(object)
    }
    this.#early.clear()
    this.#position = version
    this.#remembered = false
    this.#shelf?.listed(() => this.#cache.values())
    this.#markSynced()
    this.#markHeard()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const events = this.#deps.client.watch(this.kind, {
      ...this.#select,
      ...this.#metadataOnly,
      resourceVersion: this.#position as string,
      allowWatchBookmarks: true,
      signal,
    })
    const breathe = breather()
    let heard = 0
    for await (const { type, object } of events) {
      // A burst comes without a pause of its own.
      heard += 1
      if (heard % burst === 0) await breathe()
      const version = object.metadata.resourceVersion
      if (type === 'DELETED') this.#remove(this.#trim(object))
      else if (type !== 'BOOKMARK') this.#put(this.#trim(object))
      this.#position = version
    }
  }

  #put(object: T): void {
    const key = keyOf(object.metadata)
    const known = this.#cache.get(key)
    if (known?.metadata.resourceVersion === object.metadata.resourceVersion && !this.#remembered) return
    if (known && known.metadata.uid !== object.metadata.uid) {
      // Deleted and made again while we were not listening: two objects, heard as such.
      this.#remove(known)
      return this.#put(object)
    }
    // What `observe` took in is newer than what the watch is just coming to.
    if (known && this.#position !== undefined && Number(known.metadata.resourceVersion) > Number(object.metadata.resourceVersion)) return
    this.#cache.set(freeze(object))
    this.#shelf?.changed(key, object)
    for (const handler of this.#handlers) {
      this.#call(() => (known ? handler.update?.(object, known) : handler.add?.(object)))
    }
    this.#wake(key)
  }

  #remove(object: T): void {
    const known = this.#cache.get(keyOf(object.metadata))
    if (!known || known.metadata.uid !== object.metadata.uid) return
    this.#cache.delete(keyOf(object.metadata))
    this.#shelf?.changed(keyOf(object.metadata), undefined)
    const last = freeze(object)
    for (const handler of this.#handlers) this.#call(() => handler.delete?.(last))
    this.#wake(keyOf(object.metadata))
  }

  #wake(key: string): void {
    for (const resolve of this.#awaited.get(key) ?? []) resolve()
  }

  #call(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#deps.log.error({ kind: this.kind.kind, err: error }, 'an informer handler failed')
    }
  }
}

/** The version is no longer there (compacted), or not yet (the server came back from an older copy). */
const outOfReach = (error: unknown): boolean =>
  isStatus(error, 'Expired', 'Gone') ||
  (error instanceof StatusError && (error.details?.causes?.some((cause) => cause.reason === 'ResourceVersionTooLarge') ?? false))
