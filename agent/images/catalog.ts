// Which image each name means: one small file a name, replaced whole, so that the agent and the command
// line can both write without a lock. Read again whenever the folder has changed.

import { createHash } from 'node:crypto'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Log } from '#api/log.ts'
import type { Claims } from './claims.ts'
import { syncFolder, writeDurably } from './durable.ts'
import { codeOf } from './malformed.ts'

const recordSchema = z.object({
  /** Canonical reference, by tag or by digest. */
  name: z.string(),
  /** Digest of the image configuration. */
  id: z.string(),
  /** What the registry calls it: digest of the manifest or index that the name led to. Absent for docker archives. */
  digest: z.string().optional(),
  /** Manifest and configuration. */
  blobs: z.array(z.string()),
  /** Chain IDs, lowest first. */
  layers: z.array(z.string()),
  size: z.number(),
  config: z.object({
    entrypoint: z.array(z.string()),
    cmd: z.array(z.string()),
    env: z.array(z.string()),
    workingDir: z.string(),
    user: z.string(),
    stopSignal: z.string().optional(),
  }),
  /** Milliseconds since the epoch. */
  added: z.number(),
})
export type NameRecord = z.infer<typeof recordSchema>

/** Two changes within one tick of the kernel's clock look alike: a folder this young is not believed unchanged. */
const tickMillis = 50

export class Catalog {
  #dir: string
  #claims: Claims
  #log: Log
  #cached: { mtime: bigint; records: Map<string, NameRecord> } | undefined

  constructor(deps: { dir: string; claims: Claims; log: Log }) {
    this.#dir = deps.dir
    this.#claims = deps.claims
    this.#log = deps.log
  }

  /** By name. The map is shared: not to be changed. */
  async read(): Promise<ReadonlyMap<string, NameRecord>> {
    const { mtimeNs } = await stat(this.#dir, { bigint: true })
    if (this.#cached?.mtime === mtimeNs) return this.#cached.records
    const records = new Map<string, NameRecord>()
    for (const file of await readdir(this.#dir)) {
      const record = await this.#readFile(file)
      if (record) records.set(record.name, record)
    }
    // Against the clock of the file system, which is this one whatever clock we were given.
    const settled = BigInt(Date.now() - tickMillis) * 1_000_000n > mtimeNs
    this.#cached = settled ? { mtime: mtimeNs, records } : undefined
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
    await syncFolder(this.#dir)
    this.#cached = undefined
  }

  #file(name: string): string {
    return join(this.#dir, createHash('sha256').update(name).digest('hex'))
  }

  /** A broken record is as good as none: its image is fetched again. */
  async #readFile(file: string): Promise<NameRecord | undefined> {
    const text = await readFile(join(this.#dir, file), 'utf8').catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    if (text === undefined) return undefined
    try {
      return recordSchema.parse(JSON.parse(text))
    } catch (error) {
      this.#log.warn({ file, error }, 'ignoring a broken image record')
      return undefined
    }
  }
}
