// The service proxy: services in, nf_tables out. `apply` is whole and idempotent: it programs the
// difference to what the kernel has, as one transaction, and finds by the kernel's generation number
// when someone else has changed something, so that a flushed ruleset is restored at the next call.
// Calls may overlap; they run one after the other. Who calls gathers bursts of changes.

import { type Conntrack, inTable, isSysError, type Nft, type NftCommand, NftError, type Table } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
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
  nft: Nft
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
/** Others may change the ruleset between our look and our transaction. */
const attempts = 10

export const openProxy = (options: ProxyOptions): Proxy => new NftProxy(options)

/** A family's table as last seen. */
type Known = { layout: Layout; state: State; repairs: NftCommand[] }

class NftProxy implements Proxy {
  readonly #options: ProxyOptions
  readonly #layouts: Layout[]
  readonly #desired: Desired
  #known: Known[] = []
  /** The generation at which `known` was true; 0: never. */
  #generation = 0
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: ProxyOptions) {
    const { networks, masqueradeMark = defaultMark } = options
    this.#options = options
    this.#layouts = (['ip', 'ip6'] as const).flatMap((family) => {
      const own = networks[family]
      return own ? [layoutOf(family, own, masqueradeMark)] : []
    })
    this.#desired = desiredFrontends({ nodeName: options.nodeName, families: this.#layouts.map(({ family }) => family) })
  }

  apply(services: readonly Service[], slices: readonly EndpointSlice[]): Promise<{ errors: ServiceError[] }> {
    return this.#alone(async () => {
      const { frontends, errors } = this.#desired(services, slices)
      for (let attempt = 1; ; attempt++) {
        await this.#look()
        const plans = this.#known.map(({ layout, state }) => plan(layout, state, frontends.get(layout.family) ?? new Map()))
        try {
          await this.#run(plans)
          return { errors }
        } catch (error) {
          this.#generation = 0
          if (attempt === attempts || !(error instanceof NftError)) throw error
          if (error.code === 'ERESTART') continue
          const key = blamed(error)
          const family = error.command?.table.family
          const frontend = key === undefined || !family ? undefined : frontends.get(family)?.get(key)
          if (!frontend || !family) throw error
          errors.push({ service: frontend.service, reason: `${frontend.key}: ${error.message}` })
          frontends.get(family)?.delete(frontend.key)
        }
      }
    })
  }

  remove(): Promise<void> {
    return this.#alone(async () => {
      this.#generation = 0
      await this.#options.nft.run(
        this.#layouts.flatMap(({ table: ref }) => {
          const table = inTable(ref)
          return [table.add(), table.delete()]
        }),
      )
    })
  }

  async close(): Promise<void> {
    await this.#queue
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Reads the tables if they may be other than we know them. */
  async #look(): Promise<void> {
    const { nft, log } = this.#options
    let generation = await nft.generation()
    while (generation !== this.#generation) {
      const tables = await Promise.all(this.#layouts.map((layout) => this.#read(layout)))
      this.#known = this.#layouts.map((layout, i) => ({ layout, ...adopt(layout, tables[i]) }))
      this.#generation = generation
      generation = await nft.generation()
    }
    for (const { layout, repairs } of this.#known)
      if (repairs.length > 0) log.info({ family: layout.family, commands: repairs.length }, 'programming the rules')
  }

  async #read(layout: Layout): Promise<Table | undefined> {
    const { nft, log } = this.#options
    try {
      return await nft.list(layout.table.family, layout.table.name)
    } catch (error) {
      if (!isSysError(error, 'EPROTONOSUPPORT', 'EBADMSG')) throw error
      log.warn({ err: error, family: layout.family }, 'a table that cannot be read is replaced')
      return undefined
    }
  }

  async #run(plans: readonly Plan[]): Promise<void> {
    const { nft } = this.#options
    const commands = plans.flatMap((plan, i) => [...(this.#known[i]?.repairs ?? []), ...plan.commands])
    if (commands.length > 0) {
      await nft.run(commands, { generation: this.#generation })
      // Of its own transaction a generation is the next; 0 is left out.
      this.#generation = (this.#generation + 1) >>> 0 || 1
    }
    this.#known = this.#known.map(({ layout, state }, i) => ({ layout, state: advance(state, plans[i] as Plan), repairs: [] }))
    await this.#forget(plans.flatMap(({ stale }) => stale))
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

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work)
    this.#queue = done.catch(() => {})
    return done
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
