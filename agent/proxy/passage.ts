// What the programmed table does with a new connection that meets this node, on its whole way through. For tests.

import type { Table } from 'nft-js'
import { type Host, type Packet, through } from '../ruleset/simulate.ts'
import type { Connection } from './oracle.ts'

export type Passed =
  | { fate: 'drop' | 'reject' }
  | { fate: 'pass'; address: string; port: number; isMasqueraded: boolean; isForwarded: boolean }

export const passage = (table: Table, { from, to, protocol, port }: Connection, host: Host): Passed => {
  const packet: Packet = {
    source: from,
    destination: to,
    protocol: protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp',
    sourcePort: 40_000,
    destinationPort: port,
    state: 'new',
  }
  const isOwn = host.isLocal(from)
  const isArriving = () => host.isLocal(packet.destination)
  for (const hook of ['prerouting', 'output', 'input', 'forward', 'postrouting'] as const) {
    if (hook === (isOwn ? 'prerouting' : 'output')) continue
    // What the node sends to itself leaves by the loopback link and comes in by it.
    if (hook === 'input' && !isArriving()) continue
    if (hook === 'forward' && (isOwn || isArriving())) continue
    if (hook === 'postrouting' && !isOwn && isArriving()) continue
    const fate = through(table, hook, packet, host)
    if (fate !== 'accept') return { fate }
  }
  const { destination: address, destinationPort, masqueraded = false } = packet
  return { fate: 'pass', address, port: destinationPort, isMasqueraded: masqueraded, isForwarded: isOwn || !isArriving() }
}
