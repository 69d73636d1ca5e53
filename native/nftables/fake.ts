// nf_tables in memory, for tests of what programs it: same answers, same errors, no packets. Strict
// where the kernel is: names must exist, what is in use cannot go, a transaction is all or nothing.

import { type Command } from './command.ts'
import { Elements, shapeOf } from './elements.ts'
import { chainOfVerdict, namesOf } from './expression.ts'
import { type Nft, NftError } from './nft.ts'
import type { ChainSpec, Family, Rule, SetSpec, Table, Verdict } from './table.ts'
import { tableText } from './table-text.ts'

type StoredElement = { words: Uint32Array; verdict?: Verdict; data: string; options?: { timeoutMs?: number } }
type StoredSet = { spec: SetSpec; elements: Map<string, StoredElement> }
type StoredTable = { family: Family; name: string; chains: Map<string, { spec: ChainSpec; rules: Rule[] }>; sets: Map<string, StoredSet> }
type Tables = Map<string, StoredTable>

export type FakeNft = Nft & {
  /** Transactions that were run and took effect, for tests that want to see what was changed. */
  readonly transactions: readonly (readonly Command[])[]
}

export const fakeNft = (): FakeNft => {
  let tables: Tables = new Map()
  let generation = 1
  let handle = 1
  const transactions: (readonly Command[])[] = []
  const list = (family: Family, name: string): Table | undefined => {
    const table = tables.get(`${family} ${name}`)
    return table && snapshot(table)
  }
  return {
    transactions,
    async run(commands, options = {}) {
      if (options.generation !== undefined && options.generation !== generation) throw new NftError('ERESTART')
      const next = new Map([...tables].map(([key, table]) => [key, copy(table)]))
      for (const command of commands) handle = apply(next, command, handle)
      tables = next
      generation++
      transactions.push(commands)
    },
    list: async (family, name) => list(family, name),
    elements: async (family, name, { name: set }) => list(family, name)?.sets.find(({ spec }) => spec.name === set)?.elements,
    async dump(family, name) {
      const table = list(family, name)
      return table ? tableText(table) : ''
    },
    generation: async () => generation,
    close() {},
  }
}

const copy = (table: StoredTable): StoredTable => ({
  ...table,
  chains: new Map([...table.chains].map(([name, chain]) => [name, { ...chain, rules: [...chain.rules] }])),
  sets: new Map([...table.sets].map(([name, set]) => [name, { ...set, elements: new Map(set.elements) }])),
})

const snapshot = (table: StoredTable): Table => ({
  family: table.family,
  name: table.name,
  chains: [...table.chains.values()].map(({ spec, rules }) => ({ ...withPolicy(spec), rules: [...rules] })),
  sets: [...table.sets.values()].map(({ spec, elements: stored }) => {
    const elements = new Elements(spec, Math.max(stored.size, 1))
    for (const element of stored.values()) {
      const at = elements.row()
      elements.words.set(element.words, at)
      if (element.verdict) elements.words[at + elements.shape.dataAt] = elements.verdict(element.verdict)
      if (element.options) elements.options.set(elements.count - 1, element.options)
    }
    return { spec, elements }
  }),
})

const withPolicy = (spec: ChainSpec): ChainSpec => (spec.base ? { ...spec, base: { policy: 'accept', ...spec.base } } : spec)

/** Applies one command in place; returns the next free handle. */
const apply = (tables: Tables, command: Command, handle: number): number => {
  const refuse = (code: string, row?: number) => new NftError(code, command, row)
  const key = `${command.table.family} ${command.table.name}`
  if (command.does === 'add table') {
    if (!tables.has(key)) tables.set(key, { family: command.table.family, name: command.table.name, chains: new Map(), sets: new Map() })
    return handle
  }
  const table = tables.get(key)
  if (!table) throw refuse('ENOENT')
  const found = <T>(map: Map<string, T>, name: string): T => {
    const value = map.get(name)
    if (value === undefined) throw refuse('ENOENT')
    return value
  }
  switch (command.does) {
    case 'delete table':
      tables.delete(key)
      return handle
    case 'add chain': {
      const old = table.chains.get(command.chain.name)
      if (old && !sameHook(old.spec, command.chain)) throw refuse('EEXIST')
      table.chains.set(command.chain.name, { spec: command.chain, rules: old?.rules ?? [] })
      return handle
    }
    case 'delete chain':
      found(table.chains, command.name).rules.length = 0
      if (usesOf(table).chains.has(command.name)) throw refuse('EBUSY')
      table.chains.delete(command.name)
      return handle
    case 'flush chain':
      found(table.chains, command.name).rules.length = 0
      return handle
    case 'add rule': {
      const chain = found(table.chains, command.chain)
      const names = namesOf(command.rule.expressions)
      for (const name of names.chains) found(table.chains, name)
      for (const name of names.sets) found(table.sets, name)
      chain.rules.push({ ...command.rule, handle })
      return handle + 1
    }
    case 'delete rule': {
      const chain = found(table.chains, command.chain)
      const at = chain.rules.findIndex((rule) => rule.handle === command.handle)
      if (at < 0) throw refuse('ENOENT')
      chain.rules.splice(at, 1)
      return handle
    }
    case 'add set': {
      const old = table.sets.get(command.set.name)
      if (old && JSON.stringify(old.spec) !== JSON.stringify(command.set)) throw refuse('EEXIST')
      if (!old) table.sets.set(command.set.name, { spec: command.set, elements: new Map() })
      return handle
    }
    case 'delete set':
      found(table.sets, command.name)
      if (usesOf(table).sets.has(command.name)) throw refuse('EBUSY')
      table.sets.delete(command.name)
      return handle
    case 'flush set':
      found(table.sets, command.name).elements.clear()
      return handle
    case 'add element':
      addElements(table, found(table.sets, command.elements.spec.name), command.elements, refuse)
      return handle
    default: {
      const { elements } = found(table.sets, command.elements.spec.name)
      for (let row = 0; row < command.elements.count; row++) if (!elements.delete(command.elements.keyOf(row))) throw refuse('ENOENT', row)
      return handle
    }
  }
}

const addElements = (table: StoredTable, set: StoredSet, added: Elements, refuse: (code: string, row: number) => NftError): void => {
  const { rowWords, verdict: isVerdict } = shapeOf(set.spec)
  for (let row = 0; row < added.count; row++) {
    const key = added.keyOf(row)
    const data = added.dataOf(row)
    const verdict = isVerdict ? (data as Verdict) : undefined
    const chain = verdict && chainOfVerdict(verdict)
    if (chain !== undefined && !table.chains.has(chain)) throw refuse('ENOENT', row)
    const old = set.elements.get(key)
    if (old) {
      if (old.data !== data) throw refuse('EEXIST', row)
      continue
    }
    if (set.spec.size && set.elements.size >= set.spec.size) throw refuse('ENFILE', row)
    const options = added.options.get(row)
    const words = added.words.slice(row * rowWords, (row + 1) * rowWords)
    set.elements.set(key, { words, data, ...(verdict && { verdict }), ...(options && { options }) })
  }
}

const sameHook = (a: ChainSpec, b: ChainSpec): boolean =>
  a.base?.type === b.base?.type && a.base?.hook === b.base?.hook && a.base?.priority === b.base?.priority

/** What rules and elements name. */
const usesOf = (table: StoredTable): { chains: Set<string>; sets: Set<string> } => {
  const uses = { chains: new Set<string>(), sets: new Set<string>() }
  for (const { rules } of table.chains.values()) {
    for (const { expressions } of rules) {
      const names = namesOf(expressions)
      for (const name of names.chains) uses.chains.add(name)
      for (const name of names.sets) uses.sets.add(name)
    }
  }
  for (const { elements } of table.sets.values()) {
    for (const { verdict } of elements.values()) {
      const chain = verdict && chainOfVerdict(verdict)
      if (chain !== undefined) uses.chains.add(chain)
    }
  }
  return uses
}
