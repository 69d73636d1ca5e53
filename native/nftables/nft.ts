// The nf_tables of one network namespace. Two implementations, the kernel's (kernel.ts) and one in
// memory (fake.ts), pass one conformance suite.

import { SysError } from '../sys-error.ts'
import { type Command, commandText } from './command.ts'
import type { Elements } from './elements.ts'
import type { Family, TableRef } from './family.ts'
import type { ObjectSpec } from './object.ts'
import type { SetSpec } from './set.ts'
import type { Table } from './table.ts'
import { tableText } from './table-text.ts'
import type { NftNotification } from './watch.ts'

export interface Nft {
  /**
   * Runs the commands as one transaction: all of them or, if this throws an NftError, none. With
   * `generation`, only if no transaction of anyone came in between (else ERESTART).
   */
  run(commands: readonly Command[], options?: { generation?: number }): Promise<void>
  /** A table as it is, undefined if there is none. Consistent: taken at one generation. */
  list(family: Family, table: string): Promise<Table | undefined>
  /** The elements of one set, undefined if it or its table is not there. */
  elements(family: Family, table: string, set: SetSpec): Promise<Elements | undefined>
  /** Every table there is, in the order of their creation. */
  tables(): Promise<TableRef[]>
  /** A table as text, like `nft list table`; empty if there is none. Without a name all tables, like `nft list ruleset`. */
  dump(family?: Family, table?: string): Promise<string>
  /** The objects of a table with their counts as they were; counters and quotas start from zero again. */
  reset(family: Family, table: string): Promise<ObjectSpec[]>
  /**
   * What transactions of anyone change, from now on: listening has begun when this resolves, and ends with
   * the loop over it, with the signal, or when this is closed. Rules that add elements and timeouts are not told.
   */
  watch(signal?: AbortSignal): Promise<AsyncIterable<NftNotification>>
  /** Changes with every transaction of anyone in this namespace. Elements that rules add or that time out do not change it. */
  generation(): Promise<number>
  close(): void
}

/** A transaction that was refused: which command, and if the kernel said so, which of its elements. */
export class NftError extends SysError {
  readonly command: Command | undefined
  /** Row of the command's elements. */
  readonly row: number | undefined
  /** `text`: the kernel's own words, where it has any. */
  constructor(error: number | string, command?: Command, row?: number, text?: string) {
    const what = command ? commandText(command, row) : 'transaction'
    super(error, 'nftables', text ? `${what}: ${text}` : what)
    this.name = 'NftError'
    this.command = command
    this.row = row
  }
}

/** `Nft.dump` by way of its other members. */
export const dump = async (nft: Pick<Nft, 'list' | 'tables'>, family?: Family, name?: string): Promise<string> => {
  const wanted = family !== undefined && name !== undefined ? [{ family, name }] : await nft.tables()
  let text = ''
  for (const ref of wanted) {
    const table = (family === undefined || ref.family === family) && (await nft.list(ref.family, ref.name))
    if (table) text += tableText(table)
  }
  return text
}
