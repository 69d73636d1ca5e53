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
  /** Of the write that made it so, a deletion too; 0: there never was one that anybody remembers. Wait for it with `committed`. */
  readonly revision: number
  constructor(key: string, current: Entry | undefined, revision = current?.modRevision ?? 0) {
    super(`${key}: revision is ${current?.modRevision ?? 0}, not the expected one`)
    this.name = 'RevisionMismatch'
    this.current = current
    this.revision = revision
  }
}

/** A write was handed to a disk that failed and cannot be read back yet, so nobody knows whether it is there. */
export class CommitFailed extends Error {
  /** Resolves once it is known, if ever. */
  readonly landed: Promise<boolean>
  constructor(message: string, landed: Promise<boolean>, options: ErrorOptions) {
    super(message, options)
    this.name = 'CommitFailed'
    this.landed = landed
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
  /**
   * The revision of the last acknowledged write, whoever made it, when this was asked or later; starts at 1 on an
   * empty store. A reader that shows at least this has missed nothing that was acknowledged before it asked.
   */
  revision(): Promise<number>
  get(key: string): Promise<Entry | undefined>
  /**
   * What the writes under way will have made of `key`. For a writer, who need not wait for them: what expects
   * this revision is lost with them or follows them. Nobody is told of it before `committed`.
   */
  latest(key: string): Promise<Entry | undefined>
  /** Resolves once every write up to `revision` (by default the last one handed in) is acknowledged or lost; it waits for none behind it. */
  committed(revision?: number): Promise<void>
  /** Why writes are refused or fail at present; undefined while all is well. Reads go on meanwhile. */
  readonly trouble: string | undefined
  /** Keys under `prefix` in order; `after` continues behind that key. `revision` 0 or absent: now. Throws Compacted. */
  list(prefix: string, options?: { revision?: number; limit?: number; after?: string }): Promise<ListPage>
  /**
   * Writes `value`. `expected` is the modRevision the key must have (0: must not exist); absent: whatever is there.
   * `value` may be a function of the revision being assigned. Throws RevisionMismatch, CommitFailed, and
   * ServiceUnavailable for what was lost with a commit, or not even tried because the disk is full.
   * `ephemeral` keeps the value in memory only (heartbeats): it is gone after a restart.
   * `deletes`: the write leads to a deletion, so it may use the room that is kept for those on a full disk.
   */
  put(
    key: string,
    value: Uint8Array | ((revision: number) => Uint8Array),
    options?: { expected?: number; ephemeral?: boolean; deletes?: boolean },
  ): Promise<Entry>
  /** Deletes; undefined if nothing was there. Throws as `put` does. */
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
