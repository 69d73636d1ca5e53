// On which link an address is announced: one whose network it is in, or else the one of the node's own
// address, where a router sends what it does not know otherwise.

import { BlockList, isIPv6 } from 'node:net'
import { type InterfaceAddress, type Link, openRtnetlink, type Rtnetlink } from 'nft-js'
import type { Clock } from '#api/clock.ts'
import type { NodeAddresses } from '../node/addresses.ts'
import type { LinkEnd } from './responder.ts'

/** Links and addresses are asked for anew after this many milliseconds. */
const FRESH_MS = 1_000

export interface Places {
  /** Undefined: this node has no such link, or it is down, or without a cable. */
  find(address: string): Promise<LinkEnd | undefined>
  close(): void
}

/** `skip` names the links of ours, on which nobody outside is. */
export const openPlaces = async (options: {
  netns?: string
  addresses: Pick<NodeAddresses, 'current'>
  clock: Clock
  skip: (link: string) => boolean
}): Promise<Places> => {
  const { addresses, clock, skip, netns } = options
  const rt = await openRtnetlink({ ...(netns !== undefined && { netns }) })
  let known: { at: number; state: Promise<State> } | undefined
  return {
    async find(address) {
      if (!known || clock.monotonic() - known.at > FRESH_MS) known = { at: clock.monotonic(), state: read(rt, skip) }
      return choose(await known.state, address, addresses.current)
    },
    close: () => rt.close(),
  }
}

type State = { links: readonly Link[]; addresses: readonly InterfaceAddress[] }

const read = async (rt: Rtnetlink, skip: (link: string) => boolean): Promise<State> => ({
  links: (await rt.links()).filter(({ name }) => name !== 'lo' && !skip(name)),
  addresses: (await rt.addresses()).filter(({ scope }) => scope === 0),
})

/** The narrowest network counts, whether or not its link is up: on another one nobody looks for the address. */
const choose = ({ links, addresses }: State, address: string, nodeIPs: readonly string[]): LinkEnd | undefined => {
  const onLinks = addresses.filter(({ link }) => links.some(({ index }) => index === link))
  const near = onLinks.filter((own) => isIn(own, address))
  const narrowest = Math.max(...near.map(({ prefix }) => prefix))
  const there = near.length > 0 ? near.filter(({ prefix }) => prefix === narrowest) : onLinks.filter((own) => nodeIPs.includes(own.address))
  for (const { link } of there) {
    const found = links.find(({ index }) => index === link)
    if (found?.up && found.carrier && found.address !== undefined) return { index: found.index, mac: found.address }
  }
  return undefined
}

const isIn = ({ address: own, prefix }: InterfaceAddress, address: string): boolean => {
  const type = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (isIPv6(own) !== isIPv6(address)) return false
  const network = new BlockList()
  network.addSubnet(own, prefix, type)
  return network.check(address, type)
}
