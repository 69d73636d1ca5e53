// Who works in the store right now. The agent and the command line may use one store at the same time, and
// either may be killed: each piece of work owns a staging folder named after its process, so anyone can tell
// a living owner from a dead one, whose folder is swept. A collector deletes only while no other process works.

import { readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

type Kind = 'work' | 'collect' | 'trash'

export type Claim = { dir: string; close(): Promise<void> }

export class Claims {
  #dir: string
  #owner: string
  #own = new Set<string>()

  constructor(dir: string) {
    this.#dir = dir
    this.#owner = `${bootId()}-${process.pid}-${startTime(readFileSync('/proc/self/stat', 'latin1'))}`
  }

  /** A folder to work in, gone with `close`. */
  async open(kind: Kind): Promise<Claim> {
    const name = `${this.#owner}-${kind}-${nextNumber++}`
    const dir = join(this.#dir, name)
    this.#own.add(name)
    await mkdir(dir, { mode: 0o700 })
    return {
      dir,
      close: async () => {
        await rm(dir, { recursive: true, force: true })
        this.#own.delete(name)
      },
    }
  }

  /** Whether another living process (or another opening of the store) holds a claim of this kind. */
  async others(kind: Kind): Promise<boolean> {
    for (const name of await readdir(this.#dir)) {
      if (!this.#own.has(name) && name.split('-')[3] === kind && (await this.#alive(name))) return true
    }
    return false
  }

  /** Resolves once no other process collects; collections are short. */
  async uncollected(signal?: AbortSignal): Promise<void> {
    while (await this.others('collect')) await wait(20, undefined, { signal })
  }

  /** Removes what dead owners left. */
  async sweep(): Promise<void> {
    for (const name of await readdir(this.#dir)) {
      if (!this.#own.has(name) && !(await this.#alive(name))) await rm(join(this.#dir, name), { recursive: true, force: true })
    }
  }

  async #alive(name: string): Promise<boolean> {
    const [boot, pid, start] = name.split('-')
    if (boot !== bootId() || !/^\d+$/.test(pid ?? '')) return false
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
    return stat !== undefined && startTime(stat) === start && !/^[ZX]/.test(afterName(stat))
  }
}

/** One sequence a process, so that two openings of one store never share a folder. */
let nextNumber = 0

let boot: string | undefined
const bootId = () => (boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8))

/** Field 22 of proc(5) stat; the second, the name, may hold spaces and brackets. */
const startTime = (stat: string): string => afterName(stat).split(' ')[19]!
const afterName = (stat: string): string => stat.slice(stat.lastIndexOf(')') + 2)
