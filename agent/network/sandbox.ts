// One pod's sandbox in the kernel: pinned namespaces and a veth pair. The pod has its address alone
// (/32) and a route to the gateway, so that everything it sends passes the host's IP layer, even to
// a neighbour on the same bridge: translation and policy see all of it.

import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  addAddress,
  addRoute,
  addVeth,
  deleteLink,
  type Link,
  namespaces,
  openRtnetlink,
  type Rtnetlink,
  SysError,
  setBridgePort,
  setLink,
} from 'nft-js'
import { macOf, vethName } from './names.ts'
import type { PodSandbox } from './network.ts'

/** The pod's end of the pair. */
const podLink = 'eth0'

/** As containerd gives them: ping and low ports need no privilege inside a namespace of one's own. */
const podSysctls = { 'net.ipv4.ping_group_range': '0 2147483647', 'net.ipv4.ip_unprivileged_port_start': '0' }

export type Wiring = {
  /** Of the node's own namespace. */
  rt: Rtnetlink
  bridge: number
  mtu: number
  gateway: string
}

export const sandboxPaths = (folder: string, uid: string): PodSandbox['namespaces'] => {
  // It becomes a folder's name.
  if (!/^[\w-][\w.-]*$/.test(uid)) throw new SysError('EINVAL', 'sandbox', `pod uid ${uid}`)
  const own = join(folder, uid)
  return { net: join(own, 'net'), ipc: join(own, 'ipc'), uts: join(own, 'uts') }
}

/** Uids that have a folder, whole or half-made. */
export const listSandboxes = async (folder: string): Promise<string[]> => {
  await mkdir(folder, { recursive: true })
  return readdir(folder)
}

export const createNamespaces = (paths: PodSandbox['namespaces'], hostname: string): Promise<void> =>
  namespaces.create({ ...paths, hostname, sysctls: podSysctls })

/** Makes the veth pair and gives the pod its address. What it finds of an earlier pair is replaced. */
export const connect = async (wiring: Wiring, pod: { uid: string; net: string; address: string }): Promise<void> => {
  const { rt, bridge, mtu, gateway } = wiring
  const name = vethName(pod.uid)
  const netns = await open(pod.net)
  try {
    const make = [
      addVeth({ name, mtu, master: bridge, peer: { name: podLink, netnsFd: netns.fd, mtu, address: macOf(pod.address) } }),
      // Where br_netfilter is on, a pod's packet to itself through a Service is translated before it is
      // routed, and goes back out of the port it came from.
      setBridgePort(name, { hairpin: true }),
      setLink(name, { alias: `pod ${pod.uid}`, ipv6LinkLocal: false, up: true }),
    ]
    if (await rt.link(name)) await rt.run([deleteLink(name)], { tolerate: ['ENODEV'] })
    await rt.run(make)
  } finally {
    await netns.close()
  }
  await using inside = await openRtnetlink({ netns: pod.net })
  const link = (await inside.link(podLink))?.index
  if (link === undefined) throw new SysError('ENODEV', 'sandbox', `${podLink} of pod ${pod.uid}`)
  await inside.run([
    setLink(link, { up: true }),
    addAddress({ link, address: pod.address, prefix: 32 }),
    addRoute({ to: `${gateway}/32`, link }),
    addRoute({ to: 'default', via: gateway, link }),
  ])
}

/** What the kernel has of a sandbox: its address, and whether nothing is missing. */
export const inspect = async (
  { bridge, gateway }: Omit<Wiring, 'rt'>,
  pod: { uid: string; paths: PodSandbox['namespaces']; links: readonly Link[] },
): Promise<{ address?: string; whole: boolean }> => {
  const { paths } = pod
  if (!namespaces.isPinned(paths.net)) return { whole: false }
  await using inside = await openRtnetlink({ netns: paths.net })
  const link = await inside.link(podLink)
  if (!link) return { whole: false }
  const address = (await inside.addresses(link.index)).find(({ scope, prefix }) => scope === 0 && prefix === 32)?.address
  const routed = (await inside.routes()).some(({ to, via }) => to === 'default' && via === gateway)
  const port = pod.links.find(({ name }) => name === vethName(pod.uid))
  const wired = link.up && port !== undefined && port.up && port.master === bridge
  const pinned = namespaces.isPinned(paths.ipc) && namespaces.isPinned(paths.uts)
  return { address, whole: address !== undefined && routed && wired && pinned }
}

/** Lets go of the namespaces: the kernel takes the links in them down on its own, soon after. */
export const release = async (folder: string, uid: string): Promise<void> => {
  for (const path of Object.values(sandboxPaths(folder, uid))) await namespaces.unpin(path)
  await rm(join(folder, uid), { recursive: true, force: true })
}
