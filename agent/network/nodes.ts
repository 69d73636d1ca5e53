// The way to other nodes' pods: directly where the node shares a link with this one, through the tunnel
// where it does not, each family by itself. A plan from what is there to what should be, without I/O.

import {
  addRoute,
  type Command,
  deleteForwardingEntry,
  deleteNeighbour,
  deleteRoute,
  type ForwardingEntry,
  type InterfaceAddress,
  type Neighbour,
  type Route,
  replaceForwardingEntry,
  replaceNeighbour,
  replaceRoute,
} from 'nft-js'
import { type Cidr, contains, familyOf, formatAddress, overlaps, parseAddress, parseCidr } from '#api/cidr.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { gatewayOf, macOf, routeProtocol } from './names.ts'

/** `routed`: where no link is shared, the network's own routers know the nodes' ranges. */
export type Backend = 'auto' | 'vxlan' | 'host-gw' | 'routed'

export type Surroundings = {
  nodeName: string
  /** This node's part of the cluster's ranges, one of each family. */
  cidrs: readonly Cidr[]
  backend: Backend
  /** Absent where the kernel has none. `local`: this node's end of it. */
  tunnel?: { link: number; local: string } | undefined
  /** Addresses of links that nodes may share with this one: not of ours. */
  addresses: readonly InterfaceAddress[]
}

export type Reachability = { routes: Route[]; neighbours: Omit<Neighbour, 'permanent'>[]; forwarding: Omit<ForwardingEntry, 'permanent'>[] }

/** A node that cannot be reached, and why. */
export type Problem = { node: string; problem: string }

type Peer = { name: string; cidrs: Cidr[]; addresses: string[] }

/** What should be there for some nodes. A node object that makes no sense costs only its own pods. */
export const desire = (nodes: readonly Node[], here: Surroundings): { desired: Reachability; problems: Problem[] } => {
  const desired: Reachability = { routes: [], neighbours: [], forwarding: [] }
  const problems: Problem[] = []
  const taken = [...here.cidrs]
  const peers = nodes.filter((node) => node.metadata.name !== here.nodeName && rangesOf(node).length > 0)
  for (const node of peers.toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))) {
    const name = node.metadata.name ?? ''
    const peer = peerOf(node)
    if (typeof peer === 'string') {
      problems.push({ node: name, problem: peer })
      continue
    }
    for (const cidr of peer.cidrs) {
      const overlap = taken.some((other) => overlaps(other, cidr))
      if (!overlap) taken.push(cidr)
      const problem = overlap ? `its range ${cidr.text} overlaps another node’s` : reach(peer, cidr, here, desired)
      if (problem) problems.push({ node: name, problem })
    }
  }
  return { desired, problems }
}

const rangesOf = ({ spec }: Node): string[] => (spec?.podCIDRs?.length ? spec.podCIDRs : spec?.podCIDR ? [spec.podCIDR] : [])

const peerOf = (node: Node): Peer | string => {
  const cidrs: Cidr[] = []
  for (const text of rangesOf(node)) {
    const cidr = parseCidr(text)
    if (!cidr) return `${text} is no range of addresses`
    cidrs.push(cidr)
  }
  const addresses = (node.status?.addresses ?? []).flatMap(({ type, address }) => {
    const known = type === 'InternalIP' ? parseAddress(address) : undefined
    return known ? formatAddress(known) : []
  })
  if (addresses.length === 0) return 'it has no internal address yet'
  return { name: node.metadata.name ?? '', cidrs, addresses }
}

const reach = (peer: Peer, cidr: Cidr, here: Surroundings, desired: Reachability): string | undefined => {
  // A family that this node's pods do not have needs no way.
  const own = here.cidrs.find(({ family }) => family === cidr.family)
  if (!own) return undefined
  const route = { to: cidr.text, protocol: routeProtocol }
  const direct = here.backend === 'vxlan' ? undefined : onSharedLink(peer, cidr, here)
  if (direct) {
    desired.routes.push({ ...route, ...direct })
    return undefined
  }
  const { tunnel, backend } = here
  if (backend === 'routed') return undefined
  if (backend === 'host-gw') return `${peer.addresses.join(' and ')}: no ${cidr.family} address on a link of this node`
  if (!tunnel) return 'there is no tunnel on this node'
  const far = peer.addresses.find((address) => familyOf(address) === familyOf(tunnel.local))
  if (far === undefined) return `${peer.addresses.join(' and ')}: no ${familyOf(tunnel.local)} address, as tunnels here have`
  const { link } = tunnel
  const gateway = gatewayOf(cidr)
  desired.routes.push({ ...route, via: gateway, link, onlink: true, source: gatewayOf(own) })
  desired.neighbours.push({ link, address: gateway, mac: macOf(far) })
  const entry = { link, mac: macOf(far), to: far }
  if (!desired.forwarding.some((known) => sameEntry(known, entry))) desired.forwarding.push(entry)
  return undefined
}

const onSharedLink = ({ addresses }: Peer, { family }: Cidr, here: Surroundings): { via: string; link: number } | undefined => {
  for (const via of addresses.filter((address) => familyOf(address) === family))
    for (const own of here.addresses) {
      const network = parseCidr(`${own.address}/${own.prefix}`)
      if (network && network.first !== network.last && contains(network, via)) return { via, link: own.link }
    }
  return undefined
}

const sameRoute = (a: Route, b: Route) =>
  a.to === b.to && a.via === b.via && a.link === b.link && a.source === b.source && !a.onlink === !b.onlink
const sameNeighbour = (a: Omit<Neighbour, 'permanent'>, b: Omit<Neighbour, 'permanent'>) => a.address === b.address && a.mac === b.mac
const sameEntry = (a: Omit<ForwardingEntry, 'permanent'>, b: Omit<ForwardingEntry, 'permanent'>) => a.mac === b.mac && a.to === b.to

const without = <A, B>(all: readonly A[], others: readonly B[], same: (a: A, b: B) => boolean): A[] =>
  all.filter((one) => !others.some((other) => same(one, other)))

/** The commands that lead from one to the other, in an order in which no route leads into nothing. */
export const plan = (current: Reachability, desired: Reachability): Command[] => [
  ...without(desired.forwarding, current.forwarding, sameEntry).map(replaceForwardingEntry),
  ...without(desired.neighbours, current.neighbours, sameNeighbour).map(replaceNeighbour),
  // Replacing is for our own: a route to the same place that somebody else made stays, and is an error.
  ...without(desired.routes, current.routes, sameRoute).map((route) =>
    current.routes.some(({ to }) => to === route.to) ? replaceRoute(route) : addRoute(route),
  ),
  ...without(current.routes, desired.routes, (a, b) => a.to === b.to).map(deleteRoute),
  ...without(current.neighbours, desired.neighbours, (a, b) => a.address === b.address).map(deleteNeighbour),
  ...without(current.forwarding, desired.forwarding, sameEntry).map(deleteForwardingEntry),
]
