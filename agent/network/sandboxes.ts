// All pods' sandboxes on this node: who has which addresses, one change of a pod at a time, many pods
// at once.

import type { PodNetwork } from './pod-network.ts'
import type { AddressPools } from './pool.ts'
import type { Found, SandboxKernel } from './sandbox.ts'

type Pod = Pick<Parameters<PodNetwork['setup']>[0], 'uid' | 'hostname'>

export class Sandboxes {
  readonly #kernel: SandboxKernel
  readonly #pools: AddressPools
  readonly #known = new Map<string, Found>()
  /** The last change asked for of each pod that has one under way. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(deps: { kernel: SandboxKernel; pools: AddressPools }) {
    this.#kernel = deps.kernel
    this.#pools = deps.pools
  }

  /** Finds what an earlier agent made. Called once, before anything else. */
  async adopt(): Promise<void> {
    for (const [uid, { addresses, whole }] of await this.#kernel.survey()) {
      const own = this.#pools.reserve(addresses)
      this.#known.set(uid, { addresses: own, whole: whole && own.length === addresses.length })
    }
  }

  /** The pod's sandbox is lost, and shall have these addresses when it is made anew. To be called before its setup. */
  expect(uid: string, addresses: readonly string[]): void {
    const known = this.#known.get(uid)
    if (this.#turns.has(uid) || (known && known.addresses.length > 0)) return
    this.#known.set(uid, { addresses: this.#pools.reserve(addresses), whole: false })
  }

  list(): string[] {
    return [...this.#known.keys()]
  }

  /** Returns the pod's addresses. */
  setup(pod: Pod): Promise<readonly string[]> {
    return this.#inTurn(pod.uid, async () => {
      const known = this.#known.get(pod.uid)
      if (known?.whole) return known.addresses
      const addresses = this.#pools.complete(known?.addresses ?? [])
      this.#known.set(pod.uid, { addresses, whole: false })
      try {
        await this.#kernel.create(pod.uid, pod.hostname)
        await this.#kernel.connect(pod.uid, addresses)
      } catch (error) {
        await this.#dismantle(pod.uid)
        throw error
      }
      this.#known.set(pod.uid, { addresses, whole: true })
      return addresses
    })
  }

  teardown(uid: string): Promise<void> {
    return this.#inTurn(uid, () => this.#dismantle(uid))
  }

  /** The MTU has changed. */
  async resize(): Promise<void> {
    // One that is being made may have seen the old one.
    await this.settled()
    await this.#kernel.resize(this.list())
  }

  /** Resolves once no change is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#turns.values())
  }

  async #dismantle(uid: string): Promise<void> {
    const addresses = this.#known.get(uid)?.addresses ?? []
    // If this ends half-way, what is left is no sandbox.
    this.#known.set(uid, { addresses, whole: false })
    await this.#kernel.release(uid)
    this.#known.delete(uid)
    this.#pools.release(addresses)
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
