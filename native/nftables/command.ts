// The commands of a transaction, as nft has them, made by `inTable`.

import type { Elements } from './elements.ts'
import type { TableRef } from './family.ts'
import type { FlowtableSpec } from './flowtable.ts'
import type { ObjectKind, ObjectSpec } from './object.ts'
import type { SetSpec } from './set.ts'
import type { ChainSpec, RuleSpec } from './table.ts'

/** `add` is fine with what is already there and equal; `delete` is not fine with what is missing (ENOENT). */
export type Command = { readonly table: TableRef } & (
  | { readonly does: 'add table' }
  | { readonly does: 'delete table' }
  | { readonly does: 'add chain'; readonly chain: ChainSpec }
  | { readonly does: 'delete chain'; readonly name: string }
  | { readonly does: 'flush chain'; readonly name: string }
  /** At the chain's end (`add`) or start (`insert`), or right after or before the rule with this handle. */
  | { readonly does: 'add rule' | 'insert rule'; readonly chain: string; readonly rule: RuleSpec; readonly at?: number }
  /** In the place of another; it gets a handle of its own. */
  | { readonly does: 'replace rule'; readonly chain: string; readonly handle: number; readonly rule: RuleSpec }
  | { readonly does: 'delete rule'; readonly chain: string; readonly handle: number }
  | { readonly does: 'add set'; readonly set: SetSpec }
  | { readonly does: 'delete set'; readonly name: string }
  | { readonly does: 'flush set'; readonly name: string }
  | { readonly does: 'add element' | 'delete element'; readonly elements: Elements }
  /** One of the name that is there stays as it is, its state too. */
  | { readonly does: 'add object'; readonly object: ObjectSpec }
  | { readonly does: 'delete object'; readonly kind: ObjectKind; readonly name: string }
  | { readonly does: 'add flowtable'; readonly flowtable: FlowtableSpec }
  | { readonly does: 'delete flowtable'; readonly name: string }
)

/** Writes commands for one table. A table that is added and then deleted is gone, whether or not it was there. */
export const inTable = (table: TableRef) => ({
  add: (): Command => ({ table, does: 'add table' }),
  delete: (): Command => ({ table, does: 'delete table' }),
  addChain: (chain: ChainSpec): Command => ({ table, does: 'add chain', chain }),
  deleteChain: (name: string): Command => ({ table, does: 'delete chain', name }),
  flushChain: (name: string): Command => ({ table, does: 'flush chain', name }),
  /** At the end of the chain, or after the rule with this handle. */
  addRule: (chain: string, rule: RuleSpec, after?: number): Command => ({
    table,
    does: 'add rule',
    chain,
    rule,
    ...(after && { at: after }),
  }),
  /** At the start of the chain, or before the rule with this handle. */
  insertRule: (chain: string, rule: RuleSpec, before?: number): Command => ({
    table,
    does: 'insert rule',
    chain,
    rule,
    ...(before && { at: before }),
  }),
  replaceRule: (chain: string, handle: number, rule: RuleSpec): Command => ({ table, does: 'replace rule', chain, handle, rule }),
  deleteRule: (chain: string, handle: number): Command => ({ table, does: 'delete rule', chain, handle }),
  addSet: (set: SetSpec): Command => ({ table, does: 'add set', set }),
  deleteSet: (name: string): Command => ({ table, does: 'delete set', name }),
  flushSet: (name: string): Command => ({ table, does: 'flush set', name }),
  addElements: (elements: Elements): Command => ({ table, does: 'add element', elements }),
  /** By their keys; data is not looked at. */
  deleteElements: (elements: Elements): Command => ({ table, does: 'delete element', elements }),
  addObject: (object: ObjectSpec): Command => ({ table, does: 'add object', object }),
  deleteObject: (kind: ObjectKind, name: string): Command => ({ table, does: 'delete object', kind, name }),
  addFlowtable: (flowtable: FlowtableSpec): Command => ({ table, does: 'add flowtable', flowtable }),
  deleteFlowtable: (name: string): Command => ({ table, does: 'delete flowtable', name }),
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
    case 'delete flowtable':
      return `${command.does} ${where} ${command.name}`
    case 'add rule':
    case 'insert rule':
      return `${command.does} ${where} ${command.chain}`
    case 'replace rule':
    case 'delete rule':
      return `${command.does} ${where} ${command.chain} handle ${command.handle}`
    case 'add set':
      return `${command.does} ${where} ${command.set.name}`
    case 'add object':
      return `add ${command.object.kind} ${where} ${command.object.name}`
    case 'delete object':
      return `delete ${command.kind} ${where} ${command.name}`
    case 'add flowtable':
      return `${command.does} ${where} ${command.flowtable.name}`
    default: {
      const { elements } = command
      const what = row === undefined ? `${elements.count} elements` : elements.text(row)
      return `${command.does} ${where} ${elements.spec.name} { ${what} }`
    }
  }
}
