// Keeps the ways to the other nodes as they should be: when the nodes change, and when somebody
// (a cable, a DHCP client, an administrator) changes what is under them.

import { AF_INET, AF_INET6, type Change, type Rtnetlink } from 'nft-js'
import type { Cidr } from '#api/cidr.ts'
import type { Log } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { isVethName, routeProtocol } from './names.ts'
import { type Backend, desire, plan, type Reachability } from './nodes.ts'
import type { UnderlayState } from './underlay.ts'

type Dependencies = {
  rt: Rtnetlink
  log: Log
  nodeName: string
  cidrs: readonly Cidr[]
  backend: Backend
  /** As it is now. */
  state: UnderlayState
  /** Makes the links right again, and tells how they are. */
  applyUnderlay: () => Promise<UnderlayState>
}

export class Routing {
  readonly #deps: Dependencies
  #state: UnderlayState
  /** Undefined until they were told: until then what an earlier agent made stays. */
  #nodes: readonly Node[] | undefined
  #turn: Promise<void> = Promise.resolve()
  #repairing = false
  #told = ''

  constructor(deps: Dependencies) {
    this.#deps = deps
    this.#state = deps.state
  }

  apply(nodes: readonly Node[]): Promise<void> {
    this.#nodes = nodes
    return this.#inTurn()
  }

  /** To be told of every change in the namespace. */
  changed(change: Change): void {
    if (this.#concerns(change)) this.repair()
  }

  repair(): void {
    if (this.#repairing) return
    this.#repairing = true
    this.#inTurn().catch((error: unknown) => {
      // An underlay that is down has no way to anywhere; the change that ends that comes here too.
      this.#deps.log.warn({ error }, 'routes to other nodes could not be repaired')
    })
  }

  async applied(): Promise<void> {
    await this.#turn
  }

  #concerns(change: Change): boolean {
    const { bridge, tunnel } = this.#state
    const own = (link: number) => link === bridge || link === tunnel?.link
    if (change.kind === 'missed') return true
    if (change.kind === 'route') return change.gone && change.route.protocol === routeProtocol
    if (change.kind === 'address') return !own(change.address.link)
    if (change.kind !== 'link') return false
    if (change.gone) return change.link.index === tunnel?.link
    return !own(change.link.index) && !isVethName(change.link.name)
  }

  #inTurn(): Promise<void> {
    const result = this.#turn.then(() => {
      this.#repairing = false
      return this.#apply()
    })
    this.#turn = result.catch(() => {})
    return result
  }

  async #apply(): Promise<void> {
    const { rt, log, applyUnderlay } = this.#deps
    const state = await applyUnderlay()
    this.#state = state
    if (this.#nodes === undefined) return
    const { bridge, tunnel } = state
    const addresses = (await rt.addresses()).filter(({ link, scope }) => scope === 0 && link !== bridge && link !== tunnel?.link)
    const { desired, problems } = desire(this.#nodes, { ...this.#deps, tunnel, addresses })
    const text = JSON.stringify(problems)
    if (text !== this.#told) for (const problem of problems) log.warn(problem, 'pods of a node cannot be reached')
    this.#told = text
    const commands = plan(await this.#current(), desired)
    if (commands.length === 0) return
    log.debug({ changes: commands.map(({ detail }) => detail) }, 'routes to other nodes change')
    // What is to be deleted may have gone with something else.
    await rt.run(commands, { tolerate: ['ENOENT', 'ESRCH'] })
  }

  async #current(): Promise<Reachability> {
    const { rt } = this.#deps
    const { tunnel } = this.#state
    const current: Reachability = { routes: [], neighbours: [], forwarding: [] }
    for (const family of [AF_INET, AF_INET6] as const) {
      current.routes.push(...(await rt.routes({ family, protocol: routeProtocol })))
      if (tunnel) current.neighbours.push(...(await rt.neighbours(tunnel.link, family)).filter(({ permanent }) => permanent))
    }
    if (tunnel) current.forwarding = await rt.forwardingEntries(tunnel.link)
    return current
  }
}
