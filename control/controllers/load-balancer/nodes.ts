// A load balancer out of nothing but the nodes: a service gets the addresses of the nodes that are ready,
// and every node's service proxy answers on them. With traffic policy Local only nodes that have
// endpoints count.

import { familyOf } from '#api/cidr.ts'
import { isReady } from '#api/pods.ts'
import type { Node, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'

const excluded = 'node.kubernetes.io/exclude-from-external-load-balancers'
/** The node's own, which a service on its address would take from it: the API server's and the agent's. */
const reserved = new Set(['TCP 6443', 'TCP 10250'])

export const portsOf = ({ spec }: Service): string[] => (spec.ports ?? []).map(({ protocol = 'TCP', port }) => `${protocol} ${port}`)

/** Why a service cannot have the nodes' addresses; `taken` says who has a port. */
export function obstacle(service: Service, taken: ReadonlyMap<string, string>): string | undefined {
  for (const id of portsOf(service)) {
    if (reserved.has(id)) return `${id.toLowerCase()} is the node's own: node addresses cannot be given to this service`
    const other = taken.get(id)
    if (other !== undefined) return `${id.toLowerCase()} of the nodes' addresses is taken by service ${other}`
  }
  return undefined
}

export const isUsable = (node: Node): boolean =>
  isReady(node) && !node.metadata.deletionTimestamp && node.metadata.labels?.[excluded] === undefined

/** What of a node matters here; most of its updates change none of it. */
export const facts = (node: Node) => [isUsable(node), node.status?.addresses]

export const withEndpoints = (slices: readonly EndpointSlice[]): Set<string> =>
  new Set(
    slices.flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ conditions, nodeName }) => (conditions?.ready !== false && nodeName ? [nodeName] : [])),
    ),
  )

/** Of each node and family the external address, or else the internal one; of the families that the service has, in its order. */
export function nodeAddresses({ spec }: Service, nodes: readonly Node[]): string[] {
  const found = new Set<string>()
  for (const family of spec.ipFamilies ?? ['IPv4']) {
    for (const { status } of nodes) {
      const own = (status?.addresses ?? []).filter(({ address }) => familyOf(address) === family)
      const address = ['ExternalIP', 'InternalIP'].map((type) => own.find((each) => each.type === type)).find(Boolean)
      if (address) found.add(address.address)
    }
  }
  const addresses = [...found].sort()
  return spec.loadBalancerIP ? addresses.filter((address) => address === spec.loadBalancerIP) : addresses
}
