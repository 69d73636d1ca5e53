// The node's own links: the bridge that pods are ports of, and the tunnel to nodes that share no
// link with this one. Found again after a restart; changed only where they differ.

import {
  AF_INET,
  AF_INET6,
  addAddress,
  addBridge,
  addVxlan,
  type Command,
  deleteAddress,
  deleteLink,
  type Link,
  type Rtnetlink,
  SysError,
  setLink,
  writeSysctl,
} from 'nft-js'
import { type Cidr, familyOf } from '#api/cidr.ts'
import { bridgeName, gatewayOf, macOf, tunnelName } from './names.ts'
import { hasIPv6 } from './sysctls.ts'

const vxlanId = 1
const vxlanPort = 8472
/** Outer Ethernet, IP, UDP and VXLAN headers (RFC 7348, section 5). */
const vxlanOverhead = { IPv4: 50, IPv6: 70 }
/** The gateway of every pod's link, for the kernel's own questions about neighbours (RFC 4861, section 7.2.2). */
const linkLocal = 'fe80::1'

/** MTU in bytes of the link that holds an address of the node, or of the one that the default route leaves by; undefined while there is neither. */
export const underlayMtu = async (rt: Rtnetlink, address: string): Promise<number | undefined> => {
  const family = familyOf(address) === 'IPv6' ? AF_INET6 : AF_INET
  const holder = (await rt.addresses()).find((each) => each.address === address)?.link
  const index = holder ?? (await rt.routes({ family })).find((route) => route.to === 'default')?.link
  return index === undefined ? undefined : (await rt.link(index))?.mtu
}

/** The links between which pods' packets are forwarded: to pods, to nodes by the tunnel, and those that hold the node's addresses. */
export const forwardingLinks = async (rt: Rtnetlink, nodeIPs: readonly string[]): Promise<string[]> => {
  const holders = new Set((await rt.addresses()).filter(({ address }) => nodeIPs.includes(address)).map(({ link }) => link))
  const links = await rt.links()
  return links.filter(({ name, index }) => name === bridgeName || name === tunnelName || holders.has(index)).map(({ name }) => name)
}

/** What fits through the tunnel in one packet. */
export const tunnelMtu = (underlay: number, local: string): number => underlay - vxlanOverhead[familyOf(local)]

type Addressed = { address: string; prefix: number }

/** Changes a link's addresses to these; what the kernel gave by itself (link scope) is left alone. */
const applyAddresses = async (rt: Rtnetlink, link: number, wanted: readonly Addressed[]): Promise<void> => {
  const current = (await rt.addresses(link)).filter((address) => address.scope === 0)
  const same = (a: Addressed, b: Addressed) => a.address === b.address && a.prefix === b.prefix
  const commands: Command[] = [
    ...current.filter((has) => !wanted.some((want) => same(has, want))).map((address) => deleteAddress(address)),
    ...wanted.filter((want) => !current.some((has) => same(has, want))).map((address) => addAddress({ link, ...address })),
  ]
  await rt.run(commands)
}

/** Returns the bridge's index. It holds the gateways' addresses and the cluster's DNS addresses. */
export const ensureBridge = async (options: {
  rt: Rtnetlink
  netns?: string
  cidrs: readonly Cidr[]
  mtu: number
  dnsAddresses?: readonly string[]
  /** Whose it is (owner.ts). */
  alias?: string
}): Promise<number> => {
  const { rt, netns, cidrs, mtu, dnsAddresses = [], alias } = options
  const [gateway = ''] = cidrs.map(gatewayOf)
  // With an address of its own, the bridge does not change its MAC as ports come and go.
  const settings = { address: macOf(gateway), mtu }
  let link = await rt.link(bridgeName)
  if (link && link.kind !== 'bridge') throw new SysError('EEXIST', 'bridge', `${bridgeName} is a ${link.kind ?? 'device'}`)
  if (!link) {
    // Set after, not while it is made: only then does the MTU not follow the ports'.
    await rt.run([addBridge({ name: bridgeName, address: settings.address }), ...(alias ? [setLink(bridgeName, { alias })] : [])])
    await ownSysctls(bridgeName, cidrs, netns)
    await rt.run([setLink(bridgeName, { mtu, ipv6LinkLocal: false, up: true })])
    link = (await rt.link(bridgeName)) as Link
  } else if (!link.up || link.mtu !== mtu || link.address !== settings.address || (alias && link.alias !== alias)) {
    await rt.run([setLink(link.index, { ...settings, ...(alias && { alias }), up: true })])
  }
  const addresses = cidrs.map((cidr) => ({ address: gatewayOf(cidr), prefix: cidr.prefix }))
  for (const address of dnsAddresses) addresses.push({ address, prefix: wholePrefix(address) })
  await ownSysctls(bridgeName, cidrs, netns)
  await applyAddresses(rt, link.index, addresses)
  if (cidrs.some(isIPv6) && !(await rt.addresses(link.index)).some(({ address }) => address === linkLocal))
    await rt.run([addAddress({ link: link.index, address: linkLocal, prefix: 64 })])
  return link.index
}

/** Returns the tunnel's index. Its peers are entries that applyNodes makes; it learns nothing by itself. */
export const ensureTunnel = async (options: {
  rt: Rtnetlink
  netns?: string
  cidrs: readonly Cidr[]
  mtu: number
  /** The node's address at which the others' packets arrive. */
  local: string
}): Promise<number> => {
  const { rt, netns, cidrs, mtu, local } = options
  const address = macOf(local)
  const vxlan = { id: vxlanId, port: vxlanPort, local, learning: false }
  let link = await rt.link(tunnelName)
  const fits = link?.address === address && (Object.keys(vxlan) as (keyof typeof vxlan)[]).every((key) => link?.vxlan?.[key] === vxlan[key])
  if (link && !fits) {
    await rt.run([deleteLink(link.index)])
    link = undefined
  }
  if (!link) {
    try {
      await rt.run([addVxlan({ name: tunnelName, address, mtu, vxlan })])
      await ownSysctls(tunnelName, cidrs, netns)
      await rt.run([setLink(tunnelName, { ipv6LinkLocal: false, up: true })])
    } catch (error) {
      // A tunnel that could be made but not opened (its port is taken) would look finished next time.
      await removeTunnel(rt)
      throw error
    }
    link = (await rt.link(tunnelName)) as Link
  } else if (!link.up || link.mtu !== mtu) {
    await rt.run([setLink(link.index, { mtu, up: true })])
  }
  // What is masqueraded on its way out takes the link's own address, which the other node routes back.
  await ownSysctls(tunnelName, cidrs, netns)
  await applyAddresses(
    rt,
    link.index,
    cidrs.map(gatewayOf).map((gateway) => ({ address: gateway, prefix: wholePrefix(gateway) })),
  )
  return link.index
}

export const removeTunnel = (rt: Rtnetlink): Promise<void> => rt.run([deleteLink(tunnelName)], { tolerate: ['ENODEV'] })

/** The length of a prefix that is one address. */
export const wholePrefix = (address: string): number => (familyOf(address) === 'IPv4' ? 32 : 128)

const isIPv6 = ({ family }: Cidr): boolean => family === 'IPv6'

/**
 * Loose reverse path filtering (the larger of this and `all` counts), and no advice to take a shorter way:
 * there is none past the host. A pod is no router that this host would listen to.
 */
const ownSysctls = async (link: string, cidrs: readonly Cidr[], netns: string | undefined): Promise<void> => {
  await writeSysctl(`net/ipv4/conf/${link}/rp_filter`, '2', netns)
  await writeSysctl(`net/ipv4/conf/${link}/send_redirects`, '0', netns)
  await writeSysctl(`net/ipv4/conf/${link}/accept_redirects`, '0', netns)
  const six = cidrs.some(isIPv6)
  // A kernel without IPv6 hears no router.
  if (!six && !hasIPv6()) return
  // Hosts that want no IPv6 elsewhere say so by `default`, which new links take over.
  if (six) await writeSysctl(`net/ipv6/conf/${link}/disable_ipv6`, '0', netns)
  // Where pods have no IPv6 as well: a host that does not forward it believes every router (CVE-2020-10749).
  await writeSysctl(`net/ipv6/conf/${link}/accept_ra`, '0', netns)
  await writeSysctl(`net/ipv6/conf/${link}/accept_redirects`, '0', netns)
}
