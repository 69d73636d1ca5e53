// From what a table holds to what it is to hold: the least commands in between, as one transaction. Pure.

import { Elements, inTable, type NftCommand, type Table, type TableRef } from 'nft-js'
import { sameBase, sameRules, sameSet } from '../ruleset/same.ts'
import type { LaidChain } from './layout.ts'

/** By name. What is the same object as before is not looked into. */
export type Content = { readonly sets: ReadonlyMap<string, Elements>; readonly chains: ReadonlyMap<string, LaidChain> }

export const contentOf = (table: Table): Content => ({
  sets: new Map(table.sets.map(({ spec, elements }) => [spec.name, elements])),
  chains: new Map(table.chains.map(({ rules, ...chain }) => [chain.name, { chain, rules }])),
})

const nothing: Content = { sets: new Map(), chains: new Map() }

/** `current` is undefined where nothing is known: the table is made in place of whatever is there. */
export const plan = (ref: TableRef, current: Content | undefined, desired: Content): NftCommand[] => {
  if (current && fits(current, desired)) return steps(ref, current, desired)
  const table = inTable(ref)
  return [table.add(), table.delete(), table.add(), ...steps(ref, nothing, desired)]
}

/** Whether what is there can become what is wanted: sets and hooks cannot be changed. */
const fits = (current: Content, desired: Content): boolean =>
  [...desired.sets].every(([name, { spec }]) => sameSet(current.sets.get(name)?.spec ?? spec, spec)) &&
  [...desired.chains].every(([name, { chain }]) => sameBase(current.chains.get(name)?.chain ?? chain, chain))

/** In an order in which everything that is named is there, and nothing that goes is named. */
const steps = (ref: TableRef, current: Content, desired: Content): NftCommand[] => {
  const table = inTable(ref)
  const differences = [...desired.sets].map(([name, elements]) => difference(current.sets.get(name), elements))
  const changed = [...desired.chains.values()].filter(({ chain, rules }) => !sameRules(current.chains.get(chain.name)?.rules ?? [], rules))
  const gone = (now: ReadonlyMap<string, unknown>, then: ReadonlyMap<string, unknown>) => [...now.keys()].filter((name) => !then.has(name))
  const chainsGone = gone(current.chains, desired.chains)
  return [
    ...[...desired.sets].flatMap(([name, { spec }]) => (current.sets.has(name) ? [] : [table.addSet(spec)])),
    ...[...desired.chains].flatMap(([name, { chain }]) => (current.chains.has(name) ? [] : [table.addChain(chain)])),
    ...differences.flatMap(({ deleted }) => (deleted.count > 0 ? [table.deleteElements(deleted)] : [])),
    ...differences.flatMap(({ added }) => (added.count > 0 ? [table.addElements(added)] : [])),
    ...changed.flatMap(({ chain: { name }, rules }) => [
      ...(current.chains.has(name) ? [table.flushChain(name)] : []),
      ...rules.map((rule) => table.addRule(name, rule)),
    ]),
    ...chainsGone.map((name) => table.flushChain(name)),
    ...chainsGone.map((name) => table.deleteChain(name)),
    ...gone(current.sets, desired.sets).map((name) => table.deleteSet(name)),
  ]
}

const difference = (current: Elements | undefined, desired: Elements): { added: Elements; deleted: Elements } => {
  const { spec } = desired
  if (current === desired) return { added: new Elements(spec, 0), deleted: new Elements(spec, 0) }
  if (!current) return { added: desired, deleted: new Elements(spec, 0) }
  const added = new Elements(spec, 0)
  const deleted = new Elements(spec, 0)
  const there = new Map(Array.from({ length: current.count }, (_, row) => [current.keyOf(row), row]))
  for (let row = 0; row < desired.count; row++) {
    const key = desired.keyOf(row)
    const before = there.get(key)
    there.delete(key)
    if (before !== undefined && current.dataOf(before) === desired.dataOf(row)) continue
    if (before !== undefined) copy(current, before, deleted)
    copy(desired, row, added)
  }
  for (const row of there.values()) copy(current, row, deleted)
  return { added, deleted }
}

const copy = (from: Elements, row: number, to: Elements): void => {
  const { rowWords, dataAt, verdict } = from.shape
  const source = from.words.subarray(row * rowWords, (row + 1) * rowWords)
  const at = to.row()
  to.words.set(source, at)
  if (verdict) to.words[at + dataAt] = to.verdict(from.dataOf(row) as never)
}
