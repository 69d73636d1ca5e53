// What lies under the revisions: an ordered log of records by revision. Two exist: level on disk, and memory for tests.

import type { StoredRecord } from './record.ts'

/** Numbers that must survive a restart besides the records. */
export type Marks = {
  /** History below this revision is gone. */
  compacted: number
  /** No revision up to this one is given out again, though not all of them were written. */
  reserved: number
}

export type Change = { append?: { revision: number; record: StoredRecord }[]; drop?: number[]; marks?: Partial<Marks> }

/** Why an engine takes no writes; with `deletions`, none but those that lead to a deletion. */
export type Shortage = { message: string; deletions: boolean }

export interface Engine {
  /** Opens, again after a failure too; yields every record in revision order. */
  load(): AsyncIterable<{ revision: number; record: StoredRecord }>
  marks(): Promise<Marks>
  /** All of it or none; resolves once it would survive a power cut. */
  commit(change: Change): Promise<void>
  read(revision: number): Promise<StoredRecord | undefined>
  /** Asked once it is open, after a failure, and every few seconds until there is none. After one without deletions, `load` again. */
  shortage(): Promise<Shortage | undefined>
  /** Gives the room of dropped records back to the disk; false where that is not possible now. `live`: the bytes that are not dropped. */
  reclaim(live: number): Promise<boolean>
  close(): Promise<void>
}
