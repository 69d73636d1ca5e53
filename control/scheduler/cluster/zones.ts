// The order in which nodes are looked at: one of each zone by turns, so that a look at some of them sees all zones.

import type { NodeInfo } from './node-info.ts'

const zoneOf = ({ labels }: NodeInfo): string =>
  `${labels['topology.kubernetes.io/region'] ?? ''}/${labels['topology.kubernetes.io/zone'] ?? ''}`

export function interleaved(nodes: readonly NodeInfo[]): NodeInfo[] {
  const zones = [...Map.groupBy(nodes, zoneOf).values()]
  const longest = Math.max(0, ...zones.map(({ length }) => length))
  return Array.from({ length: longest }, (_, turn) => zones.flatMap((zone) => zone[turn] ?? [])).flat()
}
