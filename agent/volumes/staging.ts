// Volumes that pods of this node share: staged when the first of them comes, unstaged when the last has
// gone. Under `<dir>/<type>/<hash of the id>` there are `id`, `volume` (what the driver was given to fill)
// and `users`, a file for each pod and volume name. A user is written down before anything is done for it.

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { VolumeDriver, VolumeSpec } from './driver.ts'
import { exists } from './mount-table.ts'

type User = { uid: string; name: string }
type Staged = { type: string; at: string }

/** Everything about a volume that is staged, or is about to be. */
export const stagedFolder = (dir: string, type: string, id: string): string =>
  join(dir, type, createHash('sha256').update(id).digest('hex').slice(0, 32))

export class Staging {
  readonly #dir: string
  readonly #driverOf: (type: string) => VolumeDriver | undefined
  /** Who is at work on a volume, by its folder. */
  readonly #busy = new Map<string, Promise<unknown>>()

  constructor(dir: string, driverOf: (type: string) => VolumeDriver | undefined) {
    this.#dir = dir
    this.#driverOf = driverOf
  }

  /** Where the volume is on this node, for this pod from now on; undefined where it is not shared. */
  async stage(driver: VolumeDriver, spec: VolumeSpec, uid: string, signal?: AbortSignal): Promise<string | undefined> {
    const id = driver.stage && driver.idOf?.(spec)
    if (!driver.stage || id === undefined) return undefined
    const at = stagedFolder(this.#dir, spec.type, id)
    return await this.#alone(at, async () => {
      await mkdir(join(at, 'users'), { recursive: true, mode: 0o700 })
      await writeFile(join(at, 'id'), id)
      await writeFile(join(at, 'users', `${uid}~${spec.name}`), '')
      const staged = join(at, 'volume')
      await mkdir(staged, { recursive: true, mode: 0o700 })
      await driver.stage?.(spec, staged, signal)
      return staged
    })
  }

  /** The pod uses none of them any more. */
  async release(uid: string): Promise<void> {
    for (const staged of await this.#all()) await this.#drop(staged, (user) => user.uid === uid)
  }

  /** Those users are dropped whose pods are not here any more, and what nobody uses then. */
  async recover(isHere: (uid: string) => Promise<boolean>): Promise<void> {
    for (const staged of await this.#all()) {
      const gone = new Set<string>()
      for (const { uid } of await usersOf(staged.at)) if (!(await isHere(uid))) gone.add(uid)
      await this.#drop(staged, (user) => gone.has(user.uid))
    }
  }

  async #drop({ type, at }: Staged, isGone: (user: User) => boolean): Promise<void> {
    await this.#alone(at, async () => {
      if (!(await exists(at))) return
      for (const user of await usersOf(at)) if (isGone(user)) await rm(join(at, 'users', `${user.uid}~${user.name}`), { force: true })
      if ((await usersOf(at)).length > 0) return
      const id = await readFile(join(at, 'id'), 'utf8').catch(() => '')
      const staged = join(at, 'volume')
      if (await exists(staged)) await this.#driverOf(type)?.unstage?.(id, staged)
      await rm(at, { recursive: true, force: true })
    })
  }

  async #all(): Promise<Staged[]> {
    const types = await readdir(this.#dir).catch(() => [])
    const lists = types.map(async (type) =>
      (await readdir(join(this.#dir, type))).map((hash) => ({ type, at: join(this.#dir, type, hash) })),
    )
    return (await Promise.all(lists)).flat()
  }

  async #alone<T>(at: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(at)
    const mine = (before ?? Promise.resolve()).then(work, work)
    this.#busy.set(at, mine)
    try {
      return await mine
    } finally {
      if (this.#busy.get(at) === mine) this.#busy.delete(at)
    }
  }
}

/** Neither uids nor names of volumes hold a `~`. */
async function usersOf(at: string): Promise<User[]> {
  const names = await readdir(join(at, 'users')).catch(() => [])
  return names.map((each) => {
    const [uid = '', name = ''] = each.split('~')
    return { uid, name }
  })
}
