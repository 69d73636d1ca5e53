// Keeps the ways to the other nodes as they should be: when the nodes change, and when somebody
// (a cable, a DHCP client, an administrator) changes what is under them.

import type { Change, Rtnetlink } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import type { Cidr } from './cidr.ts'
import { isVethName, routeProtocol } from './names.ts'
import { type Backend, desire, plan, type Reachability } from './nodes.ts'

type Dependencies = {
  rt: Rtnetlink
  log: Log
  nodeName: string
  cidr: Cidr
  backend: Backend
  bridge: number
  tunnel?: number
}

export class Routing {
  readonly #deps: Dependencies
  #nodes: readonly Node[] | undefined
  #turn: Promise<void> = Promise.resolve()
  #repairing = false
  #told = ''

  constructor(deps: Dependencies) {
    this.#deps = deps
  }

  apply(nodes: readonly Node[]): Promise<void> {
    this.#nodes = nodes
    return this.#inTurn()
  }

  /** To be told of every change in the namespace. */
  changed(change: Change): void {
    if (this.#nodes === undefined || this.#repairing || !this.#concerns(change)) return
    this.#repairing = true
    this.#inTurn().catch((error: unknown) => {
      // An underlay that is down has no way to anywhere; the change that ends that comes here too.
      this.#deps.log.warn({ error }, 'routes to other nodes could not be repaired')
    })
  }

  async settled(): Promise<void> {
    await this.#turn
  }

  #concerns(change: Change): boolean {
    const own = (link: number) => link === this.#deps.bridge || link === this.#deps.tunnel
    if (change.kind === 'missed') return true
    if (change.kind === 'route') return change.gone && change.route.protocol === routeProtocol
    if (change.kind === 'address') return !own(change.address.link)
    return change.kind === 'link' && !change.gone && !own(change.link.index) && !isVethName(change.link.name)
  }

  #inTurn(): Promise<void> {
    const result = this.#turn.then(() => {
      this.#repairing = false
      return this.#settle()
    })
    this.#turn = result.catch(() => {})
    return result
  }

  async #settle(): Promise<void> {
    const { rt, log, bridge, tunnel } = this.#deps
    const addresses = (await rt.addresses()).filter(({ link, scope }) => scope === 0 && link !== bridge && link !== tunnel)
    const { desired, problems } = desire(this.#nodes ?? [], { ...this.#deps, addresses })
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
    const { rt, tunnel } = this.#deps
    const routes = await rt.routes({ protocol: routeProtocol })
    if (tunnel === undefined) return { routes, neighbours: [], forwarding: [] }
    const neighbours = await rt.neighbours(tunnel)
    const forwarding = await rt.forwardingEntries(tunnel)
    return { routes, neighbours: neighbours.filter((entry) => entry.permanent), forwarding }
  }
}
