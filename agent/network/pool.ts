// The addresses of this node's pods, one of each family. The kernel is the record of who has which: a
// pool starts empty and is told on start. An address given back goes to the end of the queue, so that what
// still believes in its last owner (a connection, a client's cache) has the longest time to forget.

import { SysError } from 'nft-js'
import { type Cidr, contains, familyOf, formatAddress } from '#api/cidr.ts'

class AddressPool {
  readonly cidr: Cidr
  readonly #used = new Set<string>()
  /** Those never given out begin here. */
  #fresh: bigint
  /** Where they end: an IPv4 range's last address is its broadcast. */
  readonly #end: bigint
  /** Those given back, oldest first. */
  readonly #returned = new Set<string>()

  constructor(cidr: Cidr) {
    this.cidr = cidr
    // Before it: the network's own address and the gateway's.
    this.#fresh = cidr.first + 2n
    this.#end = cidr.family === 'IPv4' ? cidr.last : cidr.last + 1n
  }

  allocate(): string {
    const address = this.#nextFresh() ?? this.#nextReturned()
    if (address === undefined) throw new SysError('EADDRNOTAVAIL', 'allocate', `all pod addresses of ${this.cidr.text} are in use`)
    this.#used.add(address)
    return address
  }

  reserve(address: string): boolean {
    if (!contains(this.cidr, address) || this.#used.has(address)) return false
    this.#returned.delete(address)
    this.#used.add(address)
    return true
  }

  release(address: string): void {
    if (this.#used.delete(address)) this.#returned.add(address)
  }

  #nextFresh(): string | undefined {
    while (this.#fresh < this.#end) {
      const address = formatAddress({ family: this.cidr.family, value: this.#fresh++ })
      // One that an earlier agent gave out may have come back before it was this one's turn.
      if (!this.#used.has(address) && !this.#returned.has(address)) return address
    }
    return undefined
  }

  #nextReturned(): string | undefined {
    const [address] = this.#returned
    if (address !== undefined) this.#returned.delete(address)
    return address
  }
}

export class AddressPools {
  readonly #pools: readonly AddressPool[]

  /** One range of each family that pods have, in the order in which they have them. */
  constructor(cidrs: readonly Cidr[]) {
    this.#pools = cidrs.map((cidr) => new AddressPool(cidr))
  }

  /** Addresses for a pod that has some already: those that it lacks are new. All of them or, if this throws, none. */
  complete(held: readonly string[]): string[] {
    const made: string[] = []
    try {
      return this.#pools.map((pool) => {
        const own = held.find((address) => familyOf(address) === pool.cidr.family)
        if (own !== undefined) return own
        const address = pool.allocate()
        made.push(address)
        return address
      })
    } catch (error) {
      this.release(made)
      throw error
    }
  }

  /** Of what a pod was found to have, that which is now its own: not what another has, or is none of the ranges'. */
  reserve(found: readonly string[]): string[] {
    return this.#pools.flatMap((pool) => found.find((address) => pool.reserve(address)) ?? [])
  }

  release(addresses: readonly string[]): void {
    for (const pool of this.#pools) for (const address of addresses) pool.release(address)
  }
}
