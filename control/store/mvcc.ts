// The store over any engine: revisions, compare-and-swap, grouped commits, watch.
//
// A write is decided at once against what is acknowledged plus what is under way, then waits for its
// group: one synced commit takes everything that queued up while the one before it ran. Readers and
// watchers see a write only after that commit. If a commit fails, nobody can say what reached the
// disk: every write under way fails, and the state is read back before the next one is taken.

import type { Log } from '#api/log.ts'
import type { Engine, Marks } from './engine.ts'
import type { StoredRecord } from './record.ts'
import { Compacted, type Entry, type ListPage, RevisionMismatch, type Store, type StoreEvent } from './store.ts'
import { Subscription } from './subscription.ts'
import { KeySpace, type LogItem } from './versions.ts'

/** Ephemeral writes take revisions without touching the disk; this many are reserved by one durable mark. */
const reservation = 10_000
/** Events of the past, read from the disk together. */
const replayedAtOnce = 256
const noValue = new Uint8Array(0)

type Write = { revision: number; key: string; entry: Entry | undefined; ephemeral: boolean; settle: (failure?: unknown) => void }

export async function openMvcc({ engine, log }: { engine: Engine; log: Log }): Promise<Store> {
  const store = new MvccStore(engine, log)
  await store.load()
  return store
}

class MvccStore implements Store {
  readonly #engine: Engine
  readonly #log: Log
  readonly #keys = new KeySpace()
  /** Values of ephemeral writes that history still needs, by revision. */
  readonly #volatile = new Map<number, Uint8Array>()
  readonly #subscriptions = new Set<Subscription>()
  #marks: Marks = { compacted: 0, reserved: 0 }
  #revision = 1
  #assigned = 1
  /** What the writes under way will have made of their keys. */
  readonly #pending = new Map<string, Entry | undefined>()
  #queue: Write[] = []
  #committing: Promise<void> | undefined
  #failed = false
  #closed = false

  constructor(engine: Engine, log: Log) {
    this.#engine = engine
    this.#log = log
  }

  get revision(): number {
    return this.#revision
  }

  async load(): Promise<void> {
    this.#keys.clear()
    let last = 1
    for await (const { revision, record } of this.#engine.load()) {
      this.#keys.apply(record.key, revision, record.type === 'put' ? entryOf(revision, record) : undefined)
      last = revision
    }
    this.#marks = await this.#engine.marks()
    this.#keys.compact(this.#marks.compacted)
    // The newest record may have been a deletion that compaction has dropped since.
    this.#revision = Math.max(last, this.#marks.reserved, this.#marks.compacted)
    this.#assigned = this.#revision
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#keys.current(key)
  }

  async latest(key: string): Promise<Entry | undefined> {
    return this.#latest(key)
  }

  async settled(): Promise<void> {
    const assigned = this.#assigned
    while (this.#committing && this.#revision < assigned) await this.#committing
  }

  async list(prefix: string, options: { revision?: number; limit?: number; after?: string } = {}): Promise<ListPage> {
    const now = this.#revision
    const revision = options.revision || now
    this.#demand(revision)
    const limit = options.limit || Number.POSITIVE_INFINITY
    const found: (Entry | { key: string; at: number })[] = []
    let remaining = 0
    for (const key of this.#keys.keysUnder(prefix, options.after)) {
      const at = this.#keys.revisionAt(key, revision)
      if (!at) continue
      if (found.length >= limit) remaining += 1
      else {
        const current = this.#keys.current(key)
        found.push(current?.modRevision === at ? current : { key, at })
      }
    }
    const entries = await Promise.all(found.map(async (f) => ('value' in f ? f : this.#version(f.key, f.at))))
    this.#demand(revision) // a compaction may have come in between
    return { entries: entries.filter((e) => e !== undefined), revision, remaining }
  }

  put(
    key: string,
    value: Uint8Array | ((revision: number) => Uint8Array),
    options: { expected?: number; ephemeral?: boolean } = {},
  ): Promise<Entry> {
    return this.#write(key, options, (revision, before) => ({
      key,
      value: typeof value === 'function' ? value(revision) : value,
      createRevision: before?.createRevision ?? revision,
      modRevision: revision,
    })).then((write) => write.entry as Entry)
  }

  async delete(key: string, options: { expected?: number } = {}): Promise<Entry | undefined> {
    const before = this.#latest(key)
    if (!before && !options.expected) return undefined
    // What was only ever in memory is deleted in memory.
    const ephemeral = before !== undefined && this.#volatile.has(before.modRevision)
    await this.#write(key, { ...options, ephemeral }, () => undefined)
    return before
  }

  async *watch(prefix: string, { after, signal }: { after: number; signal: AbortSignal }): AsyncGenerator<StoreEvent[]> {
    if (signal.aborted) return
    this.#demand(after)
    const subscription = new Subscription(prefix)
    const end = () => subscription.end()
    // Registered before history is read, so nothing falls between the two.
    const history = this.#keys.logAfter(after).filter((item) => item.key.startsWith(prefix))
    this.#subscriptions.add(subscription)
    signal.addEventListener('abort', end)
    try {
      for await (const events of this.#replayAll(history)) {
        if (signal.aborted) return
        yield events
      }
      yield* subscription.events()
    } finally {
      signal.removeEventListener('abort', end)
      this.#subscriptions.delete(subscription)
    }
  }

  async *history(prefix: string, { after, upTo }: { after: number; upTo: number }): AsyncGenerator<StoreEvent[]> {
    this.#demand(after)
    yield* this.#replayAll(this.#keys.logAfter(after).filter((item) => item.revision <= upTo && item.key.startsWith(prefix)))
  }

  async compact(revision: number): Promise<void> {
    const upTo = Math.min(revision, this.#revision)
    if (upTo <= this.#marks.compacted) return
    this.#marks.compacted = upTo
    const drop = this.#keys.compact(upTo).filter((r) => !this.#volatile.delete(r))
    // An idle cluster has only heartbeats to forget, which were never on the disk: leave it alone then.
    if (drop.length > 0) await this.#engine.commit({ drop, marks: { compacted: upTo } })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#committing
    for (const subscription of this.#subscriptions) subscription.end()
    await this.#engine.close()
  }

  #latest(key: string): Entry | undefined {
    return this.#pending.has(key) ? this.#pending.get(key) : this.#keys.current(key)
  }

  async #write(
    key: string,
    options: { expected?: number; ephemeral?: boolean },
    make: (revision: number, before: Entry | undefined) => Entry | undefined,
  ): Promise<Write> {
    if (this.#closed) throw new Error(`writing ${key}: the store is closed`)
    while (this.#failed) await this.#recover()
    const before = this.#latest(key)
    if (options.expected !== undefined && (before?.modRevision ?? 0) !== options.expected) throw new RevisionMismatch(key, before)
    this.#assigned += 1
    const revision = this.#assigned
    const entry = make(revision, before)
    this.#pending.set(key, entry)
    return await new Promise((resolve, reject) => {
      const write: Write = {
        revision,
        key,
        entry,
        ephemeral: options.ephemeral ?? false,
        settle: (failure) => (failure === undefined ? resolve(write) : reject(failure)),
      }
      this.#queue.push(write)
      this.#committing ??= this.#commitAll().finally(() => {
        this.#committing = undefined
      })
    })
  }

  /** Commits group after group until nothing waits. Never rejects: each write learns its own fate. */
  async #commitAll(): Promise<void> {
    await Promise.resolve() // writes made in the same turn share the first group
    while (this.#queue.length > 0) {
      const group = this.#queue
      this.#queue = []
      try {
        await this.#commit(group)
      } catch (cause) {
        this.#log.error({ err: cause, writes: group.length }, 'the store could not commit; reading its state back')
        this.#failed = true
        const lost = [...group, ...this.#queue]
        this.#queue = []
        this.#pending.clear()
        for (const write of lost) write.settle(new Error(`writing ${write.key}: the store could not commit`, { cause }))
        return
      }
      const events = group.map((write) => this.#acknowledge(write))
      for (const subscription of this.#subscriptions) subscription.publish(events)
      for (const write of group) write.settle()
    }
  }

  async #commit(group: Write[]): Promise<void> {
    const durable = group.filter((w) => !w.ephemeral)
    const last = (group.at(-1) as Write).revision
    const reserve = last > this.#marks.reserved && durable.length < group.length
    if (durable.length === 0 && !reserve) return
    const append = durable.map(({ revision, key, entry }) => ({
      revision,
      record: {
        type: entry ? 'put' : 'delete',
        key,
        createRevision: entry?.createRevision ?? 0,
        value: entry?.value ?? noValue,
      } satisfies StoredRecord,
    }))
    if (reserve) this.#marks.reserved = last + reservation
    await this.#engine.commit({ append, ...(reserve && { marks: { reserved: this.#marks.reserved } }) })
  }

  #acknowledge({ revision, key, entry, ephemeral }: Write): StoreEvent {
    if (ephemeral && entry) this.#volatile.set(revision, entry.value)
    const previous = this.#keys.apply(key, revision, entry)
    this.#revision = revision
    if (this.#pending.get(key) === entry) this.#pending.delete(key)
    return entry ? { type: 'put', entry, ...(previous && { previous }) } : { type: 'delete', key, revision, previous: previous as Entry }
  }

  #recovering: Promise<void> | undefined
  /** Reads back what the disk holds; a watcher cannot be told exactly what changed, so it must list again. */
  #recover(): Promise<void> {
    this.#recovering ??= (async () => {
      const seen = this.#assigned
      for (const subscription of this.#subscriptions) subscription.end(new Compacted(this.#revision, seen + 1))
      this.#volatile.clear()
      await this.load()
      // Revisions that were handed out and lost are not handed out again.
      this.#revision = Math.max(this.#revision, seen)
      this.#assigned = this.#revision
      this.#marks = { compacted: this.#revision, reserved: Math.max(this.#marks.reserved, this.#revision) }
      await this.#engine.commit({ drop: this.#keys.compact(this.#revision), marks: this.#marks })
      this.#failed = false
    })().finally(() => {
      this.#recovering = undefined
    })
    return this.#recovering
  }

  #demand(revision: number): void {
    if (revision < this.#marks.compacted) throw new Compacted(revision, this.#marks.compacted)
  }

  async #read(revision: number): Promise<Entry | undefined> {
    const record = await this.#engine.read(revision)
    return record && entryOf(revision, record)
  }

  async *#replayAll(items: LogItem[]): AsyncGenerator<StoreEvent[]> {
    for (let at = 0; at < items.length; at += replayedAtOnce) {
      yield await Promise.all(items.slice(at, at + replayedAtOnce).map((item) => this.#replay(item)))
    }
  }

  async #replay(item: LogItem): Promise<StoreEvent> {
    const [entry, previous] = await Promise.all([
      item.deleted ? undefined : this.#version(item.key, item.revision),
      item.previous ? this.#version(item.key, item.previous) : undefined,
    ])
    if (entry) return { type: 'put', entry, ...(previous && { previous }) }
    if (item.deleted && previous) return { type: 'delete', key: item.key, revision: item.revision, previous }
    throw new Compacted(item.revision, this.#marks.compacted)
  }

  async #version(key: string, revision: number): Promise<Entry | undefined> {
    const current = this.#keys.current(key)
    if (current?.modRevision === revision) return current
    const value = this.#volatile.get(revision)
    return value ? { key, value, createRevision: revision, modRevision: revision } : await this.#read(revision)
  }
}

const entryOf = (revision: number, record: StoredRecord): Entry => ({
  key: record.key,
  value: record.value,
  createRevision: record.createRevision,
  modRevision: revision,
})
