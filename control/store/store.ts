// The store's contract: etcd's meaning, whatever the engine. Keys are `/registry/...` paths; every
// write gets the next revision; a reader at a revision sees exactly what was there then.
// Only control/server imports this folder. A write is acknowledged only once it would survive a power cut.

/** `value` is the encoded object; shared with the store's caches, so never written to. */
export type Entry = { key: string; value: Uint8Array; createRevision: number; modRevision: number }

export type StoreEvent =
  | { type: 'put'; entry: Entry; previous?: Entry }
  | { type: 'delete'; key: string; revision: number; previous: Entry }

/** A write went unapplied because the key's revision is not the expected one; `current` is the latest (see `Store.latest`). */
export class RevisionMismatch extends Error {
  readonly current: Entry | undefined
  constructor(key: string, current: Entry | undefined) {
    super(`${key}: revision is ${current?.modRevision ?? 0}, not the expected one`)
    this.name = 'RevisionMismatch'
    this.current = current
  }
}

/** The revision asked for is older than what is kept (410 to a client). */
export class Compacted extends Error {
  readonly oldest: number
  constructor(revision: number, oldest: number) {
    super(`revision ${revision} has been compacted; the oldest kept is ${oldest}`)
    this.name = 'Compacted'
    this.oldest = oldest
  }
}

export type ListPage = {
  entries: Entry[] /** The revision that the page shows. */
  revision: number /** Keys after this page, under the same prefix. */
  remaining: number
}

export interface Store {
  /** The revision of the last acknowledged write; starts at 1 on an empty store. */
  readonly revision: number
  get(key: string): Promise<Entry | undefined>
  /**
   * What the writes under way will have made of `key`. For a writer, who need not wait for them: what expects
   * this revision is lost with them or follows them. Nobody is told of it before `settled`.
   */
  latest(key: string): Promise<Entry | undefined>
  /** Resolves once every write under way now is acknowledged or lost. */
  settled(): Promise<void>
  /** Keys under `prefix` in order; `after` continues behind that key. `revision` 0 or absent: now. Throws Compacted. */
  list(prefix: string, options?: { revision?: number; limit?: number; after?: string }): Promise<ListPage>
  /**
   * Writes `value`. `expected` is the modRevision the key must have (0: must not exist); absent: whatever is there.
   * `value` may be a function of the revision being assigned. Throws RevisionMismatch.
   * `ephemeral` keeps the value in memory only (leases, heartbeats): it is gone after a restart.
   */
  put(
    key: string,
    value: Uint8Array | ((revision: number) => Uint8Array),
    options?: { expected?: number; ephemeral?: boolean },
  ): Promise<Entry>
  /** Deletes; undefined if nothing was there. Throws RevisionMismatch. */
  delete(key: string, options?: { expected?: number }): Promise<Entry | undefined>
  /**
   * Every event under `prefix` with a revision above `after`, in revision order, then live ones until
   * the signal aborts (ends quietly). Throws Compacted, at once or, for a reader that is too slow, later.
   */
  watch(prefix: string, options: { after: number; signal: AbortSignal }): AsyncIterable<StoreEvent[]>
  /** The events under `prefix` with a revision above `after`, up to `upTo`, which has been acknowledged. Throws Compacted. */
  history(prefix: string, options: { after: number; upTo: number }): AsyncIterable<StoreEvent[]>
  /** Forgets history below `revision`. */
  compact(revision: number): Promise<void>
  close(): Promise<void>
}
