// What the kernel remembers for session affinity. Rules write it; here only what leads to a backend that
// is gone is taken out again.

import { Elements } from 'nft-js'
import type { State } from './state.ts'

/** Of what `clients` holds, by IPv4 or IPv6, that which must not be there; `expired` (by `keyOf`) is gone meanwhile. */
export const strayClients = (clients: Elements, frontends: State['frontends'], expired: ReadonlySet<string>): Elements => {
  const strays = new Elements(clients.spec)
  const backends = stickyBackends(frontends)
  for (let row = 0; row < clients.count; row++) {
    if (expired.has(clients.keyOf(row))) continue
    const { key, data } = clients.values(row)
    const [, address, protocol, port] = key
    const [backend] = data
    const exact = [address, '*'].some((to) => backends.has(`${to} ${protocol} ${port} ${data.join(' ')}`))
    // IPv6: only a hash is known of the address that was asked for, and the port is elsewhere.
    if (!exact && !(data.length === 1 && backends.has(`${protocol} ${port} ${backend}`))) strays.add(key, data)
  }
  return strays
}

const stickyBackends = (frontends: State['frontends']): Set<string> => {
  const found = new Set<string>()
  for (const { address = '*', protocol, port, memory, slots } of frontends.values()) {
    if (memory === undefined) continue
    for (const slot of slots) {
      if (!slot) continue
      found.add(`${protocol} ${port} ${slot.address}`)
      found.add(`${address} ${protocol} ${port} ${slot.address} ${slot.port}`)
    }
  }
  return found
}

/** The same clients in the map of their ports. */
export const portsOf = (clients: Elements, ports: Elements): Elements => {
  const keys = new Set<string>()
  for (let row = 0; row < clients.count; row++) keys.add(clients.keyOf(row))
  const found = new Elements(ports.spec)
  for (let row = 0; row < ports.count; row++) {
    const { key, data } = ports.values(row)
    if (keys.has(ports.keyOf(row))) found.add(key, data)
  }
  return found
}
