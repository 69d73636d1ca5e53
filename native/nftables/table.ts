// What a table holds, as data: the same shapes are asked for, read back from the kernel, kept by the
// fake and printed.

import type { Elements } from './elements.ts'
import type { Expression } from './expression.ts'
import type { TableRef } from './family.ts'
import type { FlowtableSpec } from './flowtable.ts'
import type { ObjectSpec } from './object.ts'
import type { SetSpec } from './set.ts'

export type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

export type ChainSpec = {
  readonly name: string
  /** Makes it a base chain; it cannot be changed afterwards (the kernel answers EEXIST or EOPNOTSUPP), only the policy can. */
  readonly base?: {
    readonly type: 'filter' | 'nat' | 'route'
    readonly hook: Hook
    readonly priority: number
    readonly policy?: 'accept' | 'drop'
  }
}

export type RuleSpec = { readonly expressions: readonly Expression[]; readonly comment?: string }

/** `handle` is the kernel's name of the rule. */
export type Rule = RuleSpec & { readonly handle: number }

export type Chain = ChainSpec & { readonly rules: readonly Rule[] }
export type NftSet = { readonly spec: SetSpec; readonly elements: Elements }

/** A table as it is now. Order of chains, sets and objects is that of their creation. */
export type Table = TableRef & {
  readonly chains: readonly Chain[]
  readonly sets: readonly NftSet[]
  readonly objects: readonly ObjectSpec[]
  readonly flowtables: readonly FlowtableSpec[]
}
