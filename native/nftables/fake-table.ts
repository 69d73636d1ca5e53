// A table of the nf_tables in memory: what it holds, and what one command changes in it.

import type { Command } from './command.ts'
import { Elements, shapeOf } from './elements.ts'
import { chainOfVerdict, namesOf } from './expression.ts'
import type { Family, TableRef, Verdict } from './family.ts'
import type { FlowtableSpec } from './flowtable.ts'
import { NftError } from './nft.ts'
import type { ObjectSpec } from './object.ts'
import type { SetSpec } from './set.ts'
import type { ChainSpec, Rule, Table } from './table.ts'
import type { NftChange } from './watch.ts'

type StoredElement = { words: Uint32Array; verdict?: Verdict; data: string; options?: { timeoutMs?: number } }
type StoredSet = { spec: SetSpec; elements: Map<string, StoredElement> }
export type FakeTable = {
  family: Family
  name: string
  chains: Map<string, { spec: ChainSpec; rules: Rule[] }>
  sets: Map<string, StoredSet>
  /** By kind and name: two of different kinds may have the same name. */
  objects: Map<string, ObjectSpec>
  flowtables: Map<string, FlowtableSpec>
}

const emptyTable = ({ family, name }: TableRef): FakeTable => ({
  family,
  name,
  chains: new Map(),
  sets: new Map(),
  objects: new Map(),
  flowtables: new Map(),
})

export const copy = (table: FakeTable): FakeTable => ({
  ...table,
  chains: new Map([...table.chains].map(([name, chain]) => [name, { ...chain, rules: [...chain.rules] }])),
  sets: new Map([...table.sets].map(([name, set]) => [name, { ...set, elements: new Map(set.elements) }])),
  objects: new Map(table.objects),
  flowtables: new Map(table.flowtables),
})

export const snapshot = (table: FakeTable): Table => ({
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
  objects: [...table.objects.values()],
  flowtables: [...table.flowtables.values()],
})

const withPolicy = (spec: ChainSpec): ChainSpec => (spec.base ? { ...spec, base: { policy: 'accept', ...spec.base } } : spec)

/** Applies one command in place and notes what changed; returns the next free handle. */
export const apply = (tables: Map<string, FakeTable>, command: Command, handle: number, changes: NftChange[]): number => {
  const refuse = (code: string, row?: number) => new NftError(code, command, row)
  const ref = { family: command.table.family, name: command.table.name }
  const came = { table: ref, gone: false } as const
  const went = { table: ref, gone: true } as const
  const key = `${ref.family} ${ref.name}`
  if (command.does === 'add table') {
    if (tables.has(key)) return handle
    tables.set(key, emptyTable(ref))
    changes.push({ ...came, what: 'table' })
    return handle
  }
  const table = tables.get(key)
  if (!table) throw refuse('ENOENT')
  const found = <T>(map: Map<string, T>, name: string): T => {
    const value = map.get(name)
    if (value === undefined) throw refuse('ENOENT')
    return value
  }
  /** Takes something out that nothing may still name. */
  const take = <T>(map: Map<string, T>, name: string, used: ReadonlySet<string>): T => {
    const value = found(map, name)
    if (used.has(name)) throw refuse('EBUSY')
    map.delete(name)
    return value
  }
  const flush = (chain: { spec: ChainSpec; rules: Rule[] }) => {
    for (const rule of chain.rules.splice(0)) changes.push({ ...went, what: 'rule', chain: chain.spec.name, rule })
  }
  const elementsChange = (gone: boolean, elements: Elements): NftChange => ({
    table: ref,
    gone,
    what: 'elements',
    set: elements.spec.name,
    elements: () => elements,
  })
  switch (command.does) {
    case 'delete table':
      for (const chain of table.chains.values()) flush(chain)
      for (const flowtable of table.flowtables.values()) changes.push({ ...went, what: 'flowtable', name: flowtable.name })
      for (const { spec } of table.sets.values()) changes.push({ ...went, what: 'set', name: spec.name })
      for (const object of table.objects.values()) changes.push({ ...went, what: 'object', kind: object.kind, name: object.name })
      for (const { spec } of table.chains.values()) changes.push({ ...went, what: 'chain', name: spec.name })
      changes.push({ ...went, what: 'table' })
      tables.delete(key)
      return handle
    case 'add chain': {
      const old = table.chains.get(command.chain.name)
      if (old && !sameHook(old.spec, command.chain)) throw refuse('EEXIST')
      table.chains.set(command.chain.name, { spec: command.chain, rules: old?.rules ?? [] })
      changes.push({ ...came, what: 'chain', name: command.chain.name, chain: withPolicy(command.chain) })
      return handle
    }
    case 'delete chain': {
      flush(found(table.chains, command.name))
      const { spec } = take(table.chains, command.name, usesOf(table).chains)
      changes.push({ ...went, what: 'chain', name: spec.name })
      return handle
    }
    case 'flush chain':
      flush(found(table.chains, command.name))
      return handle
    case 'add rule':
    case 'insert rule':
    case 'replace rule':
    case 'delete rule': {
      const { rules } = found(table.chains, command.chain)
      const named = 'handle' in command ? command.handle : command.at
      const at = rules.findIndex((rule) => rule.handle === named)
      if (named !== undefined && at < 0) throw refuse('ENOENT')
      const told = (gone: boolean, rule: Rule) => changes.push({ table: ref, gone, what: 'rule', chain: command.chain, rule })
      if (command.does === 'delete rule') {
        for (const rule of rules.splice(at, 1)) told(true, rule)
        return handle
      }
      const names = namesOf(command.rule.expressions)
      for (const name of names.chains) found(table.chains, name)
      for (const name of names.sets) found(table.sets, name)
      for (const name of names.objects) found(table.objects, name)
      for (const name of names.flowtables) found(table.flowtables, name)
      const rule = { ...command.rule, handle }
      told(false, rule)
      if (command.does === 'add rule') rules.splice(at < 0 ? rules.length : at + 1, 0, rule)
      else if (command.does === 'insert rule') rules.splice(Math.max(at, 0), 0, rule)
      else for (const old of rules.splice(at, 1, rule)) told(true, old)
      return handle + 1
    }
    case 'add set': {
      const old = table.sets.get(command.set.name)
      if (old && JSON.stringify(old.spec) !== JSON.stringify(command.set)) throw refuse('EEXIST')
      if (old) return handle
      table.sets.set(command.set.name, { spec: command.set, elements: new Map() })
      changes.push({ ...came, what: 'set', name: command.set.name, set: command.set })
      return handle
    }
    case 'delete set': {
      const { spec } = take(table.sets, command.name, usesOf(table).sets)
      changes.push({ ...went, what: 'set', name: spec.name })
      return handle
    }
    case 'flush set':
      found(table.sets, command.name).elements.clear()
      return handle
    case 'add element':
      addElements(table, found(table.sets, command.elements.spec.name), command.elements, refuse)
      changes.push(elementsChange(false, command.elements))
      return handle
    case 'delete element': {
      const { elements } = found(table.sets, command.elements.spec.name)
      for (let row = 0; row < command.elements.count; row++) if (!elements.delete(command.elements.keyOf(row))) throw refuse('ENOENT', row)
      changes.push(elementsChange(true, command.elements))
      return handle
    }
    case 'add object': {
      const name = `${command.object.kind} ${command.object.name}`
      if (table.objects.has(name)) return handle
      table.objects.set(name, command.object)
      const { object } = command
      changes.push({ ...came, what: 'object', kind: object.kind, name: object.name, object })
      return handle
    }
    case 'delete object': {
      const object = take(table.objects, `${command.kind} ${command.name}`, usesOf(table).objects)
      changes.push({ ...went, what: 'object', kind: object.kind, name: object.name })
      return handle
    }
    case 'add flowtable':
      if (table.flowtables.has(command.flowtable.name)) return handle
      table.flowtables.set(command.flowtable.name, command.flowtable)
      changes.push({ ...came, what: 'flowtable', name: command.flowtable.name, flowtable: command.flowtable })
      return handle
    default: {
      const flowtable = take(table.flowtables, command.name, usesOf(table).flowtables)
      changes.push({ ...went, what: 'flowtable', name: flowtable.name })
      return handle
    }
  }
}

const addElements = (table: FakeTable, set: StoredSet, added: Elements, refuse: (code: string, row: number) => NftError): void => {
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
const usesOf = (table: FakeTable) => {
  const uses = { chains: new Set<string>(), sets: new Set<string>(), objects: new Set<string>(), flowtables: new Set<string>() }
  for (const { rules } of table.chains.values()) {
    for (const { expressions } of rules) {
      const names = namesOf(expressions)
      for (const kind of ['chains', 'sets', 'objects', 'flowtables'] as const) for (const name of names[kind]) uses[kind].add(name)
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
