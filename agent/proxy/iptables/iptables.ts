// The service proxy for kernels without nf_tables: the same frontends, programmed by iptables. What is there
// is read before every change, so nothing is trusted that somebody else may have flushed.

import { Desired } from '../desired.ts'
import type { ProxyFamily } from '../family.ts'
import { forgetFlows } from '../flows.ts'
import type { Frontend, ProxyError } from '../frontends.ts'
import { programmed, type StaleFlows, staleFlows } from '../plan.ts'
import { type Applied, defaultMark, ofFamily, type Proxy, type ProxyOptions } from '../proxy.ts'
import type { Programmed } from '../state.ts'
import { chainsOf } from './chains.ts'
import { findIptables, type Iptables, RefusedLine } from './program.ts'
import { parseSave, removal, restore } from './restore.ts'

export type IptablesOptions = Omit<ProxyOptions, 'ruleset'> & { netns?: string }

/** Throws if iptables is not installed. */
export const openIptablesProxy = async (options: IptablesOptions): Promise<Proxy> => {
  const families = (['ip', 'ip6'] as const).filter((family) => options.networks[family])
  const programs = new Map(await Promise.all(families.map(async (family) => [family, await findIptables(family, options.netns)] as const)))
  return proxyOver(options, programs)
}

export const proxyOver = (options: IptablesOptions, programs: ReadonlyMap<ProxyFamily, Iptables>): Proxy =>
  new IptablesProxy(options, programs)

/** Takes our rules out of a host that may have no iptables, or none of ours. */
export const removeIptables = async (netns?: string): Promise<void> => {
  for (const family of ['ip', 'ip6'] as const) {
    const iptables = await findIptables(family, netns).catch(() => undefined)
    if (iptables) await remove(iptables)
  }
}

const remove = async (iptables: Iptables): Promise<void> => {
  const text = removal(parseSave(await iptables.save()))
  if (text !== '') await iptables.restore(text)
}

/** So many frontends may be refused in one go; what is left then is tried by the next. */
const attempts = 10

class IptablesProxy implements Proxy {
  readonly #options: IptablesOptions
  readonly #programs: ReadonlyMap<ProxyFamily, Iptables>
  readonly #desired: Desired
  /** What was programmed last, for flows that are to be forgotten. */
  readonly #last = new Map<ProxyFamily, Map<string, Programmed>>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: IptablesOptions, programs: ReadonlyMap<ProxyFamily, Iptables>) {
    this.#options = options
    this.#programs = programs
    this.#desired = new Desired({ nodeName: options.nodeName, families: [...programs.keys()] })
  }

  serviceChanged(...change: Parameters<Proxy['serviceChanged']>): void {
    this.#desired.serviceChanged(...change)
  }

  sliceChanged(...change: Parameters<Proxy['sliceChanged']>): void {
    this.#desired.sliceChanged(...change)
  }

  podChanged(...change: Parameters<Proxy['podChanged']>): boolean {
    return this.#desired.podChanged(...change)
  }

  zoneChanged(zone: string | undefined): boolean {
    return this.#desired.zoneChanged(zone)
  }

  apply(): Promise<Applied> {
    return this.#alone(async () => {
      const { conntrack, log } = this.#options
      const errors = this.#desired.refresh()
      for (const [family, iptables] of this.#programs) {
        const frontends = await this.#program(family, iptables, errors)
        await forgetFlows(this.#settled(family, frontends), conntrack, log)
      }
      return { errors, healthChecks: this.#desired.healthChecks }
    })
  }

  remove(): Promise<void> {
    return this.#alone(async () => {
      for (const iptables of this.#programs.values()) await remove(iptables)
      this.#last.clear()
    })
  }

  async close(): Promise<void> {
    await this.#turn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Returns the frontends that are in force. */
  async #program(family: ProxyFamily, iptables: Iptables, errors: ProxyError[]): Promise<Frontend[]> {
    const { networks, masqueradeMark: mark = defaultMark, nodePortAddresses } = this.#options
    const refused = new Set<Frontend>()
    for (let attempt = 1; ; attempt++) {
      // Always in the same order: a list that is only in another would be written anew.
      const frontends = [...this.#desired.of(family).frontends.values()].filter((frontend) => !refused.has(frontend)).sort(byKey)
      const own = networks[family]
      if (!own) return []
      const wanted = chainsOf(family, own, frontends, { mark, nodePortAddresses: ofFamily(family, nodePortAddresses) })
      const { text, rules } = restore(parseSave(await iptables.save()), wanted)
      try {
        if (text !== '') await iptables.restore(text)
        this.#desired.of(family).changed.clear()
        return frontends
      } catch (error) {
        const frontend = error instanceof RefusedLine && error.line !== undefined ? rules.get(error.line)?.frontend : undefined
        if (!frontend || attempt === attempts) throw error
        errors.push({ object: frontend.owner, reason: `${frontend.key}: ${(error as Error).message}` })
        refused.add(frontend)
      }
    }
  }

  #settled(family: ProxyFamily, frontends: readonly Frontend[]): StaleFlows[] {
    const before = this.#last.get(family)
    const now = new Map(frontends.map((frontend) => [frontend.key, programmed(frontend, undefined)]))
    this.#last.set(family, now)
    if (!before) return []
    return [...new Set([...before.keys(), ...now.keys()])].flatMap((key) => {
      const [old, wanted] = [before.get(key), now.get(key)]
      const where = wanted ?? old
      if (where?.protocol !== 'udp' || old?.frontend === wanted?.frontend) return []
      return staleFlows(where, old, wanted)
    })
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => {})
    return done
  }
}

const byKey = (a: Frontend, b: Frontend): number => (a.key < b.key ? -1 : 1)
