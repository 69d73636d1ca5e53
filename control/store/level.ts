// The embedded engine: one LevelDB folder, records keyed by their revision so that every commit is an append.

import { Level } from 'level'
import type { Log } from '#api/log.ts'
import type { Change, Engine, Marks } from './engine.ts'
import { openMvcc } from './mvcc.ts'
import { decodeRecord, encodeRecord, type StoredRecord } from './record.ts'
import type { Store } from './store.ts'

type Database = Level<Uint8Array, Uint8Array>

/** Opens (or makes) the store in `dir`. Only one process may have it open; a second one fails here. */
export const openLevelStore = ({ dir, log }: { dir: string; log: Log }): Promise<Store> => openMvcc({ engine: new LevelEngine(dir), log })

class LevelEngine implements Engine {
  readonly #dir: string
  #db: Database | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  async *load(): AsyncGenerator<{ revision: number; record: StoredRecord }> {
    await this.close()
    const db: Database = new Level(this.#dir, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      writeBufferSize: 4 << 20,
      cacheSize: 1 << 20,
    })
    await db.open()
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
    const put = (key: Uint8Array, value: Uint8Array) => ({ type: 'put', key, value }) as const
    await this.#open().batch(
      [
        ...append.map(({ revision, record }) => put(recordKey(revision), encodeRecord(record))),
        ...drop.map((revision) => ({ type: 'del', key: recordKey(revision) }) as const),
        ...Object.entries(marks).map(([name, value]) => put(markKey(name), Buffer.from(String(value)))),
      ],
      { sync: true },
    )
  }

  async read(revision: number): Promise<StoredRecord | undefined> {
    const bytes = await this.#open().get(recordKey(revision))
    return bytes && decodeRecord(bytes)
  }

  async close(): Promise<void> {
    await this.#db?.close()
    this.#db = undefined
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

/** `e` and the revision, big-endian: the database's order is the order of writes. */
function recordKey(revision: number): Uint8Array {
  const key = Buffer.allocUnsafe(9)
  key.write('e', 0)
  key.writeBigUInt64BE(BigInt(revision), 1)
  return key
}

const markKey = (name: string): Uint8Array => Buffer.from(`m${name}`)
