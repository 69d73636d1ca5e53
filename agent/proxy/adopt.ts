// Finds in the kernel what an earlier run of the agent programmed, so that a restart changes nothing.

import { type Elements, inTable, type NftCommand, type SetSpec, type Table } from 'nft-js'
import { sameBase, sameRules, sameSet } from '../ruleset/same.ts'
import type { Protocol } from './frontends.ts'
import { isMade, type Layout } from './layout.ts'
import { foundation } from './plan.ts'
import { chainsOf, emptyState, type Programmed, type Slot, type State } from './state.ts'

/**
 * The state that a table is in, and what to run first so that its constant part is as the layout
 * wants it. A table of another layout, or none, is replaced whole.
 */
export const adopt = (layout: Layout, table: Table | undefined): { state: State; repairs: NftCommand[] } => {
  const repairs = table && repair(layout, table)
  if (!table || !repairs) return { state: emptyState(), repairs: foundation(layout) }
  const elements = new Map(table.sets.map((set) => [set.spec.name, set.elements]))
  const of = (set: SetSpec): Elements => elements.get(set.name) as Elements
  const { sets } = layout

  const found = new Map<string, Found>()
  const at = (key: readonly string[], isNode = false): Found => {
    const [address, protocol, port] = isNode ? [undefined, ...key] : key
    const name = `${address ?? '*'} ${protocol} ${port}`
    let programmed = found.get(name)
    if (!programmed) {
      programmed = {
        address,
        protocol: protocol as Protocol,
        port: Number(port),
        verdict: undefined,
        refusal: undefined,
        memory: undefined,
        sources: undefined,
        slots: [],
      }
      found.set(name, programmed)
    }
    return programmed
  }
  for (const isNode of [false, true]) {
    each(of(isNode ? sets.nodePorts : sets.services), (key, [verdict]) => {
      at(key, isNode).verdict = verdict as Programmed['verdict']
    })
    each(of(isNode ? sets.unreachableNodePorts : sets.unreachable), (key, [verdict]) => {
      at(key, isNode).refusal = verdict as Programmed['refusal']
    })
    each(of(isNode ? sets.stickyNodePorts : sets.sticky), (key, [verdict]) => {
      at(key, isNode).memory = verdict as Programmed['memory']
    })
    each(of(isNode ? sets.nodeBackends : sets.backends), (key, [address, port]) => {
      const slot = Number(key.at(-1))
      // Slots are dense; one far out is a leftover that only a whole replacement would find.
      if (slot <= of(isNode ? sets.nodeBackends : sets.backends).count)
        at(key.slice(0, -1), isNode).slots[slot] = { address: address as string, port: Number(port) }
    })
  }

  each(of(sets.guarded), (key) => {
    at(key).sources = []
  })
  each(of(sets.sources), (key) => {
    const source = key.at(-1) as string
    const programmed = at(key.slice(0, -1))
    if (programmed.sources) programmed.sources.push(source)
    else programmed.sources = [source]
  })

  const chainUses = new Map<string, number>()
  for (const programmed of found.values()) for (const chain of chainsOf(programmed)) chainUses.set(chain, (chainUses.get(chain) ?? 0) + 1)
  const hairpins = new Set<string>()
  each(of(sets.hairpins), ([address]) => hairpins.add(address as string))
  const chains = new Set(table.chains.map(({ name }) => name).filter(isMade))
  return { state: { frontends: found, chains, chainUses, hairpins, hairpinUses: new Map() }, repairs }
}

type Found = { -readonly [K in keyof Programmed]: Programmed[K] } & { slots: (Slot | undefined)[]; sources: string[] | undefined }

const each = (elements: Elements, visit: (key: string[], data: string[]) => void): void => {
  for (let row = 0; row < elements.count; row++) {
    const { key, data } = elements.values(row)
    visit(key, data)
  }
}

/** What sets the rules right; undefined if chains or sets are not those of this layout. */
const repair = (layout: Layout, found: Table): NftCommand[] | undefined => {
  const specs = Object.values(layout.sets)
  if (specs.length !== found.sets.length) return undefined
  for (const spec of specs) {
    const there = found.sets.find((set) => set.spec.name === spec.name)
    if (!there || !sameSet(there.spec, spec)) return undefined
  }
  const table = inTable(layout.table)
  const repairs: NftCommand[] = []
  const missing = new Set(layout.chains.map(({ chain }) => chain.name))
  for (const chain of found.chains) {
    const constant = layout.chains.find(({ chain: { name } }) => name === chain.name)
    if (!constant && !isMade(chain.name)) return undefined
    if (constant && !sameBase(constant.chain, chain)) return undefined
    missing.delete(chain.name)
    const rules = constant?.rules ?? layout.madeFor(chain.name)
    if (!sameRules(rules, chain.rules)) repairs.push(table.flushChain(chain.name), ...rules.map((rule) => table.addRule(chain.name, rule)))
  }
  return missing.size > 0 ? undefined : repairs
}
