// The embedded engine: one LevelDB folder, records keyed by their revision so that every commit is an append.

import { copyFile, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Level } from 'level'
import type { Log } from '#api/log.ts'
import type { Change, Engine, Marks, Shortage } from './engine.ts'
import { openMvcc } from './mvcc.ts'
import { decodeRecord, encodeRecord, type StoredRecord } from './record.ts'
import { Room } from './room.ts'
import type { Store } from './store.ts'

/** On Node it is always LevelDB itself, which can be told to compact. */
type Database = Level<Uint8Array, Uint8Array> & { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> }

/** Opens (or makes) the store in `dir`. Only one process may have it open; a second one fails here. */
export const openLevelStore = ({ dir, log }: { dir: string; log: Log }): Promise<Store> =>
  openMvcc({ engine: new LevelEngine(dir, log), log })

/** Bytes that have become free on a full disk. */
const worthATry = 1 << 20

class LevelEngine implements Engine {
  readonly #dir: string
  readonly #room: Room
  #db: Database | undefined
  /** Where the database is read from instead, while there is no room to open it where it is. */
  #shadow: string | undefined
  /** Of the disk, when it was last looked at for that. */
  #freeThen = 0

  constructor(dir: string, log: Log) {
    this.#dir = dir
    this.#room = new Room({ dir, log })
  }

  async *load(): AsyncGenerator<{ revision: number; record: StoredRecord }> {
    await this.close()
    const db = await this.#openSomehow()
    this.#db = db
    for await (const [key, bytes] of db.iterator({ gte: recordKey(0), lt: markKey('') })) {
      yield { revision: Number(Buffer.from(key).readBigUInt64BE(1)), record: decodeRecord(bytes) }
    }
  }

  async marks(): Promise<Marks> {
    const [compacted, reserved] = await Promise.all([this.#mark('compacted'), this.#mark('reserved')])
    return { compacted, reserved }
  }

  async commit({ append = [], drop = [], marks = {} }: Change): Promise<void> {
    if (this.#shadow) throw new Error(`no space left to open the store in ${this.#dir}`)
    const put = (key: Uint8Array, value: Uint8Array) => ({ type: 'put', key, value }) as const
    const batch = this.#open().batch(
      [
        ...append.map(({ revision, record }) => put(recordKey(revision), encodeRecord(record))),
        ...drop.map((revision) => ({ type: 'del', key: recordKey(revision) }) as const),
        ...Object.entries(marks).map(([name, value]) => put(markKey(name), Buffer.from(String(value)))),
      ],
      { sync: true },
    )
    try {
      await batch
    } catch (error) {
      this.#room.doubt()
      throw error
    }
  }

  async read(revision: number): Promise<StoredRecord | undefined> {
    const bytes = await this.#open().get(recordKey(revision))
    return bytes && decodeRecord(bytes)
  }

  async shortage(): Promise<Shortage | undefined> {
    const short = await this.#room.shortage()
    if (!short || !this.#shadow) return short
    // What has become free may be enough to open it where it is.
    const free = await this.#room.free()
    const isMore = free > this.#freeThen + worthATry
    this.#freeThen = Math.min(free, this.#freeThen)
    return { message: short.message.replace('only deletions are', 'nothing is'), deletions: isMore }
  }

  async reclaim(live: number): Promise<boolean> {
    // All that is left is written anew before anything is given back.
    if ((await this.#room.free()) < live) return false
    await this.#open().compactRange(recordKey(0), markKey('~'))
    return true
  }

  async close(): Promise<void> {
    await this.#db?.close()
    this.#db = undefined
    await this.#room.kept()
    if (this.#shadow) await rm(this.#shadow, { recursive: true, force: true })
    this.#shadow = undefined
  }

  async #openSomehow(): Promise<Database> {
    try {
      return await opened(this.#dir)
    } catch (error) {
      if (!(await this.#room.isTooFull())) throw this.#unopened(error)
    }
    if (await this.#room.release()) {
      try {
        return await opened(this.#dir)
      } catch (error) {
        if (!(await this.#room.isTooFull())) throw this.#unopened(error)
      }
    }
    return await this.#openShadow()
  }

  /**
   * To open it, LevelDB writes a log, a manifest and what it recovers. On a disk without any room that goes
   * to memory, into a folder of links to the files that there are, and is thrown away later.
   */
  async #openShadow(): Promise<Database> {
    const files = await readdir(this.#dir)
    if (!files.includes('CURRENT')) throw this.#unopened(new Error('no space left on the disk'))
    this.#shadow = await mkdtemp('/dev/shm/coracle-store-')
    this.#freeThen = await this.#room.free()
    for (const file of files) {
      if (file === 'CURRENT') await copyFile(join(this.#dir, file), join(this.#shadow, file))
      else if (/^(MANIFEST-\d+|\d+\.(ldb|sst|log))$/.test(file)) await symlink(resolve(this.#dir, file), join(this.#shadow, file))
    }
    return await opened(this.#shadow)
  }

  #unopened(error: unknown): Error {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
    return new Error(`cannot open the store in ${this.#dir}: ${reason}`, { cause: error })
  }

  async #mark(name: keyof Marks): Promise<number> {
    const bytes = await this.#open().get(markKey(name))
    return bytes ? Number(Buffer.from(bytes).toString()) : 0
  }

  #open(): Database {
    if (!this.#db) throw new Error(`the store in ${this.#dir} is not open`)
    return this.#db
  }
}

async function opened(dir: string): Promise<Database> {
  const db = new Level(dir, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    writeBufferSize: 4 << 20,
    cacheSize: 1 << 20,
  }) as unknown as Database
  await db.open()
  return db
}

/** `e` and the revision, big-endian: the database's order is the order of writes. */
function recordKey(revision: number): Uint8Array {
  const key = Buffer.allocUnsafe(9)
  key.write('e', 0)
  key.writeBigUInt64BE(BigInt(revision), 1)
  return key
}

const markKey = (name: string): Uint8Array => Buffer.from(`m${name}`)
