// Which image each name means: one small file a name, replaced whole, so that the agent and the command
// line can both write without a lock. Read again whenever the folder has changed.

import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#api/log.ts'
import { syncPath, writeDurably } from '../durable.ts'
import type { Claims } from './claims.ts'
import { codeOf } from './malformed.ts'
import { list, number, object, optional, type Shaped, text } from './shape.ts'

const nameRecord = object({
  /** Canonical reference, by tag or by digest. */
  name: text,
  /** Digest of the image configuration. */
  id: text,
  /** What the registry calls it: digest of the manifest or index that the name led to. Absent for docker archives. */
  digest: optional(text),
  /** Manifest and configuration. */
  blobs: list(text),
  /** Chain IDs, lowest first. */
  layers: list(text),
  size: number,
  config: object({
    entrypoint: list(text),
    cmd: list(text),
    env: list(text),
    workingDir: text,
    user: text,
    stopSignal: optional(text),
  }),
  /** Milliseconds since the epoch. */
  added: number,
})
export type NameRecord = Shaped<typeof nameRecord>

/** Two changes within one tick of the kernel's clock look alike: a folder this young is not believed unchanged. */
const tickMillis = 50

export class Catalog {
  #dir: string
  #claims: Claims
  #log: Log
  #monotonic: () => number
  #cached: { mtime: bigint; records: Map<string, NameRecord>; settled: boolean; since: number } | undefined

  constructor(deps: { dir: string; claims: Claims; log: Log; monotonic: () => number }) {
    this.#dir = deps.dir
    this.#claims = deps.claims
    this.#log = deps.log
    this.#monotonic = deps.monotonic
  }

  /** By name. The map is shared: not to be changed. */
  async read(): Promise<ReadonlyMap<string, NameRecord>> {
    const { mtimeNs } = await stat(this.#dir, { bigint: true })
    const cached = this.#cached?.mtime === mtimeNs ? this.#cached : undefined
    if (cached?.settled) return cached.records
    const now = this.#monotonic()
    const records = new Map<string, NameRecord>()
    for (const file of await readdir(this.#dir)) {
      const record = await this.#readFile(file)
      if (record) records.set(record.name, record)
    }
    // By how long it has looked so: the file system's times are of the wall clock, which may have stepped since.
    const since = cached?.since ?? now
    this.#cached = { mtime: mtimeNs, records, settled: now - since > tickMillis, since }
    return records
  }

  async write(record: NameRecord): Promise<void> {
    const claim = await this.#claims.open('work')
    try {
      await writeDurably(this.#file(record.name), JSON.stringify(record), join(claim.dir, 'name'))
    } finally {
      await claim.close()
    }
    this.#cached = undefined
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.#file(name), { force: true })
    await syncPath(this.#dir)
    this.#cached = undefined
  }

  #file(name: string): string {
    return join(this.#dir, createHash('sha256').update(name).digest('hex'))
  }

  /** A broken record is as good as none: its image is fetched again. */
  async #readFile(file: string): Promise<NameRecord | undefined> {
    const content = await readFile(join(this.#dir, file), 'utf8').catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (content === undefined) return undefined
    try {
      return nameRecord(JSON.parse(content), file)
    } catch (error) {
      this.#log.warn({ file, error }, 'ignoring a broken image record')
      return undefined
    }
  }
}
