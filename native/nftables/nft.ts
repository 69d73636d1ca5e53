// The nf_tables of one network namespace. Two implementations, the kernel's (kernel.ts) and one in
// memory (fake.ts), pass one conformance suite.

import { SysError } from '../sys-error.ts'
import { type Command, commandText } from './command.ts'
import type { Elements } from './elements.ts'
import type { Family, SetSpec, Table } from './table.ts'

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
  /** A table as text, like `nft list table`; empty if there is none. */
  dump(family: Family, table: string): Promise<string>
  /** Changes with every transaction of anyone in this namespace. Elements that rules add or that time out do not change it. */
  generation(): Promise<number>
  close(): void
}

/** A transaction that was refused: which command, and if the kernel said so, which of its elements. */
export class NftError extends SysError {
  readonly command: Command | undefined
  /** Row of the command's elements. */
  readonly row: number | undefined
  constructor(error: number | string, command?: Command, row?: number) {
    super(error, 'nftables', command ? commandText(command, row) : 'transaction')
    this.name = 'NftError'
    this.command = command
    this.row = row
  }
}
