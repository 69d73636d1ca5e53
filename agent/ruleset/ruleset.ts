// The agent's tables in the nf_tables of one network namespace, and how its parts (services, policies)
// change them: each part keeps in memory what its tables hold, plans from that to what it wants, and
// runs the difference as one transaction. Memory is trusted only while nobody else changes any rule,
// which the kernel's generation number tells; transactions of the other parts are known here and do
// not count, so that one part's change never makes another read its tables again.

import { type Elements, inTable, isSysError, type Nft, type NftCommand, NftError, type SetSpec, type Table, type TableRef } from 'nft-js'
import type { Log } from '#api/log.ts'

/** What leads from what is known to what is wanted; `done` tells what is known once the commands were run. */
export type Step<K> = { commands: readonly NftCommand[]; done: () => K }

export type Plan<K> = (known: K) => Step<K>

export interface OwnTables<K> {
  /**
   * Makes the tables as the plan wants them: all of it or, if this throws, nothing. `refused` is told of an
   * element or rule that the kernel does not take; true: the plan now does without it. Calls go one after
   * the other, with those of the other parts. Throws SysError.
   */
  apply(plan: Plan<K>, refused: (error: NftError) => boolean): Promise<void>
  /** What a set holds that rules fill; undefined if it is not there. */
  elements(table: TableRef, set: SetSpec): Promise<Elements | undefined>
  /** Deletes the tables. */
  remove(): Promise<void>
  /** Resolves when what was asked for is done. */
  applied(): Promise<void>
}

export type Part<K> = {
  tables: readonly TableRef[]
  /** What is known of tables that were just read; undefined for one that is not there. */
  adopt: (tables: readonly (Table | undefined)[]) => K
  log: Log
}

export interface Ruleset {
  own<K>(part: Part<K>): OwnTables<K>
}

/** What is needed of the kernel. */
export type RulesetNft = Pick<Nft, 'run' | 'list' | 'elements' | 'generation'>

/** Others may change the rules between our look and our transaction. */
const attempts = 10

export const openRuleset = (nft: RulesetNft): Ruleset => {
  const seen = new Generation(nft)
  let queue: Promise<unknown> = Promise.resolve()
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const done = queue.then(work)
    queue = done.catch(() => {})
    return done
  }

  return {
    own<K>({ tables, adopt, log }: Part<K>): OwnTables<K> {
      let known: { value: K; epoch: number } | undefined

      const look = async (): Promise<K> => {
        let epoch = await seen.epoch()
        while (known?.epoch !== epoch) {
          const found = await Promise.all(tables.map((table) => read(nft, table, log)))
          known = { value: adopt(found), epoch }
          epoch = await seen.epoch()
        }
        return known.value
      }

      return {
        apply: (plan, refused) =>
          alone(async () => {
            for (let attempt = 1; ; attempt++) {
              const { commands, done } = plan(await look())
              try {
                if (commands.length > 0) await seen.run(commands)
              } catch (error) {
                if (attempt === attempts || !(error instanceof NftError)) throw error
                if (error.code !== 'ERESTART' && !refused(error)) throw error
                continue
              }
              known = { value: done(), epoch: seen.last }
              return
            }
          }),
        elements: ({ family, name }, set) => nft.elements(family, name, set),
        remove: () =>
          alone(async () => {
            known = undefined
            await nft.run(tables.flatMap((table) => [inTable(table).add(), inTable(table).delete()]))
          }),
        applied: async () => void (await queue),
      }
    },
  }
}

/** Counts the changes of strangers: what was read in an epoch is true to its end. */
class Generation {
  readonly #nft: RulesetNft
  /** After our last look or transaction; 0: not known. */
  #generation = 0
  #epoch = 0

  constructor(nft: RulesetNft) {
    this.#nft = nft
  }

  async epoch(): Promise<number> {
    const generation = await this.#nft.generation()
    if (generation !== this.#generation) {
      this.#generation = generation
      this.#epoch++
    }
    return this.#epoch
  }

  get last(): number {
    return this.#epoch
  }

  /** Throws ERESTART if a stranger came first. */
  async run(commands: readonly NftCommand[]): Promise<void> {
    const generation = this.#generation
    this.#generation = 0
    await this.#nft.run(commands, { generation })
    // Of a transaction that named its generation, the next is its own; 0 is left out.
    this.#generation = (generation + 1) >>> 0 || 1
  }
}

const read = async (nft: RulesetNft, { family, name }: TableRef, log: Log): Promise<Table | undefined> => {
  try {
    return await nft.list(family, name)
  } catch (error) {
    if (!isSysError(error, 'EPROTONOSUPPORT', 'EBADMSG')) throw error
    log.warn({ err: error, family, table: name }, 'a table that cannot be read is replaced')
    return undefined
  }
}
