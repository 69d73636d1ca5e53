// The addresses of this node: what it works with where a boot finds none, as while the router is down too.

import type { NodeAddresses } from '../node/addresses.ts'
import type { AgentRecord } from './record.ts'

const NAME = 'addresses'

export const keptAddresses = (record: AgentRecord): readonly string[] => (record.take(NAME) as readonly string[] | undefined) ?? []

export function keepAddresses(record: AgentRecord, addresses: Pick<NodeAddresses, 'current' | 'on'>): void {
  const keep = () => record.set(NAME, () => addresses.current)
  keep()
  addresses.on(keep)
}
