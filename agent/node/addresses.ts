// The addresses that this node is known by, one of each family, followed as the host's change: DHCP, a
// moved cable, a router that announces another prefix. While a family has none, its last one stays.

import { AF_INET, AF_INET6, type InterfaceAddress, type Link, openRtnetlink, type Route, type Rtnetlink, watchNetwork } from 'nft-js'
import { type Family, familyOf } from '#api/cidr.ts'
import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { coalesce } from '../coalesce.ts'
import { bridgeName, isVethName, tunnelName } from '../network/names.ts'

export interface NodeAddresses {
  /** One of each family that the node has, the cluster's own first; at least one. */
  readonly current: readonly string[]
  /** Told of every change. Returns what ends that. */
  on(changed: (addresses: readonly string[]) => void): () => void
  close(): Promise<void>
}

export type Surroundings = { links: readonly Link[]; addresses: readonly InterfaceAddress[]; routes: readonly Route[] }

/** A link is worth more for being the way out, for its carrier, and for being no bridge of somebody's containers. */
const worth = (link: Link, out: Route | undefined): number =>
  (link.carrier ? 4 : 0) + (out?.link === link.index ? 2 : 0) + (link.kind === 'bridge' ? 0 : 1)

/** One address of each of the families, where there is any; `before` are those that were chosen last. */
export function chooseAddresses(
  { links, addresses, routes }: Surroundings,
  families: readonly Family[],
  before: readonly string[],
): string[] {
  const usable = new Map(links.filter(({ name, up }) => up && !isOwn(name)).map((link) => [link.index, link]))
  return families.flatMap((family) => {
    const last = before.find((address) => familyOf(address) === family)
    const [out] = routes
      .filter(({ to, via = '', link = 0 }) => to === 'default' && familyOf(via) === family && usable.get(link)?.carrier === true)
      .toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))
    const score = ({ link, address, passing }: InterfaceAddress): number =>
      (passing ? 0 : 100) + 10 * worth(usable.get(link) as Link, out) + (address === last ? 2 : 0) + (address === out?.source ? 1 : 0)
    const [best] = addresses
      .filter((one) => usable.has(one.link) && familyOf(one.address) === family && one.scope === 0 && !isLoopback(one.address))
      .toSorted((a, b) => score(b) - score(a) || a.link - b.link)
    return best?.address ?? last ?? []
  })
}

const isOwn = (name: string): boolean => name === bridgeName || name === tunnelName || isVethName(name)
const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')

/** As somebody said that they are. */
export const fixedAddresses = (addresses: readonly string[]): NodeAddresses => ({
  current: addresses,
  on: () => () => {},
  close: async () => {},
})

export type FollowOptions = {
  /** Those of the cluster, its own first. */
  families: readonly Family[]
  /** Path of a network namespace; absent: the process's own. */
  netns?: string
  /** Those of an earlier agent. */
  before?: readonly string[]
  clock: Clock
  log: Log
  signal: AbortSignal
}

/** DHCP clients take the old address before they set the new one. */
const GATHER_MS = 20

/** Resolves once there is an address, or one from before; undefined if the signal aborts before. */
export async function followAddresses(options: FollowOptions): Promise<NodeAddresses | undefined> {
  const { families, netns, before = [], clock, log, signal } = options
  const told = new Set<(addresses: readonly string[]) => void>()
  const found = Promise.withResolvers<void>()
  let current: readonly string[] = before
  const rt = await openRtnetlink({ netns })
  const watch = await watchNetwork({ netns, kinds: ['link', 'address', 'route'] })
  const look = coalesce(
    async () => {
      const next = chooseAddresses(await survey(rt), families, current)
      if (next.join() === current.join()) return
      if (current.length > 0) log.info({ addresses: next, before: current }, 'the node has other addresses')
      current = next
      found.resolve()
      for (const tell of told) tell(next)
    },
    { name: 'addresses of the node', clock, log, gather: GATHER_MS },
  )
  look.poke()
  const watching = (async () => {
    for await (const change of watch.changes()) if (change.kind !== 'link' || !isOwn(change.link.name)) look.poke()
  })().catch((error: unknown) => log.error({ error }, 'the addresses of the node are no longer watched'))
  const close = async () => {
    watch.close()
    await watching
    await look.close()
    rt.close()
  }
  await look.first
  if (current.length > 0) found.resolve()
  else log.warn({ families }, 'this host has no address yet')
  const aborted = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => aborted.resolve(), { once: true })
  if (signal.aborted) aborted.resolve()
  await Promise.race([found.promise, aborted.promise])
  if (current.length === 0) {
    await close()
    return undefined
  }
  return {
    get current() {
      return current
    },
    on(changed) {
      told.add(changed)
      return () => void told.delete(changed)
    },
    close,
  }
}

const survey = async (rt: Rtnetlink): Promise<Surroundings> => ({
  links: await rt.links(),
  addresses: await rt.addresses(),
  routes: [...(await rt.routes({ family: AF_INET })), ...(await rt.routes({ family: AF_INET6 }))],
})
