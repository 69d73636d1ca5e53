// The addresses of this node's pods. The kernel is the record of who has which: a pool starts empty
// and is told on start. An address given back goes to the end of the queue, so that what still
// believes in its last owner (a connection, a client's cache) has the longest time to forget.

import { SysError } from 'nft-js'
import { type Cidr, contains, formatAddress } from './cidr.ts'

export class AddressPool {
  readonly #cidr: Cidr
  readonly #used = new Set<string>()
  /** Those never given out begin here. */
  #fresh: number
  /** Those given back, oldest first. */
  readonly #returned = new Set<string>()

  constructor(cidr: Cidr) {
    this.#cidr = cidr
    // Before it: the network's own address and the gateway's.
    this.#fresh = cidr.first + 2
  }

  allocate(): string {
    const address = this.#nextFresh() ?? this.#nextReturned()
    if (address === undefined) throw new SysError('EADDRNOTAVAIL', 'allocate', `all pod addresses of ${this.#cidr.text} are in use`)
    this.#used.add(address)
    return address
  }

  /** Takes an address that a pod was found to have; false if another has it, or it is none of the range's. */
  reserve(address: string): boolean {
    if (!contains(this.#cidr, address) || this.#used.has(address)) return false
    this.#returned.delete(address)
    this.#used.add(address)
    return true
  }

  release(address: string): void {
    if (this.#used.delete(address)) this.#returned.add(address)
  }

  #nextFresh(): string | undefined {
    // The last address is the range's broadcast.
    while (this.#fresh < this.#cidr.last) {
      const address = formatAddress(this.#fresh++)
      if (!this.#used.has(address)) return address
    }
    return undefined
  }

  #nextReturned(): string | undefined {
    const [address] = this.#returned
    if (address !== undefined) this.#returned.delete(address)
    return address
  }
}
