// rtnetlink of one network namespace: commands in batches, and what is there. The commands are the
// exports of the files beside this one. A batch is not a transaction: see Exchange.

import { type Command, Exchange } from '../netlink/exchange.ts'
import { openNetlink } from '../netlink/socket.ts'
import { isSysError } from '../sys-error.ts'
import { getAddresses, type InterfaceAddress, parseAddress } from './address.ts'
import { getLinks, type Link, parseLink } from './link.ts'
import {
  type ForwardingEntry,
  getForwardingEntries,
  getNeighbours,
  type Neighbour,
  parseForwardingEntry,
  parseNeighbour,
} from './neighbour.ts'
import { getRoutes, parseRoute, type Route } from './route.ts'
import { getRules, parseRule, type Rule } from './rule.ts'

export interface Rtnetlink extends AsyncDisposable {
  /** Carries out commands in order. Throws the SysError of the first that failed, unless its code is tolerated; those after it were tried too. */
  run(commands: readonly Command[], options?: { tolerate?: readonly string[] }): Promise<void>
  links(): Promise<Link[]>
  /** Undefined if there is none of that name or index. */
  link(which: number | string): Promise<Link | undefined>
  addresses(link?: number): Promise<InterfaceAddress[]>
  routes(options?: Parameters<typeof getRoutes>[0]): Promise<Route[]>
  /** Of IPv4 unless `family` says otherwise. */
  rules(family?: Parameters<typeof getRules>[0]): Promise<Rule[]>
  neighbours(link: number, family?: Parameters<typeof getNeighbours>[1]): Promise<Neighbour[]>
  forwardingEntries(link: number): Promise<ForwardingEntry[]>
  close(): void
}

/** `netns` is the path of a network namespace; absent, the process's own. */
export const openRtnetlink = async (options: { netns?: string } = {}): Promise<Rtnetlink> => {
  const exchange = new Exchange(await openNetlink('route', options))
  const close = () => exchange.close()
  return {
    run: (commands, options) => exchange.run(commands, options),
    links: () => exchange.request(getLinks(), parseLink),
    async link(which) {
      try {
        return (await exchange.request(getLinks(which), parseLink))[0]
      } catch (error) {
        if (isSysError(error, 'ENODEV')) return undefined
        throw error
      }
    },
    async addresses(link) {
      const all = await exchange.request(getAddresses(link), parseAddress)
      return all.filter((address) => link === undefined || address.link === link)
    },
    async routes(options) {
      const all = await exchange.request(getRoutes(options), parseRoute)
      return all.filter((route) => options?.protocol === undefined || route.protocol === options.protocol)
    },
    rules: (family) => exchange.request(getRules(family), parseRule),
    async neighbours(link, family) {
      return (await exchange.request(getNeighbours(link, family), parseNeighbour)).filter((entry) => entry.link === link)
    },
    async forwardingEntries(link) {
      return (await exchange.request(getForwardingEntries(link), parseForwardingEntry)).filter((entry) => entry.link === link)
    },
    close,
    async [Symbol.asyncDispose]() {
      close()
    },
  }
}
