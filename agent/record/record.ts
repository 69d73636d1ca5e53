// What the agent must know to run its pods before it has reached anybody, on the disk: named values, a sealed
// file each, replaced as one step (written beside, synced, renamed, the folder synced). A file is written only
// when its value has changed, a moment after it did, and again only when a time has passed that grows with
// its size: flash wears out. One that is damaged is set aside and counts as none; nothing here is ever fatal.

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { syncPath, writeSynced } from '../durable.ts'
import { openSeal } from './seal.ts'

export interface AgentRecord {
  /** As kept by an earlier process: given once, so that nothing is held in memory twice. */
  take(name: string): unknown
  /** Names of all values that are kept, or about to be. */
  names(): string[]
  /** The value is what `make` gives when it is written; undefined: there is none. `sameAs`: what of it counts as a change; absent, all. */
  set(name: string, make: (() => unknown) | undefined, sameAs?: (value: unknown) => unknown): void
  /** Resolves when all that was set is on the disk, or could not be written. */
  flush(): Promise<void>
  /** Bytes written since it was opened, and files. */
  readonly written: { bytes: number; files: number }
  /** Writes what is not written yet. */
  close(): Promise<void>
}

export type RecordOptions = { /** Nobody else's. */ dir: string; clock: Clock; log: Log }

/** Changes that gather before a write. */
const GATHER_MS = 500
/** Between two writes of a file: at most this many bytes of it a second. */
const BYTES_PER_SECOND = 1024
const PAUSE_MAX_MS = 600_000
/** After a write that failed, as on a full disk. */
const RETRY_MS = 30_000

type Wish = { make: (() => unknown) | undefined; sameAs: (value: unknown) => unknown; dueAt: number }

/** Throws only where the folder itself cannot be used. */
export async function openRecord({ dir, clock, log }: RecordOptions): Promise<AgentRecord> {
  const files = join(dir, 'files')
  const damaged = join(dir, 'damaged')
  await mkdir(files, { recursive: true, mode: 0o700 })
  const seal = await openSeal(join(dir, 'key'))
  const kept = new Map<string, unknown>()
  /** Of what is on the disk. */
  const digests = new Map<string, string>()
  const pausedUntil = new Map<string, number>()
  const wishes = new Map<string, Wish>()
  const written = { bytes: 0, files: 0 }
  let timer: Timer | undefined
  let writing: Promise<void> | undefined
  let closed = false

  for (const file of await readdir(files)) {
    const path = join(files, file)
    if (file.endsWith('.new')) {
      await rm(path, { force: true, recursive: true })
      continue
    }
    try {
      const [name, digest, value] = JSON.parse(seal.open(file, await readFile(path))) as [string, string, unknown]
      kept.set(name, value)
      digests.set(name, digest)
    } catch (err) {
      log.warn({ err, file: path }, 'a part of what this node remembers is damaged: it is set aside, and made anew when the server tells')
      await rm(damaged, { recursive: true, force: true })
      await mkdir(damaged, { recursive: true, mode: 0o700 })
      await rename(path, join(damaged, file)).catch(() => rm(path, { recursive: true, force: true }))
    }
  }

  /** Writes all that is due, and then looks when the next is. */
  async function write(all: boolean): Promise<void> {
    const due = [...wishes].filter(([, { dueAt }]) => all || dueAt <= clock.monotonic()).map(([name]) => name)
    let changed = false
    for (const name of due) {
      // What it is by now: it may have changed while the others were written.
      const wish = wishes.get(name)
      if (!wish) continue
      wishes.delete(name)
      try {
        changed = (await writeOne(name, wish)) || changed
      } catch (err) {
        log.warn({ err, dir }, 'what this node remembers could not be written')
        if (!wishes.has(name)) wishes.set(name, { ...wish, dueAt: clock.monotonic() + RETRY_MS })
      }
    }
    if (changed) await syncPath(files).catch((err: unknown) => log.warn({ err, dir }, 'what this node remembers could not be synced'))
  }

  async function writeOne(name: string, { make, sameAs }: Wish): Promise<boolean> {
    const file = fileOf(name)
    const path = join(files, file)
    const value = make?.()
    if (value === undefined) {
      if (!digests.has(name)) return false
      await rm(path, { force: true })
      digests.delete(name)
      pausedUntil.delete(name)
      return true
    }
    const digest = digestOf(sameAs(value))
    if (digests.get(name) === digest) return false
    const bytes = seal.seal(file, JSON.stringify([name, digest, value]))
    await writeSynced(`${path}.new`, bytes)
    await rename(`${path}.new`, path)
    digests.set(name, digest)
    written.bytes += bytes.length
    written.files += 1
    pausedUntil.set(name, clock.monotonic() + Math.min((bytes.length / BYTES_PER_SECOND) * 1000, PAUSE_MAX_MS))
    return true
  }

  /** One write at a time; resolves after one that began no earlier than this call. */
  function run(all: boolean): Promise<void> {
    const next = (writing ?? Promise.resolve()).then(() => write(all))
    const own = next.finally(() => {
      if (writing === own) writing = undefined
      schedule()
    })
    writing = own
    return own
  }

  function schedule(): void {
    timer?.cancel()
    timer = undefined
    if (closed || wishes.size === 0) return
    const dueAt = Math.min(...[...wishes.values()].map((wish) => wish.dueAt))
    timer = clock.after(Math.max(dueAt - clock.monotonic(), 0), () => void run(false))
  }

  return {
    written,
    take(name) {
      const value = kept.get(name)
      kept.delete(name)
      return value
    },
    names: () => [...new Set([...digests.keys(), ...wishes.keys()])],
    set(name, make, sameAs = (value) => value) {
      if (closed) return
      const waiting = wishes.get(name)
      const dueAt = waiting?.dueAt ?? Math.max(clock.monotonic() + GATHER_MS, pausedUntil.get(name) ?? 0)
      wishes.set(name, { make, sameAs, dueAt })
      if (!waiting && !writing) schedule()
    },
    flush: () => run(true),
    async close() {
      if (closed) return
      const last = run(true)
      closed = true
      await last
    },
  }
}

/** A name may hold anything. */
const fileOf = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 32)

const digestOf = (value: unknown): string => createHash('sha1').update(JSON.stringify(value)).digest('base64')
