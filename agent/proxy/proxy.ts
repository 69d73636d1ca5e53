// The service proxy: services in, nf_tables out. `apply` is whole and idempotent: it programs the
// difference to what the kernel has, as one transaction, and finds by the kernel's generation number
// when someone else has changed something, so that a flushed ruleset is restored at the next call.
// Calls may overlap; they run one after the other. Who calls gathers bursts of changes.

import type { Conntrack, NftCommand, NftError } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import type { OwnTables, Ruleset, Step } from '../ruleset/ruleset.ts'
import { adopt } from './adopt.ts'
import { type Desired, desiredFrontends } from './desired.ts'
import type { ServiceError } from './frontends.ts'
import { type Layout, layoutOf, type Networks, type ProxyFamily } from './layout.ts'
import { advance, type Plan, plan, type StaleFlows } from './plan.ts'
import type { State } from './state.ts'

export interface Proxy extends AsyncDisposable {
  /** Programs these services and no others. What cannot be programmed is left out and told. Throws SysError if the kernel refuses. */
  apply(services: readonly Service[], slices: readonly EndpointSlice[]): Promise<{ errors: ServiceError[] }>
  /** Deletes the tables: services are no longer reached from this node. */
  remove(): Promise<void>
  /** What is programmed stays, so that connections go on while the agent is restarted. */
  close(): Promise<void>
}

export type ProxyOptions = {
  ruleset: Ruleset
  conntrack: Pick<Conntrack, 'remove'>
  log: Log
  nodeName: string
  /** The families to proxy, IPv4, IPv6 or both. */
  networks: Partial<Record<ProxyFamily, Networks>>
  /** The bit of the packet mark for what is to be masqueraded. */
  masqueradeMark?: number
}

/** The bit that Kubernetes' proxies have always used. */
const defaultMark = 0x4000

export const openProxy = (options: ProxyOptions): Proxy => new NftProxy(options)

/** Each family's table as last seen. */
type Known = readonly { layout: Layout; state: State; repairs: NftCommand[] }[]

class NftProxy implements Proxy {
  readonly #options: ProxyOptions
  readonly #desired: Desired
  readonly #tables: OwnTables<Known>

  constructor(options: ProxyOptions) {
    const { networks, masqueradeMark = defaultMark, ruleset, log } = options
    this.#options = options
    const layouts = (['ip', 'ip6'] as const).flatMap((family) => {
      const own = networks[family]
      return own ? [layoutOf(family, own, masqueradeMark)] : []
    })
    this.#desired = desiredFrontends({ nodeName: options.nodeName, families: layouts.map(({ family }) => family) })
    this.#tables = ruleset.own({
      tables: layouts.map(({ table }) => table),
      adopt: (tables) => layouts.map((layout, i) => ({ layout, ...adopt(layout, tables[i]) })),
      log,
    })
  }

  async apply(services: readonly Service[], slices: readonly EndpointSlice[]): Promise<{ errors: ServiceError[] }> {
    const { frontends, errors } = this.#desired(services, slices)
    let stale: readonly StaleFlows[] = []
    await this.#tables.settle(
      (known) => {
        const plans = known.map(({ layout, state }) => plan(layout, state, frontends.get(layout.family) ?? new Map()))
        stale = plans.flatMap(({ stale }) => stale)
        return this.#step(known, plans)
      },
      (error) => {
        const key = blamed(error)
        const ofFamily = frontends.get(error.command?.table.family ?? '')
        const frontend = key === undefined ? undefined : ofFamily?.get(key)
        if (!frontend) return false
        errors.push({ service: frontend.service, reason: `${frontend.key}: ${error.message}` })
        ofFamily?.delete(frontend.key)
        return true
      },
    )
    await this.#forget(stale)
    return { errors }
  }

  remove(): Promise<void> {
    return this.#tables.remove()
  }

  async close(): Promise<void> {
    await this.#tables.settled()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #step(known: Known, plans: readonly Plan[]): Step<Known> {
    for (const { layout, repairs } of known)
      if (repairs.length > 0) this.#options.log.info({ family: layout.family, commands: repairs.length }, 'programming the rules')
    return {
      commands: known.flatMap(({ repairs }, i) => [...repairs, ...(plans[i]?.commands ?? [])]),
      done: () => known.map(({ layout, state }, i) => ({ layout, state: advance(state, plans[i] as Plan), repairs: [] })),
    }
  }

  /** Not worth failing for: the flows end by themselves when they pause. */
  async #forget(stale: readonly StaleFlows[]): Promise<void> {
    const { conntrack, log } = this.#options
    if (stale.length === 0) return
    try {
      await conntrack.remove(
        ...stale.map(({ frontend, backend }) => ({
          protocol: 'udp' as const,
          original: { ...(frontend.address !== undefined && { destination: frontend.address }), destinationPort: frontend.port },
          ...(backend && { reply: { source: backend.address, sourcePort: backend.port } }),
        })),
      )
    } catch (error) {
      log.warn({ err: error, flows: stale.length }, 'UDP flows to backends that are gone could not be forgotten')
    }
  }
}

/** The key of the frontend whose element the kernel refused. */
const blamed = ({ command, row }: NftError): string | undefined => {
  if (command?.does !== 'add element' || row === undefined) return undefined
  const { elements } = command
  const isNode = elements.spec.name.startsWith('node-') || elements.spec.name.endsWith('-node-ports')
  const { key } = elements.values(row)
  return (isNode ? ['*', ...key.slice(0, 2)] : key.slice(0, 3)).join(' ')
}
