// From what is programmed and what is wanted to the commands in between. Pure: nothing changes until
// the commands were run and `advance` is told so.

import { Elements, inTable, type NftCommand, type SetSpec, type Verdict } from 'nft-js'
import { placeOf } from './clients.ts'
import type { Backend } from './endpoints.ts'
import type { Frontend } from './frontends.ts'
import { balancerOf, type Layout, memoryOf, splitOf } from './layout.ts'
import { chainsOf, type Programmed, type Slot, type State } from './state.ts'

/** A UDP frontend whose flows may go on to where they must not; without `backend`, all of them. */
export type StaleFlows = { frontend: Pick<Programmed, 'address' | 'protocol' | 'port'>; backend?: Slot }

/** Of what `clients` remembers: backends that are no longer for everyone whom they were for (`placeOf`). `doubtful`: and maybe others. */
export type Forget = { lost: ReadonlySet<string>; doubtful: boolean }

export type Plan = {
  commands: NftCommand[]
  stale: StaleFlows[]
  forget: Forget
  /** What the frontends will be; undefined: gone. */
  changed: Map<string, Programmed | undefined>
  next: Omit<State, 'frontends'>
}

/** The table with its maps and constant rules, from nothing, in place of whatever is there. */
export const foundation = (layout: Layout): NftCommand[] => {
  const table = inTable(layout.table)
  return [
    table.add(),
    table.delete(),
    table.add(),
    ...Object.values(layout.sets).map((set) => table.addSet(set)),
    ...layout.chains.map(({ chain }) => table.addChain(chain)),
    ...layout.chains.flatMap(({ chain, rules }) => rules.map((rule) => table.addRule(chain.name, rule))),
  ]
}

/** `keys`: those of the frontends that may differ; absent: any. */
export const plan = (layout: Layout, current: State, desired: ReadonlyMap<string, Frontend>, keys?: Iterable<string>): Plan => {
  const changes = new Changes()
  const { sets } = layout
  const stale: StaleFlows[] = []
  const changed: Plan['changed'] = new Map()
  const chainUses = new Map(current.chainUses)
  const hairpinUses = new Map(current.hairpinUses)
  const lost = new Set<string>()
  let doubtful = false

  const replace = (key: string, old: Programmed | undefined, wanted: Programmed | undefined) => {
    const where = (wanted ?? old) as Programmed
    const isNode = where.address === undefined
    const name = where.address === undefined ? [where.protocol, where.port] : [where.address, where.protocol, where.port]
    changes.verdict(isNode ? sets.nodePorts : sets.services, name, old?.verdict, wanted?.verdict)
    changes.verdict(isNode ? sets.unreachableNodePorts : sets.unreachable, name, old?.refusal, wanted?.refusal)
    changes.slots(isNode ? sets.nodeBackends : sets.backends, name, old?.slots ?? [], wanted?.slots ?? [])
    changes.verdict(isNode ? sets.stickyNodePorts : sets.sticky, name, old?.memory, wanted?.memory)
    if (old?.sources || wanted?.sources) changes.sources(sets, name, old?.sources, wanted?.sources)
    for (const chain of chainsOf(old)) count(chainUses, chain, -1)
    for (const chain of chainsOf(wanted)) count(chainUses, chain, 1)
    if (old?.memory !== undefined) {
      for (const slot of lostBackends(old, wanted?.memory === undefined ? undefined : wanted)) lost.add(placeOf(where, slot))
      // Of what was read back it is not known whether all that it remembers is still right.
      doubtful ||= !old.frontend
    }
    for (const address of localAddresses(old?.frontend)) count(hairpinUses, address, -1)
    for (const address of localAddresses(wanted?.frontend)) count(hairpinUses, address, 1)
    if (where.protocol === 'udp') stale.push(...staleFlows(where, old, wanted))
    changed.set(key, wanted)
  }

  for (const key of keys ?? new Set([...current.frontends.keys(), ...desired.keys()])) {
    const old = current.frontends.get(key)
    const frontend = desired.get(key)
    if (frontend && old?.frontend !== frontend) replace(key, old, programmed(frontend, old))
    else if (!frontend && old) replace(key, old, undefined)
  }

  const hairpins = new Set(hairpinUses.keys())
  for (const address of hairpins) if (!current.hairpins.has(address)) changes.of(sets.hairpins).added.add([address, address])
  for (const address of current.hairpins) if (!hairpins.has(address)) changes.of(sets.hairpins).deleted.add([address, address])

  const table = inTable(layout.table)
  const chains = new Set(chainUses.keys())
  const newChains = [...chains].filter((name) => !current.chains.has(name))
  const commands = [
    ...newChains.map((name) => table.addChain({ name })),
    ...newChains.flatMap((name) => layout.madeFor(name).map((rule) => table.addRule(name, rule))),
    ...changes.commands(layout),
    ...[...current.chains].filter((name) => !chains.has(name)).map((name) => table.deleteChain(name)),
  ]
  return { commands, stale, forget: { lost, doubtful }, changed, next: { chains, chainUses, hairpins, hairpinUses } }
}

/** The state after a plan's commands have been run. */
export const advance = (state: State, { changed, next }: Plan): State => {
  for (const [key, programmed] of changed) {
    if (programmed) state.frontends.set(key, programmed)
    else state.frontends.delete(key)
  }
  return { frontends: state.frontends, ...next }
}

/** What the maps are to hold for a frontend; slots stay as `old` has them as far as they can. */
export const programmed = (frontend: Frontend, old: Programmed | undefined): Programmed => {
  const { address, protocol, port, backends, split, sources } = frontend
  const some = backends.length > 0
  const bounds = split ? [split.inside, split.outside, backends.length] : [backends.length]
  return {
    address,
    protocol,
    port,
    verdict: some ? balancerOf(frontend) : undefined,
    refusal: some && split?.outside !== 0 ? undefined : frontend.refusal,
    memory: some ? memoryOf(frontend) : undefined,
    sources,
    slots: old ? keepSlots(old.slots, backends, bounds) : backends,
    frontend,
  }
}

/** In each of the parts that end before `bounds`, backends stay in their slots as far as there are slots left; the others fill the holes. */
const keepSlots = (old: readonly (Slot | undefined)[], backends: readonly Backend[], bounds: readonly number[]): readonly Slot[] =>
  backends.every((backend, i) => isSame(old[i], backend))
    ? backends
    : bounds.flatMap((end, i) => {
        const start = bounds[i - 1] ?? 0
        return keepPart(old.slice(start, end), backends.slice(start, end))
      })

const keepPart = (old: readonly (Slot | undefined)[], backends: readonly Backend[]): readonly Slot[] => {
  const homeless = new Map(backends.map((backend) => [`${backend.address} ${backend.port}`, backend]))
  const slots = Array.from({ length: backends.length }, (_, i) => {
    const slot = old[i]
    const key = slot && `${slot.address} ${slot.port}`
    const backend = key === undefined ? undefined : homeless.get(key)
    if (backend && key !== undefined) homeless.delete(key)
    return backend
  })
  const rest = homeless.values()
  return slots.map((slot) => slot ?? (rest.next().value as Backend))
}

const isSame = (a: Slot | undefined, b: Slot | undefined): boolean => a === b || (a?.address === b?.address && a?.port === b?.port)

/** The additions and deletions of each set. */
class Changes {
  readonly #sets = new Map<SetSpec, { added: Elements; deleted: Elements }>()

  of(set: SetSpec): { added: Elements; deleted: Elements } {
    let change = this.#sets.get(set)
    if (!change) {
      change = { added: new Elements(set), deleted: new Elements(set) }
      this.#sets.set(set, change)
    }
    return change
  }

  verdict(set: SetSpec, key: (string | number)[], old: Verdict | undefined, wanted: Verdict | undefined): void {
    if (old === wanted) return
    if (old) this.of(set).deleted.add(key, old)
    if (wanted) this.of(set).added.add(key, wanted)
  }

  sources(sets: Layout['sets'], key: (string | number)[], old: readonly string[] | undefined, wanted: readonly string[] | undefined): void {
    const guarded = this.of(sets.guarded)
    if (old && !wanted) guarded.deleted.add(key)
    if (!old && wanted) guarded.added.add(key)
    const sources = this.of(sets.sources)
    for (const source of old ?? []) if (!wanted?.includes(source)) sources.deleted.add([...key, source])
    for (const source of wanted ?? []) if (!old?.includes(source)) sources.added.add([...key, source])
  }

  slots(set: SetSpec, key: (string | number)[], old: readonly (Slot | undefined)[], wanted: readonly (Slot | undefined)[]): void {
    const { added, deleted } = this.of(set)
    const length = Math.max(old.length, wanted.length)
    for (let i = 0; i < length; i++) {
      const before = old[i]
      const after = wanted[i]
      if (isSame(before, after)) continue
      if (before) deleted.add([...key, i], [before.address, before.port])
      if (after) added.add([...key, i], [after.address, after.port])
    }
  }

  /** Deletions of all sets first: a changed element is deleted and added. */
  commands({ table: ref }: Layout): NftCommand[] {
    const table = inTable(ref)
    const sets = [...this.#sets.values()]
    return [
      ...sets.filter(({ deleted }) => deleted.count > 0).map(({ deleted }) => table.deleteElements(deleted)),
      ...sets.filter(({ added }) => added.count > 0).map(({ added }) => table.addElements(added)),
    ]
  }
}

const nowhere: readonly string[] = []

const localAddresses = (frontend: Frontend | undefined): readonly string[] =>
  frontend?.backends.some(({ local }) => local) ? frontend.backends.flatMap((backend) => (backend.local ? [backend.address] : [])) : nowhere

const count = (uses: Map<string, number>, name: string, by: 1 | -1): void => {
  const sum = (uses.get(name) ?? 0) + by
  if (sum > 0) uses.set(name, sum)
  else uses.delete(name)
}

/**
 * The kernel keeps a flow's translation for as long as packets come. TCP notices a dead end by
 * itself, UDP does not: flows to a backend that went are forgotten, and those that met no backend.
 */
export const staleFlows = (frontend: Programmed, old: Programmed | undefined, wanted: Programmed | undefined): StaleFlows[] => {
  if (!old?.verdict) return wanted?.verdict ? [{ frontend }] : []
  return goneBackends(old, wanted).map((backend) => ({ frontend, backend }))
}

/** Those that are not reached any more by all who reached them: from outside the cluster, or from inside. */
const lostBackends = (old: Programmed, wanted: Programmed | undefined): Slot[] =>
  (['outside', 'inside'] as const).flatMap((part) => {
    const kept = new Set(reachedFrom(part, wanted).map(({ address, port }) => `${address} ${port}`))
    return reachedFrom(part, old).filter(({ address, port }) => !kept.has(`${address} ${port}`))
  })

const reachedFrom = (part: 'outside' | 'inside', programmed: Programmed | undefined): Slot[] => {
  if (!programmed?.verdict) return []
  const split = splitOf(programmed.verdict)
  const { slots } = programmed
  return (split ? (part === 'outside' ? slots.slice(0, split.outside) : slots.slice(split.inside)) : slots).filter(
    (slot) => slot !== undefined,
  )
}

const goneBackends = (old: Programmed, wanted: Programmed | undefined): Slot[] => {
  const kept = new Set(wanted?.slots.map((slot) => slot && `${slot.address} ${slot.port}`))
  return old.slots.flatMap((slot) => (slot && !kept.has(`${slot.address} ${slot.port}`) ? [slot] : []))
}
