// The fast path of pods' connections through this node, where the kernel has flowtables: after their first
// packets they go from link to link, past routing and every chain. So it is open only while nobody is to judge
// packets one by one: no pod of the node is isolated by a policy, and no firewall of the host filters what is
// forwarded. Each family for itself. What is there stays while the agent is restarted.

import { inTable, isSysError, type Nft, type NftCommand } from 'nft-js'
import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { Ruleset } from '../ruleset/ruleset.ts'
import { devicesIn, type Family, fastPathOf, fastTable } from './layout.ts'
import { obstacleTo } from './obstacle.ts'

export type FastPathOptions = {
  ruleset: Ruleset
  nft: Pick<Nft, 'tables' | 'list' | 'generation'>
  /** The cluster's pods, a prefix for each family. */
  pods: Partial<Record<Family, string>>
  /** The links between which pods' packets are forwarded, as they are now. */
  devices(): Promise<readonly string[]>
  clock: Clock
  log: Log
}

export interface FastPath {
  /**
   * In these families pods of this node are isolated from now on, in others none. Resolves once no connection
   * of theirs goes past the rules; throws SysError where that could not be had.
   */
  judge(families: ReadonlySet<Family>): Promise<void>
  /** Looks at what is wanted now. */
  apply(): Promise<void>
  close(): Promise<void>
}

/** Takes it out, whoever made it. */
export const removeFastPath = (ruleset: Ruleset, log: Log): Promise<void> =>
  ruleset.own({ tables: (['ip', 'ip6'] as const).map(fastTable), adopt: () => undefined, log }).remove()

/** How often links and firewalls are looked at, milliseconds. */
const LOOK_MS = 5_000

/** `none`: no table; `other`: one that is not as we make it; else its links. */
type Known = readonly string[] | 'none' | 'other'

export function openFastPath(options: FastPathOptions): FastPath {
  const path = new NftFastPath(options)
  path.start()
  return path
}

class NftFastPath implements FastPath {
  readonly #options: FastPathOptions
  readonly #families: readonly Family[]
  readonly #tables
  readonly #closing = new AbortController()
  #looking: Promise<void> | undefined
  /** Not known before the first `judge`. */
  #judged: ReadonlySet<Family> | undefined
  /** The kernel has no flowtables. */
  #absent = false
  #told = new Map<Family, string>()
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: FastPathOptions) {
    this.#options = options
    this.#families = (Object.keys(options.pods) as Family[]).sort()
    this.#tables = options.ruleset.own<readonly Known[]>({
      tables: this.#families.map(fastTable),
      adopt: (tables) => tables.map((table) => (table ? (devicesIn(table) ?? 'other') : 'none')),
      log: options.log,
    })
  }

  start(): void {
    this.#looking ??= this.#look()
  }

  judge(families: ReadonlySet<Family>): Promise<void> {
    return this.#alone(async () => {
      const isNew = [...families].some((family) => !this.#judged?.has(family))
      this.#judged = families
      // Deleting a flowtable ends what goes through it: the next packet of each connection meets the chains.
      if (isNew) await this.#program(this.#families.map((family) => (families.has(family) ? 'none' : undefined)))
    })
  }

  apply(): Promise<void> {
    return this.#alone(async () => {
      if (this.#absent || !this.#judged) return
      const wanted = await Promise.all(this.#families.map((family) => this.#wanted(family)))
      try {
        await this.#program(wanted)
      } catch (err) {
        if (!isSysError(err, 'EOPNOTSUPP')) throw err
        this.#absent = true
        this.#options.log.info({}, 'this kernel has no flowtables: forwarded packets take the usual path')
      }
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#looking
    await this.#queue
  }

  /** Undefined: as it is. */
  async #program(wanted: readonly (Known | undefined)[]): Promise<void> {
    const applyGoal = (goal: (known: Known, i: number) => Known) =>
      this.#tables.apply(
        (known) => {
          const next = known.map(goal)
          return { commands: next.flatMap((to, i) => this.#steps(i, known[i] as Known, to)), done: () => next }
        },
        () => false,
      )
    // Its links cannot be changed, and a hook is free again only when the transaction that leaves it is over.
    await applyGoal((known, i) => (wanted[i] === undefined || same(known, wanted[i]) ? known : 'none'))
    await applyGoal((known, i) => wanted[i] ?? known)
  }

  #steps(i: number, from: Known, to: Known): NftCommand[] {
    if (same(from, to)) return []
    const family = this.#families[i] as Family
    if (typeof to !== 'string') return fastPathOf(family, { pods: this.#options.pods[family] as string, devices: to })
    return from === 'none' ? [] : [inTable(fastTable(family)).delete()]
  }

  async #wanted(family: Family): Promise<Known> {
    const { nft, log } = this.#options
    if (this.#judged?.has(family)) return 'none'
    const obstacle = await obstacleTo(family, nft)
    if (this.#told.get(family) !== obstacle && obstacle) log.info({ family, obstacle }, 'no fast path: another filters what is forwarded')
    if (obstacle) this.#told.set(family, obstacle)
    else this.#told.delete(family)
    const devices = obstacle ? [] : [...new Set(await this.#options.devices())].sort()
    // One link alone forwards to nobody.
    return devices.length > 1 ? devices : 'none'
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted && !this.#absent) {
      await this.apply().catch((err: unknown) => log.debug({ err }, 'the fast path could not be applied'))
      await sleep(clock, LOOK_MS, signal)
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => {})
    return done
  }
}

const same = (a: Known, b: Known): boolean =>
  typeof a === 'string' || typeof b === 'string' ? a === b : a.length === b.length && [...a].sort().every((each, i) => each === b[i])
