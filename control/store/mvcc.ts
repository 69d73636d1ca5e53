// The store over any engine: revisions, compare-and-swap, grouped commits, watch.
//
// A write is decided at once against what is acknowledged plus what is under way, then waits for its
// group: one synced commit takes everything that queued up while the one before it ran. Readers and
// watchers see a write only after that commit. If a commit fails, nobody can say what reached the
// disk: every write under way fails, and the state is read back before the next one is taken. Until it
// is, readers have what was acknowledged; then the new state takes its place, and watchers start over.

import { StatusError } from '#api/errors.ts'
import type { Log } from '#api/log.ts'
import type { Engine, Marks, Shortage } from './engine.ts'
import type { StoredRecord } from './record.ts'
import { CommitFailed, Compacted, type Entry, type ListPage, RevisionMismatch, type Store, type StoreEvent } from './store.ts'
import { Subscription } from './subscription.ts'
import { KeySpace, type LogItem } from './versions.ts'

/** Ephemeral writes take revisions without touching the disk; this many are reserved by one durable mark. */
const reservation = 10_000
/** Events of the past, read from the disk together. */
const replayedAtOnce = 256
/** Between two looks whether the disk is well again. */
const lookEveryMs = 2_000
const noValue = new Uint8Array(0)

type Write = {
  revision: number
  key: string
  entry: Entry | undefined
  ephemeral: boolean
  settle: (failure?: unknown) => void
  /** Its writer was told CommitFailed already. */
  leftOpen?: true
}
type WriteOptions = { expected?: number; ephemeral?: boolean; deletes?: boolean }

type Options = { engine: Engine; log: Log; lookAgainMs?: number }

export async function openMvcc({ engine, log, lookAgainMs = lookEveryMs }: Options): Promise<Store> {
  const store = new MvccStore(engine, log, lookAgainMs)
  await store.load()
  return store
}

class MvccStore implements Store {
  readonly #engine: Engine
  readonly #log: Log
  readonly #lookAgainMs: number
  #keys = new KeySpace()
  /** Values of ephemeral writes that history still needs, by revision. */
  readonly #volatile = new Map<number, Uint8Array>()
  readonly #subscriptions = new Set<Subscription>()
  #marks: Marks = { compacted: 0, reserved: 0 }
  #revision = 1
  #assigned = 1
  /** Every write up to here is acknowledged or lost. */
  #decided = 1
  #undecided: { revision: number; resolve: () => void }[] = []
  /** What the writes under way will have made of their keys. */
  readonly #pending = new Map<string, { revision: number; entry: Entry | undefined }>()
  #queue: Write[] = []
  /** Writes of a commit that failed, until it is known which of them reached the disk. */
  #unsure: Write[] = []
  #committing: Promise<void> | undefined
  #compacting: Promise<void> | undefined
  /** Since a commit failed, until the state has been read back. */
  #failure: Error | undefined
  /** The attempt to read it back; never rejects. */
  #recovering: Promise<void> | undefined
  #shortage: Shortage | undefined
  /** Whether records were dropped whose room the disk does not have yet. */
  #reclaimable = false
  #looking: NodeJS.Timeout | undefined
  #closed = false

  constructor(engine: Engine, log: Log, lookAgainMs: number) {
    this.#engine = engine
    this.#log = log
    this.#lookAgainMs = lookAgainMs
  }

  async revision(): Promise<number> {
    return this.#revision
  }

  get trouble(): string | undefined {
    return this.#failure?.message ?? this.#shortage?.message
  }

  async load(): Promise<void> {
    const { keys, last, marks } = await this.#readBack()
    this.#keys = keys
    this.#marks = marks
    // The newest record may have been a deletion that compaction has dropped since.
    this.#revision = Math.max(last, this.#revision, marks.compacted, this.#assigned === 1 ? marks.reserved : 0)
    // Revisions that were handed out and lost are not handed out again.
    this.#assigned = Math.max(this.#assigned, this.#revision)
    this.#decided = this.#assigned
    this.#shortage = await this.#engine.shortage()
    if (this.#shortage) this.#log.error({ shortage: this.#shortage.message }, 'the store takes no writes')
    this.#lookLater()
  }

  /** What is on the disk, and between it what is only in memory. */
  async #readBack(): Promise<{ keys: KeySpace; last: number; marks: Marks }> {
    const keys = new KeySpace()
    const inMemory = [...this.#keys.currents()].filter((e) => this.#volatile.has(e.modRevision))
    const before = inMemory.sort((a, b) => a.modRevision - b.modRevision).values()
    let next = before.next()
    let last = 1
    for await (const { revision, record } of this.#engine.load()) {
      for (; !next.done && next.value.modRevision < revision; next = before.next())
        keys.apply(next.value.key, next.value.modRevision, next.value)
      keys.apply(record.key, revision, record.type === 'put' ? entryOf(revision, record) : undefined)
      last = revision
    }
    for (; !next.done; next = before.next()) keys.apply(next.value.key, next.value.modRevision, next.value)
    const marks = await this.#engine.marks()
    keys.compact(marks.compacted)
    return { keys, last, marks }
  }

  async get(key: string): Promise<Entry | undefined> {
    return this.#keys.current(key)
  }

  async latest(key: string): Promise<Entry | undefined> {
    return this.#latest(key)
  }

  async committed(revision = this.#assigned): Promise<void> {
    if (revision <= this.#decided) return
    await new Promise<void>((resolve) => {
      this.#undecided.push({ revision, resolve })
    })
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

  put(key: string, value: Uint8Array | ((revision: number) => Uint8Array), options: WriteOptions = {}): Promise<Entry> {
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
    await this.#write(key, { ...options, ephemeral, deletes: true }, () => undefined)
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
    if (upTo <= this.#marks.compacted || this.#failure || this.#shortage?.deletions === false) return
    await this.#compacting
    this.#marks.compacted = upTo
    const drop = this.#keys.compact(upTo).filter((r) => !this.#volatile.delete(r))
    // An idle cluster has only heartbeats to forget, which were never on the disk: leave it alone then.
    if (drop.length === 0) return
    this.#reclaimable = true
    this.#compacting = this.#engine
      .commit({ drop, marks: { compacted: upTo } })
      .catch((cause: unknown) => this.#fail(cause))
      .finally(() => {
        this.#compacting = undefined
      })
    await this.#compacting
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#looking)
    await this.#committing
    await this.#compacting
    await this.#recovering
    for (const subscription of this.#subscriptions) subscription.end()
    await this.#engine.close()
  }

  #latest(key: string): Entry | undefined {
    const pending = this.#pending.get(key)
    return pending ? pending.entry : this.#keys.current(key)
  }

  async #write(
    key: string,
    options: WriteOptions,
    make: (revision: number, before: Entry | undefined) => Entry | undefined,
  ): Promise<Write> {
    if (this.#failure || this.#shortage) await this.#admit(key, options)
    if (this.#closed) throw new Error(`writing ${key}: the store is closed`)
    const before = this.#latest(key)
    if (options.expected !== undefined && (before?.modRevision ?? 0) !== options.expected) {
      throw new RevisionMismatch(key, before, this.#pending.get(key)?.revision)
    }
    const revision = this.#assigned + 1
    const entry = make(revision, before)
    // Only now: who waits for all revisions that were handed out would wait for one whose value could not be made.
    this.#assigned = revision
    this.#pending.set(key, { revision, entry })
    return await new Promise((resolve, reject) => {
      const write: Write = {
        revision,
        key,
        entry,
        ephemeral: options.ephemeral ?? false,
        settle: (failure) => (failure === undefined ? resolve(write) : reject(failure)),
      }
      this.#queue.push(write)
      this.#committing ??= this.#commitAll()
    })
  }

  /** Waits while the state is read back; throws ServiceUnavailable where a write must not even be tried. */
  async #admit(key: string, { deletes = false, ephemeral = false }: WriteOptions): Promise<void> {
    while (this.#recovering) await this.#recovering
    const isTaken = !this.#failure && (!this.#shortage || (this.#shortage.deletions && (deletes || ephemeral)))
    if (!isTaken) throw refused(key, this.trouble ?? '')
  }

  /** Commits group after group until nothing waits. Never rejects: each write learns its own fate. */
  async #commitAll(): Promise<void> {
    await Promise.resolve() // writes made in the same turn share the first group
    try {
      while (this.#queue.length > 0) if (!(await this.#commitGroup())) return
    } finally {
      // In the turn that found the queue empty: a write that comes after it begins anew.
      this.#committing = undefined
    }
  }

  /** False: the state has to be read back first. */
  async #commitGroup(): Promise<boolean> {
    const group = this.#queue
    this.#queue = []
    try {
      // Of a compaction that failed meanwhile.
      if (this.#failure) throw this.#failure
      await this.#commit(group)
    } catch (cause) {
      this.#unsure.push(...group, ...this.#queue)
      this.#queue = []
      this.#pending.clear()
      this.#fail(cause)
      return false
    }
    const events = group.map((write) => this.#acknowledge(write))
    for (const subscription of this.#subscriptions) subscription.publish(events)
    for (const write of group) write.settle()
    this.#decide((group.at(-1) as Write).revision)
    return true
  }

  #decide(revision: number): void {
    this.#decided = revision
    if (this.#undecided.length === 0) return
    const told = this.#undecided.filter((waiter) => waiter.revision <= revision)
    this.#undecided = this.#undecided.filter((waiter) => waiter.revision > revision)
    for (const { resolve } of told) resolve()
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
    if (this.#pending.get(key)?.revision === revision) this.#pending.delete(key)
    return entry ? { type: 'put', entry, ...(previous && { previous }) } : { type: 'delete', key, revision, previous: previous as Entry }
  }

  #fail(cause: unknown): void {
    this.#failure ??= new Error(`the store could not commit: ${messageOf(cause)}`, { cause })
    this.#log.error({ err: cause }, 'the store could not commit; reading its state back')
    this.#recover()
  }

  /** Reads back what the disk holds; a watcher cannot be told exactly what changed, so it must list again. */
  #recover(): void {
    this.#recovering ??= (async () => {
      await this.#committing
      await this.#compacting
      const unsure = this.#unsure
      this.#unsure = []
      const failure = this.#failure
      try {
        await this.load()
        this.#failure = undefined
        this.#log.warn({ revision: this.#revision }, 'the store has read its state back')
        for (const subscription of this.#subscriptions) subscription.end(new Compacted(this.#revision, this.#revision + 1))
        const why = this.#shortage?.message ?? failure?.message ?? ''
        for (const write of unsure) write.settle(this.#landed(write) ? undefined : refused(write.key, why, failure))
      } catch (cause) {
        this.#failure = new Error(`the store cannot be read back: ${messageOf(cause)}`, { cause })
        this.#log.error({ err: cause }, 'the store cannot be read back; it is tried again')
        for (const write of unsure) this.#unsure.push(write.leftOpen ? write : leaveOpen(write, this.#failure))
      }
      this.#decide(this.#assigned)
    })().finally(() => {
      this.#recovering = undefined
      this.#lookLater()
    })
  }

  #landed({ key, revision }: Write): boolean {
    return this.#keys.revisionAt(key, revision) === revision || this.#keys.isTombstone(key, revision)
  }

  #lookLater(): void {
    if (this.#closed || !(this.#failure || this.#shortage)) return
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => void this.#look(), this.#lookAgainMs).unref()
  }

  #liveBytes(): number {
    let bytes = 0
    for (const { value } of this.#keys.currents()) bytes += value.length
    return bytes
  }

  /** Whether the disk is well again; what can be done for it is done. */
  async #look(): Promise<void> {
    if (this.#recovering) return
    if (this.#failure) return this.#recover()
    const before = this.#shortage
    try {
      if (before?.deletions) await this.compact(this.#revision)
      if (this.#failure) return
      if (before?.deletions && this.#reclaimable) this.#reclaimable = !(await this.#engine.reclaim(this.#liveBytes()))
      const now = await this.#engine.shortage()
      // It was opened as one opens it on a full disk.
      if (before?.deletions === false && now?.deletions !== false) this.#recover()
      else this.#shortage = now
    } catch (err) {
      this.#log.error({ err }, 'the store cannot make room')
    }
    this.#lookLater()
  }

  #demand(revision: number): void {
    if (revision < this.#marks.compacted) throw new Compacted(revision, this.#marks.compacted)
  }

  async #read(revision: number): Promise<Entry | undefined> {
    while (this.#recovering) await this.#recovering
    if (this.#failure) throw new StatusError('ServiceUnavailable', this.#failure.message)
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

/** Its writer is told now, once, and of its fate when that is known, however often the disk fails until then. */
function leaveOpen(write: Write, failure: Error): Write {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  write.settle(new CommitFailed(`${nameIn(write.key)} may not have been written: ${failure.message}`, promise, { cause: failure }))
  return { ...write, leftOpen: true, settle: (lost) => resolve(lost === undefined) }
}

const nameIn = (key: string): string => JSON.stringify(key.slice(key.lastIndexOf('/') + 1))

const refused = (key: string, why: string, cause?: Error): StatusError =>
  new StatusError('ServiceUnavailable', `${nameIn(key)} cannot be written: ${why}`, undefined, { cause })

const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}

const entryOf = (revision: number, record: StoredRecord): Entry => ({
  key: record.key,
  value: record.value,
  createRevision: record.createRevision,
  modRevision: revision,
})
