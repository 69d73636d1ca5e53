// The store without a disk, for tests of what stands on it.

import { silent } from '#api/log.ts'
import type { Change, Engine, Marks, Shortage } from './engine.ts'
import { openMvcc } from './mvcc.ts'
import type { StoredRecord } from './record.ts'
import type { Store } from './store.ts'

export const memoryStore = (): Promise<Store> => openMvcc({ engine: new MemoryEngine(), log: silent })

export class MemoryEngine implements Engine {
  readonly #records = new Map<number, StoredRecord>()
  #marks: Marks = { compacted: 0, reserved: 0 }
  /** Set to make the next commit fail, as a full disk does. */
  failure: Error | undefined
  /** Whether the commit that fails reaches the disk all the same, as one may whose sync fails. */
  failsLate = false
  /** Set to make it impossible to open, until it is unset. */
  broken: Error | undefined
  /** How often it could not be opened. */
  failures = 0
  /** Awaited before each record that is loaded. */
  pause: (() => Promise<void>) | undefined
  /** Set to say what a full disk says. */
  full: Shortage | undefined

  async *load(): AsyncGenerator<{ revision: number; record: StoredRecord }> {
    for (const [revision, record] of this.#records) {
      await this.pause?.()
      yield { revision, record }
    }
    if (!this.broken) return
    this.failures += 1
    throw this.broken
  }

  async marks(): Promise<Marks> {
    return { ...this.#marks }
  }

  async commit({ append = [], drop = [], marks }: Change): Promise<void> {
    const { failure } = this
    this.failure = undefined
    if (failure && !this.failsLate) throw failure
    for (const { revision, record } of append) this.#records.set(revision, record)
    for (const revision of drop) this.#records.delete(revision)
    this.#marks = { ...this.#marks, ...marks }
    if (failure) throw failure
  }

  async shortage(): Promise<Shortage | undefined> {
    return this.full
  }

  async reclaim(): Promise<boolean> {
    return true
  }

  async read(revision: number): Promise<StoredRecord | undefined> {
    return this.#records.get(revision)
  }

  async close(): Promise<void> {}
}
