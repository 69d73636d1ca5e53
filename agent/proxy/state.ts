// What is programmed now, for one family: known because we put it there, or read back from the kernel.

import { chainOfVerdict, type Verdict } from 'nft-js'
import type { Frontend, Protocol } from './frontends.ts'

export type Slot = { readonly address: string; readonly port: number }

/** What the maps hold for one frontend. */
export type Programmed = {
  readonly address: string | undefined
  readonly protocol: Protocol
  readonly port: number
  /** In `services` or `node-ports`. */
  readonly verdict: Verdict | undefined
  /** In `unreachable` or `unreachable-node-ports`. */
  readonly refusal: Verdict | undefined
  /** In `sticky` or `sticky-node-ports`: where a new connection's backend is remembered for its client. */
  readonly memory: Verdict | undefined
  /** In `sources`; undefined: not in `guarded`. */
  readonly sources: readonly string[] | undefined
  /** In `backends` or `node-backends`, by slot; one read back may have holes. */
  readonly slots: readonly (Slot | undefined)[]
  /** What it was made from; absent if it was read back. */
  readonly frontend?: Frontend
}

const none: readonly string[] = []
/** Verdicts are few. */
const known = new Map<Verdict, readonly string[]>()

/** The chains that its verdicts lead to. */
export const chainsOf = (programmed: Programmed | undefined): readonly string[] => {
  if (!programmed) return none
  const { verdict, memory } = programmed
  return memory === undefined ? chainsOfVerdict(verdict) : [...chainsOfVerdict(verdict), ...chainsOfVerdict(memory)]
}

const chainsOfVerdict = (verdict: Verdict | undefined): readonly string[] => {
  if (verdict === undefined) return none
  let chains = known.get(verdict)
  if (!chains) {
    const chain = chainOfVerdict(verdict)
    chains = chain === undefined ? none : [chain]
    known.set(verdict, chains)
  }
  return chains
}

export type State = {
  /** By the frontend's key. */
  readonly frontends: Map<string, Programmed>
  /** Chains that exist besides the constant ones. */
  chains: ReadonlySet<string>
  /** How many of `frontends` lead to a chain. */
  chainUses: ReadonlyMap<string, number>
  /** Addresses in the set `hairpins`. */
  hairpins: ReadonlySet<string>
  /** How often an address is a backend on this node. */
  hairpinUses: ReadonlyMap<string, number>
}

export const emptyState = (): State => ({
  frontends: new Map(),
  chains: new Set(),
  chainUses: new Map(),
  hairpins: new Set(),
  hairpinUses: new Map(),
})
