// The room on the disk that a store stands on, and a reserve of it: a file that is deleted when the disk
// is full, so that deletions, compaction and the opening of the database still find some. It is made again
// once there is room for it and some more. Full is a disk of which a quota leaves nothing, too.

import { rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#api/log.ts'
import type { Shortage } from './engine.ts'
import { fill, tryOut } from './probe.ts'

const MiB = 1024 * 1024
/** Of the reserve: the database needs about two of its write buffers to open, and more to compact. */
const bytes = { least: 6 * MiB, most: 32 * MiB, ofDisk: 1 / 8 }
/** Less than this is full: a commit may be as large as the largest object. */
const fewBytes = 4 * MiB
/** With less the database may fail to open: what its log holds is written anew, and then it is deleted. */
const openingBytes = 12 * MiB
/** Reserves. */
const plenty = 4
/** It is tried out at the first look, then at the second after that, the fourth, and so on: what is tried is written. */
const mostLooks = 8

export class Room {
  readonly #dir: string
  readonly #log: Log
  #short = false
  #keeping: Promise<boolean> | undefined
  /** Whether a write has failed, so that what statfs says may not be to be had. */
  #doubted = false
  /** What a quota leaves, as far as it has been tried out. */
  #left = Number.POSITIVE_INFINITY
  /** Looks until it is tried out again, and how many it will be the next time. */
  #looks = { left: 0, next: 1 }

  constructor({ dir, log }: { dir: string; log: Log }) {
    this.#dir = dir
    this.#log = log
  }

  get #file(): string {
    return join(this.#dir, 'reserve')
  }

  /** Whether so little is free that this is why the database could not be opened; what it began has been given back since. */
  async isTooFull(): Promise<boolean> {
    if ((await this.free()) < openingBytes) return true
    this.doubt()
    await this.#tryOut(openingBytes)
    return (await this.free()) < openingBytes
  }

  /** A write has failed, whatever there seems to be. */
  doubt(): void {
    this.#doubted = true
  }

  async free(): Promise<number> {
    return (await this.#disk()).free
  }

  /** Gives the reserve to whoever writes next. False: there was none. */
  async release(): Promise<boolean> {
    this.#short = true
    const kept = await sizeOf(this.#file)
    if (kept === 0) return false
    await rm(this.#file)
    this.#left += kept
    // Some file systems give it back later: the next to ask tries it out.
    this.#looks.left = 0
    this.#log.error({ dir: this.#dir }, 'the disk of the store is full; the room kept for deletions is in use from now on')
    return true
  }

  /** Looks again; takes the reserve back where that is possible, and gives it up where it is needed. */
  async shortage(): Promise<Shortage | undefined> {
    const { real, size } = await this.#disk()
    const wanted = Math.ceil(Math.min(Math.max(size * bytes.ofDisk, bytes.least), bytes.most))
    const kept = await sizeOf(this.#file)
    const needs = kept >= wanted ? fewBytes : wanted + fewBytes - kept
    if (this.#doubted && real >= needs) await this.#tryOut(needs)
    const { free } = await this.#disk()
    const hasRoom = kept >= wanted ? free >= fewBytes : await this.#take(wanted, kept + free)
    if (hasRoom) {
      if (this.#short) this.#log.warn({ dir: this.#dir, free }, 'the disk of the store has room again')
      this.#short = false
      this.#doubted = false
      this.#left = Number.POSITIVE_INFINITY
      this.#looks = { left: 0, next: 1 }
      return undefined
    }
    if (kept > 0) await this.release()
    this.#short = true
    const needed = `${show(wanted + fewBytes)} are needed; until then only deletions are written`
    const isQuota = free < real
    const what = isQuota ? 'disk quota exceeded' : 'no space left'
    return {
      message: `${what} on the disk of ${this.#dir}: ${show(kept + free)} are ${isQuota ? 'left' : 'free'}, ${needed}`,
      deletions: true,
    }
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
    return (free > plenty * wanted && !this.#doubted) || (await this.#keeping)
  }

  /** Written, not only sized: a hole keeps no room. */
  async #keep(wanted: number): Promise<boolean> {
    let written = 0
    try {
      written = await fill(this.#file, wanted)
      if (written >= wanted) return true
      this.#doubted = true
      this.#left = written
    } catch (err) {
      this.#log.error({ err, dir: this.#dir }, 'the reserve of the store cannot be written')
    }
    await rm(this.#file, { force: true })
    return false
  }

  /** Whether so much may be written; what is found out holds until the next time. */
  async #tryOut(wanted: number): Promise<void> {
    this.#looks.left -= 1
    if (this.#looks.left > 0) return
    this.#looks = { left: this.#looks.next, next: Math.min(this.#looks.next * 2, mostLooks) }
    try {
      const taken = await tryOut(join(this.#dir, 'probe'), wanted)
      this.#left = taken < wanted ? taken : Number.POSITIVE_INFINITY
    } catch {
      // Something else than want of room, of which the next commit tells.
      this.#left = Number.POSITIVE_INFINITY
    }
  }

  /** `real`: of the whole disk, `free`: what may be had of it. */
  async #disk(): Promise<{ free: number; real: number; size: number }> {
    const { bsize, bfree, bavail, blocks } = await statfs(this.#dir)
    // What is set aside for root is there for a server that runs as root.
    const real = bsize * (process.getuid?.() === 0 ? bfree : bavail)
    return { free: Math.min(real, this.#left), real, size: bsize * blocks }
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
