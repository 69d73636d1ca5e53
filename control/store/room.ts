// The room on the disk that a store stands on, and a reserve of it: a file that is deleted when the disk
// is full, so that deletions, compaction and the opening of the database still find some. It is made again
// once there is room for it and some more.

import { open, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#api/log.ts'
import type { Shortage } from './engine.ts'

const MiB = 1024 * 1024
/** Of the reserve: the database needs about two of its write buffers to open, and more to compact. */
const bytes = { least: 6 * MiB, most: 32 * MiB, ofDisk: 1 / 8 }
/** Less than this is full: a commit may be as large as the largest object. */
const fewBytes = 4 * MiB
/** With less the database may fail to open: what its log holds is written anew, and then it is deleted. */
const openingBytes = 12 * MiB
/** Reserves. */
const plenty = 4

export class Room {
  readonly #dir: string
  readonly #log: Log
  #short = false
  #keeping: Promise<boolean> | undefined

  constructor({ dir, log }: { dir: string; log: Log }) {
    this.#dir = dir
    this.#log = log
  }

  get #file(): string {
    return join(this.#dir, 'reserve')
  }

  /** Whether so little is free that this is why the database could not be opened; what it began has been given back since. */
  async isTooFull(): Promise<boolean> {
    return (await this.free()) < openingBytes
  }

  async free(): Promise<number> {
    return (await this.#disk()).free
  }

  /** Gives the reserve to whoever writes next. False: there was none. */
  async release(): Promise<boolean> {
    this.#short = true
    if ((await sizeOf(this.#file)) === 0) return false
    await rm(this.#file)
    this.#log.error({ dir: this.#dir }, 'the disk of the store is full; the room kept for deletions is in use from now on')
    return true
  }

  /** Looks again; takes the reserve back where that is possible, and gives it up where it is needed. */
  async shortage(): Promise<Shortage | undefined> {
    const { free, size } = await this.#disk()
    const wanted = Math.ceil(Math.min(Math.max(size * bytes.ofDisk, bytes.least), bytes.most))
    const kept = await sizeOf(this.#file)
    const hasRoom = kept >= wanted ? free >= fewBytes : await this.#take(wanted, kept + free)
    if (hasRoom) {
      if (this.#short) this.#log.warn({ dir: this.#dir, free }, 'the disk of the store has room again')
      this.#short = false
      return undefined
    }
    if (kept > 0) await this.release()
    this.#short = true
    const needed = `${show(wanted + fewBytes)} are needed; until then only deletions are written`
    return { message: `no space left on the disk of ${this.#dir}: ${show(kept + free)} are free, ${needed}`, deletions: true }
  }

  /** Resolves once no reserve is being written. */
  async kept(): Promise<void> {
    await this.#keeping
  }

  /** Where there is plenty nobody need wait for it. */
  async #take(wanted: number, free: number): Promise<boolean> {
    if (free < wanted + fewBytes) return false
    this.#keeping ??= this.#keep(wanted).finally(() => {
      this.#keeping = undefined
    })
    return free > plenty * wanted || (await this.#keeping)
  }

  /** Written, not only sized: a hole keeps no room. */
  async #keep(wanted: number): Promise<boolean> {
    const block = Buffer.alloc(MiB, 0xa5)
    try {
      await using file = await open(this.#file, 'w', 0o600)
      for (let at = 0; at < wanted; at += block.length) await file.write(block, 0, Math.min(block.length, wanted - at))
      return true
    } catch {
      await rm(this.#file, { force: true })
      return false
    }
  }

  async #disk(): Promise<{ free: number; size: number }> {
    const { bsize, bfree, bavail, blocks } = await statfs(this.#dir)
    // What is set aside for root is there for a server that runs as root.
    return { free: bsize * (process.getuid?.() === 0 ? bfree : bavail), size: bsize * blocks }
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size
  } catch {
    return 0
  }
}

const show = (count: number): string => (count < MiB ? `${Math.floor(count / 1024)} KiB` : `${(count / MiB).toFixed(1)} MiB`)
