// The service proxy: services in, nf_tables out. It is told of every change; `apply` then programs the
// difference to what the kernel has, as one transaction, and finds by the kernel's generation number
// when someone else has changed something, so that a flushed ruleset is restored at the next call.
// Calls may overlap; they run one after the other. Who calls gathers bursts of changes.

import { isIPv6 } from 'node:net'
import { type Conntrack, inTable, type NftCommand, type NftError } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import type { OwnTables, Ruleset, Step } from '../ruleset/ruleset.ts'
import { adopt } from './adopt.ts'
import { portsOf, strayClients } from './clients.ts'
import { Desired, type ObjectName } from './desired.ts'
import { type Networks, type ProxyFamily } from './family.ts'
import { forgetFlows } from './flows.ts'
import type { Frontend, HealthCheck, ProxyError } from './frontends.ts'
import { type Layout, layoutOf } from './layout.ts'
import { advance, type Plan, plan } from './plan.ts'
import type { State } from './state.ts'

export interface Proxy extends AsyncDisposable {
  /** Undefined: it is gone. Takes effect with the next `apply`. */
  serviceChanged(name: ObjectName, service: Service | undefined): void
  sliceChanged(name: ObjectName, slice: EndpointSlice | undefined): void
  /** A pod of this node, for its host ports. False: nothing to apply. */
  podChanged(name: ObjectName, pod: Pod | undefined): boolean
  /** The zone of this node, for endpoints that are meant for some. False: nothing to apply. */
  zoneChanged(zone: string | undefined): boolean
  /**
   * Programs what it was told and nothing else. What cannot be programmed is left out, and told of when
   * it changed since the last call. Throws SysError if the kernel refuses; the next call tries it again.
   */
  apply(): Promise<Applied>
  /** Deletes the tables: services are no longer reached from this node. */
  remove(): Promise<void>
  /** What is programmed stays, so that connections go on while the agent is restarted. */
  close(): Promise<void>
}

/** `healthChecks`: of all services that have any, by `namespace/name`. */
export type Applied = { errors: ProxyError[]; healthChecks: ReadonlyMap<string, HealthCheck> }

export type ProxyOptions = {
  ruleset: Ruleset
  conntrack: Pick<Conntrack, 'remove'>
  log: Log
  nodeName: string
  /** The families to proxy, IPv4, IPv6 or both. */
  networks: Partial<Record<ProxyFamily, Networks>>
  /** The prefixes of the node's addresses on which node ports and host ports answer; absent: all but loopback. */
  nodePortAddresses?: readonly string[]
  /** The bit of the packet mark for what is to be masqueraded. */
  masqueradeMark?: number
}

/** The bit that Kubernetes' proxies have always used. */
export const defaultMark = 0x4000

export const openProxy = (options: ProxyOptions): Proxy => new NftProxy(options)

/** Each family's table as last seen. `read`: from the kernel, so anything in it may differ from what is wanted. */
type Known = readonly { layout: Layout; state: State; repairs: NftCommand[]; read: boolean }[]

class NftProxy implements Proxy {
  readonly #options: ProxyOptions
  readonly #desired: Desired
  /** By family: keys of the frontends that may not be programmed as they are wanted. */
  readonly #pending: ReadonlyMap<ProxyFamily, Set<string>>
  readonly #layouts: readonly Layout[]
  readonly #tables: OwnTables<Known>

  constructor(options: ProxyOptions) {
    const { networks, masqueradeMark = defaultMark, nodePortAddresses, ruleset, log } = options
    this.#options = options
    const layouts = (['ip', 'ip6'] as const).flatMap((family) => {
      const own = networks[family]
      return own ? [layoutOf(family, own, { mark: masqueradeMark, nodePortAddresses: ofFamily(family, nodePortAddresses) })] : []
    })
    this.#layouts = layouts
    const families = layouts.map(({ family }) => family)
    this.#desired = new Desired({ nodeName: options.nodeName, families })
    this.#pending = new Map(families.map((family) => [family, new Set()]))
    this.#tables = ruleset.own({
      tables: layouts.map(({ table }) => table),
      adopt: (tables) => layouts.map((layout, i) => ({ layout, read: true, ...adopt(layout, tables[i]) })),
      log,
    })
  }

  serviceChanged(name: ObjectName, service: Service | undefined): void {
    this.#desired.serviceChanged(name, service)
  }

  sliceChanged(name: ObjectName, slice: EndpointSlice | undefined): void {
    this.#desired.sliceChanged(name, slice)
  }

  podChanged(name: ObjectName, pod: Pod | undefined): boolean {
    return this.#desired.podChanged(name, pod)
  }

  zoneChanged(zone: string | undefined): boolean {
    return this.#desired.zoneChanged(zone)
  }

  async apply(): Promise<Applied> {
    const errors = this.#desired.refresh()
    const refused = new Set<Frontend>()
    let plans: readonly Plan[] = []
    await this.#tables.apply(
      (known) => {
        plans = known.map((family) => this.#plan(family, refused))
        return this.#step(known, plans, refused)
      },
      (error) => {
        const family = error.command?.table.family
        const key = blamed(error)
        const frontend = family !== undefined && family !== 'inet' && key !== undefined && this.#desired.of(family).frontends.get(key)
        if (!frontend) return false
        errors.push({ object: frontend.owner, reason: `${frontend.key}: ${error.message}` })
        refused.add(frontend)
        return true
      },
    )
    await forgetFlows(
      plans.flatMap(({ stale }) => stale),
      this.#options.conntrack,
      this.#options.log,
    )
    if (plans.some(({ forget: { lost, doubtful } }) => doubtful || lost.size > 0)) await this.#forgetClients(plans)
    return { errors, healthChecks: this.#desired.healthChecks }
  }

  remove(): Promise<void> {
    return this.#tables.remove()
  }

  async close(): Promise<void> {
    await this.#tables.applied()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #plan({ layout, state, read }: Known[number], refused: ReadonlySet<Frontend>): Plan {
    const { frontends, changed } = this.#desired.of(layout.family)
    const pending = this.#pendingOf(layout.family)
    for (const key of changed) pending.add(key)
    changed.clear()
    const wanted = refused.size === 0 ? frontends : new Map([...frontends].filter(([, frontend]) => !refused.has(frontend)))
    return plan(layout, state, wanted, read ? undefined : pending)
  }

  #step(known: Known, plans: readonly Plan[], refused: ReadonlySet<Frontend>): Step<Known> {
    for (const { layout, repairs } of known)
      if (repairs.length > 0) this.#options.log.info({ family: layout.family, commands: repairs.length }, 'programming the rules')
    return {
      commands: known.flatMap(({ repairs }, i) => [...repairs, ...(plans[i]?.commands ?? [])]),
      done: () => {
        for (const pending of this.#pending.values()) pending.clear()
        for (const { family, key } of refused) this.#pendingOf(family).add(key)
        return known.map(({ layout, state }, i) => ({ layout, state: advance(state, plans[i] as Plan), repairs: [], read: false }))
      },
    }
  }

  #pendingOf(family: ProxyFamily): Set<string> {
    return this.#pending.get(family) as Set<string>
  }

  /** Not worth failing for: a client that is remembered wrongly is remembered for a time only. */
  async #forgetClients(plans: readonly Plan[]): Promise<void> {
    const { log } = this.#options
    try {
      const found = await Promise.all(
        this.#layouts.map(async ({ table, sets }) => ({
          clients: await this.#tables.elements(table, sets.clients),
          ports: await this.#tables.elements(table, sets.clientPorts),
        })),
      )
      const expired = new Set<string>()
      await this.#tables.apply(
        (known) => ({
          commands: known.flatMap(({ layout, state }, i) => {
            const { clients, ports } = found[i] ?? {}
            if (!clients || !ports) return []
            const strays = strayClients(clients, ports, state.frontends, { lost: plans[i]?.forget.lost ?? new Set(), expired })
            return [strays, portsOf(strays, ports)]
              .filter(({ count }) => count > 0)
              .map((elements) => inTable(layout.table).deleteElements(elements))
          }),
          done: () => known,
        }),
        ({ code, command, row }) => {
          if (code !== 'ENOENT' || command?.does !== 'delete element' || row === undefined) return false
          expired.add(command.elements.keyOf(row))
          return true
        },
      )
    } catch (error) {
      log.warn({ err: error }, 'clients of backends that are gone could not be forgotten')
    }
  }
}

export const ofFamily = (family: ProxyFamily, prefixes: readonly string[] | undefined): readonly string[] | undefined =>
  prefixes?.filter((prefix) => isIPv6(prefix.split('/')[0] ?? '') === (family === 'ip6'))

/** The key of the frontend whose element the kernel refused. */
const blamed = ({ command, row }: NftError): string | undefined => {
  if (command?.does !== 'add element' || row === undefined) return undefined
  const { elements } = command
  const isNode = elements.spec.name.startsWith('node-') || elements.spec.name.endsWith('-node-ports')
  const { key } = elements.values(row)
  return (isNode ? ['*', ...key.slice(0, 2)] : key.slice(0, 3)).join(' ')
}
