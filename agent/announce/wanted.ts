// Which addresses the nodes are to announce, and how this node stands for each: pure.

import { createHash } from 'node:crypto'
import { isReady } from '#api/pods.ts'
import type { Node, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'

/** A class of ours whose addresses are announced; the other one means the nodes' own. */
const rangeClass = 'coracle/range'
const excluded = 'node.kubernetes.io/exclude-from-external-load-balancers'

export type Wanted = {
  services: Service[]
  /** The place of this node among those that may announce it, the first being 0; undefined: it may not. */
  rank: number | undefined
}

export type Surroundings = {
  nodeName: string
  services: Iterable<Service>
  nodes: readonly Node[]
  slicesOf: (service: Service) => Iterable<EndpointSlice>
}

/** Whether packets for its addresses have to be drawn to a node. */
export const isAnnounced = ({ spec, metadata }: Service): boolean =>
  spec.type === 'LoadBalancer' && [undefined, rangeClass].includes(spec.loadBalancerClass) && !metadata.deletionTimestamp

/** By address. The nodes' own addresses need nobody to announce them. */
export const wanted = ({ nodeName, services, nodes, slicesOf }: Surroundings): Map<string, Wanted> => {
  const own = new Set(nodes.flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)))
  const sharing = new Map<string, Service[]>()
  for (const service of services) {
    if (!isAnnounced(service)) continue
    for (const { ip, ipMode } of service.status?.loadBalancer?.ingress ?? [])
      if (ip && ipMode !== 'Proxy' && !own.has(ip)) sharing.set(ip, [...(sharing.get(ip) ?? []), service])
  }
  const usable = nodes.filter(isUsable).map(({ metadata }) => metadata.name)
  return new Map(
    [...sharing].map(([address, all]) => {
      let may = usable
      for (const service of all) {
        if (service.spec.externalTrafficPolicy !== 'Local') continue
        const near = nodesWithEndpoints(slicesOf(service))
        may = may.filter((name) => near.has(name))
      }
      // Another order for each address, the same on every node: so addresses are spread.
      const order = new Map(may.map((name) => [createHash('sha256').update(`${address} ${name}`).digest('hex'), name]))
      const rank = [...order.keys()].sort().findIndex((hash) => order.get(hash) === nodeName)
      return [address, { services: all, rank: rank < 0 ? undefined : rank }]
    }),
  )
}

/** What of a node matters here; most of its updates change none of it. */
export const factsOf = (node: Node): string => JSON.stringify([isUsable(node), node.status?.addresses?.map(({ address }) => address)])

const isUsable = (node: Node): boolean =>
  isReady(node) && !node.metadata.deletionTimestamp && node.metadata.labels?.[excluded] === undefined

const nodesWithEndpoints = (slices: Iterable<EndpointSlice>): Set<string> => {
  const names = new Set<string>()
  for (const { endpoints } of slices)
    for (const { conditions, nodeName } of endpoints ?? []) if (nodeName && conditions?.ready !== false) names.add(nodeName)
  return names
}
