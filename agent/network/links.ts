// The node's own links: the bridge that pods are ports of, and the tunnel to nodes that share no
// link with this one. Found again after a restart; changed only where they differ.

import {
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
import { type Cidr, gatewayOf } from './cidr.ts'
import { bridgeName, macOf, tunnelName } from './names.ts'

const vxlanId = 1
const vxlanPort = 8472
/** Outer Ethernet, IP, UDP and VXLAN headers (RFC 7348, section 5). */
const vxlanOverhead = { 4: 50, 6: 70 }

/** MTU in bytes of the link that holds the node's address, or of the one its default route leaves by. */
export const underlayMtu = async (rt: Rtnetlink, nodeIP: string): Promise<number> => {
  const holder = (await rt.addresses()).find((address) => address.address === nodeIP)?.link
  const index = holder ?? (await rt.routes()).find((route) => route.to === 'default')?.link
  return (index === undefined ? undefined : await rt.link(index))?.mtu ?? 1500
}

/** What fits through the tunnel in one packet. */
export const tunnelMtu = (underlay: number, nodeIP: string): number => underlay - vxlanOverhead[nodeIP.includes(':') ? 6 : 4]

type Addressed = { address: string; prefix: number }

/** Changes a link's addresses to these; what the kernel gave by itself (link scope) is left alone. */
const settleAddresses = async (rt: Rtnetlink, link: number, wanted: readonly Addressed[]): Promise<void> => {
  const current = (await rt.addresses(link)).filter((address) => address.scope === 0)
  const same = (a: Addressed, b: Addressed) => a.address === b.address && a.prefix === b.prefix
  const commands: Command[] = [
    ...current.filter((has) => !wanted.some((want) => same(has, want))).map((address) => deleteAddress(address)),
    ...wanted.filter((want) => !current.some((has) => same(has, want))).map((address) => addAddress({ link, ...address })),
  ]
  await rt.run(commands)
}

/** Returns the bridge's index. It holds the gateway's address and the cluster's DNS address. */
export const ensureBridge = async (options: {
  rt: Rtnetlink
  netns?: string
  cidr: Cidr
  mtu: number
  dnsAddress?: string
}): Promise<number> => {
  const { rt, netns, cidr, mtu, dnsAddress } = options
  const gateway = gatewayOf(cidr)
  // With an address of its own, the bridge does not change its MAC as ports come and go.
  const settings = { address: macOf(gateway), mtu }
  let link = await rt.link(bridgeName)
  if (link && link.kind !== 'bridge') throw new SysError('EEXIST', 'bridge', `${bridgeName} is a ${link.kind ?? 'device'}`)
  if (!link) {
    // Set after, not while it is made: only then does the MTU not follow the ports'.
    await rt.run([addBridge({ name: bridgeName, address: settings.address }), setLink(bridgeName, { mtu, ipv6LinkLocal: false, up: true })])
    link = (await rt.link(bridgeName)) as Link
  } else if (!link.up || link.mtu !== mtu || link.address !== settings.address) {
    await rt.run([setLink(link.index, { ...settings, up: true })])
  }
  const addresses = [{ address: gateway, prefix: cidr.prefix }]
  if (dnsAddress !== undefined) addresses.push({ address: dnsAddress, prefix: 32 })
  await settleAddresses(rt, link.index, addresses)
  await ownSysctls(bridgeName, netns)
  return link.index
}

/** Returns the tunnel's index. Its peers are entries that applyNodes makes; it learns nothing by itself. */
export const ensureTunnel = async (options: {
  rt: Rtnetlink
  netns?: string
  cidr: Cidr
  mtu: number
  nodeIP: string
}): Promise<number> => {
  const { rt, netns, cidr, mtu, nodeIP } = options
  const address = macOf(nodeIP)
  const vxlan = { id: vxlanId, port: vxlanPort, local: nodeIP, learning: false }
  let link = await rt.link(tunnelName)
  const fits = link?.address === address && (Object.keys(vxlan) as (keyof typeof vxlan)[]).every((key) => link?.vxlan?.[key] === vxlan[key])
  if (link && !fits) {
    await rt.run([deleteLink(link.index)])
    link = undefined
  }
  if (!link) {
    try {
      await rt.run([addVxlan({ name: tunnelName, address, mtu, vxlan }), setLink(tunnelName, { ipv6LinkLocal: false, up: true })])
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
  await settleAddresses(rt, link.index, [{ address: gatewayOf(cidr), prefix: 32 }])
  await ownSysctls(tunnelName, netns)
  return link.index
}

export const removeTunnel = (rt: Rtnetlink): Promise<void> => rt.run([deleteLink(tunnelName)], { tolerate: ['ENODEV'] })

/** Loose reverse path filtering (the larger of this and `all` counts), and no advice to take a shorter way: there is none past the host. */
const ownSysctls = async (link: string, netns: string | undefined): Promise<void> => {
  await writeSysctl(`net/ipv4/conf/${link}/rp_filter`, '2', netns)
  await writeSysctl(`net/ipv4/conf/${link}/send_redirects`, '0', netns)
}
