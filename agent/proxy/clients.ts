// What the kernel remembers for session affinity. Rules write it; here only what leads to a backend that
// is gone is taken out again.

import { Elements } from 'nft-js'
import { addressInKey } from './layout.ts'
import type { Programmed, Slot, State } from './state.ts'

/** Of what `clients` holds (for IPv6, with their ports beside them) that which must not be there: `lost` by `placeOf`; `expired` (by `keyOf`) is gone meanwhile. */
export const strayClients = (
  clients: Elements,
  ports: Elements,
  frontends: State['frontends'],
  { lost, expired }: { lost: ReadonlySet<string>; expired: ReadonlySet<string> },
): Elements => {
  const strays = new Elements(clients.spec)
  const backends = stickyBackends(frontends, lost)
  const portOf = new Map(Array.from({ length: ports.count }, (_, row) => [ports.keyOf(row), ports.values(row).data[0]]))
  for (let row = 0; row < clients.count; row++) {
    if (expired.has(clients.keyOf(row))) continue
    const { key, data } = clients.values(row)
    const [, address, protocol, port] = key
    const [backend, backendPort = portOf.get(clients.keyOf(row)) ?? ''] = data
    if (![address, '*'].some((to) => backends.has(`${to} ${protocol} ${port} ${backend} ${backendPort}`))) strays.add(key, data)
  }
  return strays
}

const stickyBackends = (frontends: State['frontends'], lost: ReadonlySet<string>): Set<string> => {
  const found = new Set<string>()
  for (const programmed of frontends.values()) {
    if (programmed.memory === undefined) continue
    for (const slot of programmed.slots) {
      const place = slot && placeOf(programmed, slot)
      if (place !== undefined && !lost.has(place)) found.add(place)
    }
  }
  return found
}

/** A backend of a frontend, as `clients` has them. */
export const placeOf = ({ address = '*', protocol, port }: Pick<Programmed, 'address' | 'protocol' | 'port'>, backend: Slot): string =>
  `${addressInKey(address)} ${protocol} ${port} ${backend.address} ${backend.port}`

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
