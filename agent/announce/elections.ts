// Exactly one node announces an address: the holder of its Lease, which it renews. Who is not the holder
// takes the Lease over once it was not renewed for its duration, by this node's own watch of it and own
// clock. A holder that cannot reach the API server goes on: while that is away nobody can take over, and
// once it is back who has lost the Lease learns of it with the next renewal; if only this node is cut
// off, it hears the new holder announce itself (`rival`).

import type { Client } from '#api/client/client.ts'
import { type Clock, microTimestamp, type Timer } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Lease } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'

const namespace = 'kube-node-lease'
const label = { 'coracle/load-balancer': 'address' }
/** The leases of all addresses. */
export const announcements = { namespace, labelSelector: 'coracle/load-balancer=address' }

const DURATION_MS = 4_000
const RENEW_MS = 1_500
const RETRY_MS = 1_000
/** Until it is looked again whether an address can be announced that could not. */
const UNREACHABLE_MS = 2_000
/** Candidates try one after the other, so that the first of them gets it. */
const STEP_MS = 150

/** An address as a name: IPv6's colons are none. */
export const leaseName = (address: string): string => `load-balancer-${address.replaceAll(':', '-').replace(/-$/, 'x')}`

export type Standing = {
  /** When this node holds the lease: since when it is known to, monotonic. */
  renewedAt: number | undefined
  /** Who had the lease when it last changed (nobody: an empty name), and when that was, monotonic. */
  seen: { holder: string; at: number }
  rank: number | undefined
}

export type Step = { act: 'acquire' | 'renew' | 'release' } | { act: 'wait'; ms: number | undefined }

/** What is to be done about one address now. */
export const decide = ({ renewedAt, seen, rank }: Standing, me: string, now: number): Step => {
  if (renewedAt !== undefined) {
    if (rank === undefined) return { act: 'release' }
    const due = renewedAt + RENEW_MS
    return now >= due ? { act: 'renew' } : { act: 'wait', ms: due - now }
  }
  if (rank === undefined) return { act: 'wait', ms: undefined }
  if (seen.holder === me) return { act: 'acquire' }
  const due = seen.at + (seen.holder === '' ? 0 : DURATION_MS) + rank * STEP_MS
  return now >= due ? { act: 'acquire' } : { act: 'wait', ms: due - now }
}

export type ElectionsOptions = {
  client: Client
  nodeName: string
  clock: Clock
  log: Log
  /** Whether the address can be announced from here at all. Asked before it is acquired; `fresh`: nobody has held it so far. */
  reachable: (address: string, fresh: boolean) => Promise<boolean>
  /** This node is the one to announce the address; called again with every renewal. False: it cannot any more. */
  onHeld: (address: string, first: boolean) => Promise<boolean>
  onLost: (address: string) => void
}

type Race = Standing & { lease: Lease | undefined; turn: Promise<void>; timer: Timer | undefined; failed: boolean }

export class Elections {
  readonly #options: ElectionsOptions
  readonly #races = new Map<string, Race>()
  readonly #leaving = new Set<Promise<void>>()
  #closed = false

  constructor(options: ElectionsOptions) {
    this.#options = options
  }

  /** Every address that is to be announced, with this node's rank. Whole. */
  stand(ranks: ReadonlyMap<string, number | undefined>): void {
    for (const [address, race] of this.#races) {
      if (ranks.has(address)) continue
      this.#races.delete(address)
      this.#leave(address, race, true)
    }
    for (const [address, rank] of ranks) {
      const race = this.#races.get(address) ?? this.#enter(address)
      race.rank = rank
      this.#poke(address, race)
    }
  }

  /** The lease of an address as the API server has it now. */
  leaseSeen(lease: Lease, gone: boolean): void {
    for (const [address, race] of this.#races) {
      if (leaseName(address) !== lease.metadata.name) continue
      this.#note(address, race, lease, gone)
      this.#poke(address, race)
    }
  }

  /** Somebody else announces an address that this node holds. True: it is this node's, and to be told again. */
  rival(address: string): boolean {
    const race = this.#races.get(address)
    if (race?.renewedAt === undefined) return false
    if (this.#now() - race.renewedAt < DURATION_MS) return true
    this.#lose(address, race)
    race.seen = { holder: '?', at: this.#now() }
    this.#poke(address, race)
    return false
  }

  holds(address: string): boolean {
    return this.#races.get(address)?.renewedAt !== undefined
  }

  /** Gives back what is held, so that others need not wait. */
  async close(): Promise<void> {
    this.#closed = true
    for (const [address, race] of this.#races) this.#leave(address, race, false)
    this.#races.clear()
    await Promise.allSettled(this.#leaving)
  }

  #now(): number {
    return this.#options.clock.monotonic()
  }

  #enter(address: string): Race {
    const race: Race = {
      renewedAt: undefined,
      seen: { holder: '', at: this.#now() },
      rank: undefined,
      lease: undefined,
      turn: Promise.resolve(),
      timer: undefined,
      failed: false,
    }
    this.#races.set(address, race)
    return race
  }

  #leave(address: string, race: Race, unwanted: boolean): void {
    race.timer?.cancel()
    race.rank = undefined
    const leaving = race.turn
      .then(() => (race.renewedAt === undefined ? undefined : this.#release(address, race, unwanted)))
      .catch((err: unknown) => this.#options.log.debug({ err, address }, 'the lease of an address could not be given back'))
    const ended: Promise<void> = leaving.finally(() => this.#leaving.delete(ended))
    this.#leaving.add(ended)
  }

  /** Lets the race go on: at once, after whatever it does now. */
  #poke(address: string, race: Race): void {
    race.timer?.cancel()
    race.turn = this.#goOn(address, race, race.turn)
  }

  async #goOn(address: string, race: Race, before: Promise<void>): Promise<void> {
    await before
    if (this.#closed || this.#races.get(address) !== race) return
    const wait = await this.#step(address, race)
    race.timer?.cancel()
    if (wait !== undefined) race.timer = this.#options.clock.after(wait, () => this.#poke(address, race))
  }

  /** Milliseconds until the next step; undefined: only a change leads to one. */
  async #step(address: string, race: Race): Promise<number | undefined> {
    const { nodeName, log, reachable } = this.#options
    const step = decide(race, nodeName, this.#now())
    if (step.act === 'wait') return step.ms
    try {
      if (step.act === 'release') await this.#release(address, race, false)
      else if (step.act === 'acquire' && race.lease === undefined && (await this.#find(address, race))) return 0
      else if (step.act === 'acquire' && !(await reachable(address, race.lease === undefined))) return UNREACHABLE_MS
      else await this.#take(address, race)
      race.failed = false
      return 0
    } catch (err) {
      if (!race.failed)
        log.warn({ err, address }, `the address could not be ${step.act === 'release' ? 'given back' : 'held'}; trying again`)
      race.failed = true
      return RETRY_MS
    }
  }

  /** Acquires or renews. That another was faster is no failure. */
  async #take(address: string, race: Race): Promise<void> {
    const { client, clock, nodeName } = this.#options
    const { lease } = race
    const first = race.renewedAt === undefined
    const now = microTimestamp(clock.now())
    const spec: Lease['spec'] = {
      ...lease?.spec,
      holderIdentity: nodeName,
      leaseDurationSeconds: DURATION_MS / 1000,
      renewTime: now,
      ...(first && { acquireTime: now, leaseTransitions: (lease?.spec?.leaseTransitions ?? -1) + 1 }),
    }
    const asked = this.#now()
    try {
      race.lease = lease
        ? await client.update(Lease, { ...lease, spec })
        : await client.create(Lease, { metadata: { namespace, name: leaseName(address), labels: label }, spec })
      race.renewedAt = asked
      race.seen = { holder: nodeName, at: asked }
    } catch (error) {
      if (!isStatus(error, 'Conflict', 'AlreadyExists', 'NotFound')) throw error
      if (!(await this.#find(address, race))) race.lease = undefined
      return
    }
    if (!(await this.#options.onHeld(address, first))) await this.#release(address, race, false)
  }

  /** Whether there is a lease, of which the watch may not have told yet. */
  async #find(address: string, race: Race): Promise<boolean> {
    const found = await this.#options.client.find(Lease, { namespace, name: leaseName(address) })
    if (found) this.#note(address, race, found, false)
    return found !== undefined
  }

  async #release(address: string, race: Race, unwanted: boolean): Promise<void> {
    const { client } = this.#options
    const { lease } = race
    this.#lose(address, race)
    race.seen = { holder: '', at: this.#now() }
    if (!lease) return
    const { name, resourceVersion } = lease.metadata
    try {
      if (unwanted) await client.delete(Lease, { namespace, name }, { preconditions: { resourceVersion } })
      else race.lease = await client.update(Lease, { ...lease, spec: { ...lease.spec, holderIdentity: '' } })
    } catch (error) {
      if (!isStatus(error, 'Conflict', 'NotFound')) throw error
    }
  }

  #note(address: string, race: Race, lease: Lease, gone: boolean): void {
    const { nodeName } = this.#options
    const holder = gone ? '' : (lease.spec?.holderIdentity ?? '')
    if (gone) {
      race.lease = undefined
      // Leases do not outlive the API server's process: who had it goes on, and has the time to take it anew.
      if (race.renewedAt === undefined && race.seen.holder !== '') race.seen = { ...race.seen, at: this.#now() }
      return
    }
    // Our own writes come back on the watch, also those that were overtaken by the next.
    if (Number(lease.metadata.resourceVersion) < Number(race.lease?.metadata.resourceVersion ?? 0)) return
    race.lease = lease
    race.seen = { holder, at: this.#now() }
    if (race.renewedAt !== undefined && holder !== nodeName) this.#lose(address, race)
  }

  #lose(address: string, race: Race): void {
    race.renewedAt = undefined
    this.#options.onLost(address)
  }
}
