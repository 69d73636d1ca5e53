// The commands of a transaction, as nft has them, made by `inTable`.

import type { Elements } from './elements.ts'
import type { ChainSpec, RuleSpec, SetSpec, TableRef } from './table.ts'

/** `add` is fine with what is already there and equal; `delete` is not fine with what is missing (ENOENT). */
export type Command = { readonly table: TableRef } & (
  | { readonly does: 'add table' }
  | { readonly does: 'delete table' }
  | { readonly does: 'add chain'; readonly chain: ChainSpec }
  | { readonly does: 'delete chain'; readonly name: string }
  | { readonly does: 'flush chain'; readonly name: string }
  | { readonly does: 'add rule'; readonly chain: string; readonly rule: RuleSpec }
  | { readonly does: 'delete rule'; readonly chain: string; readonly handle: number }
  | { readonly does: 'add set'; readonly set: SetSpec }
  | { readonly does: 'delete set'; readonly name: string }
  | { readonly does: 'flush set'; readonly name: string }
  | { readonly does: 'add element' | 'delete element'; readonly elements: Elements }
)

/** Writes commands for one table. A table that is added and then deleted is gone, whether or not it was there. */
export const inTable = (table: TableRef) => ({
  add: (): Command => ({ table, does: 'add table' }),
  delete: (): Command => ({ table, does: 'delete table' }),
  addChain: (chain: ChainSpec): Command => ({ table, does: 'add chain', chain }),
  deleteChain: (name: string): Command => ({ table, does: 'delete chain', name }),
  flushChain: (name: string): Command => ({ table, does: 'flush chain', name }),
  /** At the end of the chain. */
  addRule: (chain: string, rule: RuleSpec): Command => ({ table, does: 'add rule', chain, rule }),
  deleteRule: (chain: string, handle: number): Command => ({ table, does: 'delete rule', chain, handle }),
  addSet: (set: SetSpec): Command => ({ table, does: 'add set', set }),
  deleteSet: (name: string): Command => ({ table, does: 'delete set', name }),
  flushSet: (name: string): Command => ({ table, does: 'flush set', name }),
  addElements: (elements: Elements): Command => ({ table, does: 'add element', elements }),
  /** By their keys; data is not looked at. */
  deleteElements: (elements: Elements): Command => ({ table, does: 'delete element', elements }),
})

/** A command in a line, for errors and logs; of elements, the one at `row` or how many. */
export const commandText = (command: Command, row?: number): string => {
  const where = `${command.table.family} ${command.table.name}`
  switch (command.does) {
    case 'add table':
    case 'delete table':
      return `${command.does} ${where}`
    case 'add chain':
      return `${command.does} ${where} ${command.chain.name}`
    case 'delete chain':
    case 'flush chain':
    case 'delete set':
    case 'flush set':
      return `${command.does} ${where} ${command.name}`
    case 'add rule':
      return `${command.does} ${where} ${command.chain}`
    case 'delete rule':
      return `${command.does} ${where} ${command.chain} handle ${command.handle}`
    case 'add set':
      return `${command.does} ${where} ${command.set.name}`
    default: {
      const { elements } = command
      const what = row === undefined ? `${elements.count} elements` : elements.text(row)
      return `${command.does} ${where} ${elements.spec.name} { ${what} }`
    }
  }
}
