// All pods' sandboxes on this node: who has which address, one change of a pod at a time, many pods
// at once.

import { deleteLink } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Departures } from './departures.ts'
import { isVethName, vethName } from './names.ts'
import type { PodNetwork, PodSandbox } from './network.ts'
import type { AddressPool } from './pool.ts'
import { connect, createNamespaces, inspect, listSandboxes, release, sandboxPaths, type Wiring } from './sandbox.ts'

type Pod = Parameters<PodNetwork['setup']>[0]
type Dependencies = { folder: string; wiring: Wiring; pool: AddressPool; departures: Departures; log: Log }

export class Sandboxes {
  readonly #deps: Dependencies
  readonly #known = new Map<string, { address?: string; whole: boolean }>()
  /** The last change asked for of each pod that has one under way. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(deps: Dependencies) {
    this.#deps = deps
  }

  /** Finds what an earlier agent made. Called once, before anything else. */
  async adopt(): Promise<void> {
    const { folder, wiring, pool, log } = this.#deps
    const links = await wiring.rt.links()
    for (const uid of await listSandboxes(folder)) {
      try {
        const found = await inspect(wiring, { uid, paths: sandboxPaths(folder, uid), links })
        if (found.address !== undefined && !pool.reserve(found.address)) this.#known.set(uid, { whole: false })
        else this.#known.set(uid, found)
      } catch (error) {
        log.warn({ uid, error }, 'a pod sandbox cannot be read; it is made anew when its pod is')
        this.#known.set(uid, { whole: false })
      }
    }
    const owned = new Set([...this.#known.keys()].map(vethName))
    for (const { name } of links)
      if (isVethName(name) && !owned.has(name)) await wiring.rt.run([deleteLink(name)], { tolerate: ['ENODEV'] })
  }

  list(): string[] {
    return [...this.#known.keys()]
  }

  setup(pod: Pod): Promise<PodSandbox> {
    return this.#inTurn(pod.uid, async () => {
      const { folder, wiring, pool } = this.#deps
      const namespaces = sandboxPaths(folder, pod.uid)
      const known = this.#known.get(pod.uid)
      if (known?.whole && known.address !== undefined) return { namespaces, ips: [known.address] }
      const address = known?.address ?? pool.allocate()
      this.#known.set(pod.uid, { address, whole: false })
      try {
        await createNamespaces(namespaces, pod.hostname)
        await connect(wiring, { uid: pod.uid, net: namespaces.net, address })
      } catch (error) {
        await this.#dismantle(pod.uid)
        throw error
      }
      this.#known.set(pod.uid, { address, whole: true })
      return { namespaces, ips: [address] }
    })
  }

  teardown(uid: string): Promise<void> {
    return this.#inTurn(uid, () => this.#dismantle(uid))
  }

  /** Resolves once no change is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#turns.values())
  }

  async #dismantle(uid: string): Promise<void> {
    const { folder, departures, pool } = this.#deps
    await release(folder, uid)
    await departures.wait(vethName(uid))
    const address = this.#known.get(uid)?.address
    this.#known.delete(uid)
    if (address !== undefined) pool.release(address)
  }

  async #inTurn<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(uid)
    const turn = (async () => {
      await before?.catch(() => {})
      return work()
    })()
    this.#turns.set(uid, turn)
    try {
      return await turn
    } finally {
      if (this.#turns.get(uid) === turn) this.#turns.delete(uid)
    }
  }
}
