// The way to other nodes' pods: directly where the node shares a link with this one, through the
// tunnel where it does not. A plan from what is there to what should be, without I/O.

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
import type { Node } from '#api/types/core-v1.gen.ts'
import { type Cidr, contains, gatewayOf, parseAddress, parseCidr } from './cidr.ts'
import { macOf, routeProtocol } from './names.ts'

export type Backend = 'auto' | 'vxlan' | 'host-gw'

export type Surroundings = {
  nodeName: string
  cidr: Cidr
  backend: Backend
  /** Index of the tunnel; absent where the kernel has none. */
  tunnel?: number
  /** Addresses of links that nodes may share with this one: not of ours. */
  addresses: readonly InterfaceAddress[]
}

export type Reachability = { routes: Route[]; neighbours: Omit<Neighbour, 'permanent'>[]; forwarding: Omit<ForwardingEntry, 'permanent'>[] }

/** A node that cannot be reached, and why. */
export type Problem = { node: string; problem: string }

type Peer = { name: string; cidr: Cidr; address: string }

/** What should be there for some nodes. A node object that makes no sense costs only its own pods. */
export const desire = (nodes: readonly Node[], here: Surroundings): { desired: Reachability; problems: Problem[] } => {
  const desired: Reachability = { routes: [], neighbours: [], forwarding: [] }
  const problems: Problem[] = []
  const taken = [here.cidr]
  const peers = nodes.filter((node) => node.metadata.name !== here.nodeName && node.spec?.podCIDR)
  for (const node of peers.toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))) {
    const name = node.metadata.name ?? ''
    const peer = peerOf(node)
    if (typeof peer === 'string') {
      problems.push({ node: name, problem: peer })
    } else if (taken.some((cidr) => cidr.first <= peer.cidr.last && peer.cidr.first <= cidr.last)) {
      problems.push({ node: name, problem: `its range ${peer.cidr.text} overlaps another node’s` })
    } else {
      taken.push(peer.cidr)
      const problem = reach(peer, here, desired)
      if (problem) problems.push({ node: name, problem })
    }
  }
  return { desired, problems }
}

const peerOf = (node: Node): Peer | string => {
  const cidr = parseCidr(node.spec.podCIDR ?? '')
  const address = node.status?.addresses?.find(({ type, address }) => type === 'InternalIP' && parseAddress(address) !== undefined)?.address
  if (!cidr) return `${node.spec.podCIDR} is no IPv4 range`
  if (address === undefined) return 'it has no internal IPv4 address yet'
  return { name: node.metadata.name ?? '', cidr, address }
}

const reach = ({ cidr, address }: Peer, here: Surroundings, desired: Reachability): string | undefined => {
  const shared = here.addresses.find((own) => {
    const network = parseCidr(`${own.address}/${own.prefix}`)
    return network !== undefined && network.prefix < 32 && contains(network, address)
  })
  const route = { to: cidr.text, protocol: routeProtocol }
  if (shared && here.backend !== 'vxlan') {
    desired.routes.push({ ...route, via: address, link: shared.link })
    return undefined
  }
  if (here.backend === 'host-gw') return `${address} is on no link of this node`
  if (here.tunnel === undefined) return 'there is no tunnel on this node'
  const link = here.tunnel
  const gateway = gatewayOf(cidr)
  desired.routes.push({ ...route, via: gateway, link, onlink: true, source: gatewayOf(here.cidr) })
  desired.neighbours.push({ link, address: gateway, mac: macOf(address) })
  desired.forwarding.push({ link, mac: macOf(address), to: address })
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
