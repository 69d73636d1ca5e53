// What the pod network stands on: the links and addresses of the node, which may change under it (DHCP, a
// moved cable, another MTU). Applied anew whenever they do.

import { type Rtnetlink, SysError } from 'nft-js'
import { type Cidr, familyOf } from '#api/cidr.ts'
import type { Log } from '#api/log.ts'
import { ensureBridge, ensureTunnel, removeTunnel, tunnelMtu, underlayMtu } from './links.ts'
import type { Backend, Surroundings } from './nodes.ts'

export type UnderlayState = {
  /** Index of the bridge. */
  bridge: number
  tunnel: Surroundings['tunnel']
  /** Of the pod network, bytes. */
  mtu: number
}

type Dependencies = {
  rt: Rtnetlink
  netns?: string
  log: Log
  cidrs: readonly Cidr[]
  backend: Backend
  dnsAddresses?: readonly string[]
  /** Of the bridge: whose it is (owner.ts). */
  alias?: string
}

/** The least that a link with IPv6 must carry (RFC 8200, section 5). */
const leastMtu6 = 1280
const usualMtu = 1500

export class Underlay {
  readonly #deps: Dependencies
  #nodeIPs: readonly string[]
  /** Of the links under us, by address: while one is away its last counts. */
  readonly #mtus = new Map<string, number>()
  #told = ''

  constructor(nodeIPs: readonly string[], deps: Dependencies) {
    this.#nodeIPs = nodeIPs
    this.#deps = deps
  }

  /** Takes effect with the next `apply`. */
  set nodeIPs(nodeIPs: readonly string[]) {
    this.#nodeIPs = nodeIPs
  }

  async apply(): Promise<UnderlayState> {
    const { rt, netns, cidrs, dnsAddresses, alias } = this.#deps
    for (const address of this.#nodeIPs) {
      const mtu = await underlayMtu(rt, address)
      if (mtu !== undefined) this.#mtus.set(address, mtu)
    }
    const tunnel = await this.#applyTunnel()
    const mtu = tunnel
      ? tunnelMtu(this.#mtuAt(tunnel.local), tunnel.local)
      : Math.min(...this.#nodeIPs.map((address) => this.#mtuAt(address)), Number.POSITIVE_INFINITY)
    if (mtu < leastMtu6 && cidrs.some(({ family }) => family === 'IPv6'))
      throw new SysError('EINVAL', 'pod network', `an MTU of ${mtu} bytes is too small for IPv6`)
    const bridge = await ensureBridge({ rt, netns, cidrs, dnsAddresses, mtu, alias })
    return { bridge, tunnel, mtu }
  }

  #mtuAt(address: string): number {
    return this.#mtus.get(address) ?? usualMtu
  }

  /** Every node's tunnel must speak one family: that of the cluster's first range, where the nodes have it. */
  #local(): string | undefined {
    const [first] = this.#deps.cidrs
    return this.#nodeIPs.find((address) => familyOf(address) === first?.family) ?? this.#nodeIPs[0]
  }

  /** Undefined where none is wanted, or where the kernel has none and nodes may do without. */
  async #applyTunnel(): Promise<UnderlayState['tunnel']> {
    const { rt, netns, cidrs, backend, log } = this.#deps
    const local = this.#local()
    if (backend === 'host-gw' || backend === 'routed' || local === undefined) {
      await removeTunnel(rt)
      return undefined
    }
    try {
      const link = await ensureTunnel({ rt, netns, cidrs, local, mtu: tunnelMtu(this.#mtuAt(local), local) })
      this.#told = ''
      return { link, local }
    } catch (error) {
      if (backend === 'vxlan') throw error
      if (this.#told !== String(error)) log.warn({ error }, 'there is no tunnel: only nodes on a shared link can be reached')
      this.#told = String(error)
      return undefined
    }
  }
}
