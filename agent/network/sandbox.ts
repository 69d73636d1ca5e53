// One pod's sandbox in the kernel: pinned namespaces and a veth pair. The pod has its addresses alone
// (/32, /128) and routes to its gateways, so that everything it sends passes the host's IP layer, even to
// a neighbour on the same bridge: translation and policy see all of it.

import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AF_INET,
  AF_INET6,
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
import { familyOf } from '#api/cidr.ts'
import type { Log } from '#api/log.ts'
import type { Departures } from './departures.ts'
import { wholePrefix } from './links.ts'
import { isVethName, macOf, vethName } from './names.ts'
import type { PodSandbox } from './pod-network.ts'
import { portSettings, portsApart } from './ports.ts'
import { hasIPv6 } from './sysctls.ts'

/** What the kernel has of a sandbox: its addresses, and whether nothing is missing. */
export type Found = { addresses: readonly string[]; whole: boolean }

/** Sandboxes as the kernel keeps them. Any call may end half-way, by an error or with the process: `survey` tells what is there then. */
export interface SandboxKernel {
  /** By uid all that there is, whole or half-made. What belongs to none goes. */
  survey(): Promise<Map<string, Found>>
  /** The pod's namespaces. Idempotent. */
  create(uid: string, hostname: string): Promise<void>
  /** Its veth pair with its addresses, in the place of an earlier one. */
  connect(uid: string, addresses: readonly string[]): Promise<void>
  /** MTU of every pod's link, to what it is now. */
  resize(uids: readonly string[]): Promise<void>
  /** Lets go of everything. Idempotent; nobody else may have its addresses before this resolves. */
  release(uid: string): Promise<void>
}

/** The pod's end of the pair. */
const podLink = 'eth0'

/** As containerd gives them: ping and low ports need no privilege inside a namespace of one's own. */
const podSysctls = { 'net.ipv4.ping_group_range': '0 2147483647', 'net.ipv4.ip_unprivileged_port_start': '0' }

const forAllLinks = (family: 'ipv4' | 'ipv6', settings: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    ['all', 'default'].flatMap((links) => Object.entries(settings).map(([name, value]) => [`net.${family}.conf.${links}.${name}`, value])),
  )

/** A pod hears of no router and no shorter way than its gateway, past which there is none; also not in a family that it has no address of. */
const deaf = {
  ...forAllLinks('ipv4', { accept_redirects: '0' }),
  ...(hasIPv6() && forAllLinks('ipv6', { accept_ra: '0', accept_redirects: '0' })),
}
/** Nobody else can have a pod's addresses: it need not wait a second to find out. */
const podSysctls6 = forAllLinks('ipv6', { disable_ipv6: '0', accept_dad: '0' })

export type Wiring = {
  /** Of the node's own namespace. */
  rt: Rtnetlink
  netns: string | undefined
  bridge: number
  /** Of the pod network, bytes; it follows what is under it. */
  mtu: number
  /** One of each family that pods have. */
  gateways: readonly string[]
}

export const sandboxPaths = (folder: string, uid: string): PodSandbox['namespaces'] => {
  // It becomes a folder's name.
  if (!/^[\w-][\w.-]*$/.test(uid)) throw new SysError('EINVAL', 'sandbox', `pod uid ${uid}`)
  const own = join(folder, uid)
  return { net: join(own, 'net'), ipc: join(own, 'ipc'), uts: join(own, 'uts') }
}

/** Uids that have a folder. */
export const listSandboxes = async (folder: string): Promise<string[]> => {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return readdir(folder)
}

/** Lets go of the namespaces: the kernel takes the links in them down on its own, soon after. */
export const unpinSandbox = async (folder: string, uid: string): Promise<void> => {
  for (const path of Object.values(sandboxPaths(folder, uid))) await namespaces.unpin(path)
  await rm(join(folder, uid), { recursive: true, force: true })
}

type Place = { folder: string; wiring: Wiring; departures: Departures; log: Log }

export const sandboxKernel = ({ folder, wiring, departures, log }: Place): SandboxKernel => ({
  async survey() {
    const links = await wiring.rt.links()
    const all = new Map<string, Found>()
    for (const uid of await listSandboxes(folder)) {
      try {
        all.set(uid, await inspect(wiring, { uid, paths: sandboxPaths(folder, uid), links }))
      } catch (error) {
        log.warn({ uid, error }, 'a pod sandbox cannot be read; it is made anew when its pod is')
        all.set(uid, { addresses: [], whole: false })
      }
    }
    const owned = new Set([...all.keys()].map(vethName))
    for (const { name } of links)
      if (isVethName(name) && !owned.has(name)) await wiring.rt.run([deleteLink(name)], { tolerate: ['ENODEV'] })
    return all
  },
  create(uid, hostname) {
    const six = wiring.gateways.some((gateway) => familyOf(gateway) === 'IPv6')
    return namespaces.create({ ...sandboxPaths(folder, uid), hostname, sysctls: { ...podSysctls, ...deaf, ...(six && podSysctls6) } })
  },
  connect: (uid, addresses) => connect(wiring, { uid, net: sandboxPaths(folder, uid).net, addresses }),
  async resize(uids) {
    const { rt, mtu } = wiring
    const wrong = new Set((await rt.links()).filter(({ name, mtu: has }) => isVethName(name) && has !== mtu).map(({ name }) => name))
    for (const uid of uids) {
      if (!wrong.has(vethName(uid))) continue
      try {
        await using inside = await openRtnetlink({ netns: sandboxPaths(folder, uid).net })
        await inside.run([setLink(podLink, { mtu })])
        await rt.run([setLink(vethName(uid), { mtu })])
      } catch (error) {
        log.warn({ uid, mtu, error }, 'the MTU of a pod cannot be changed')
      }
    }
  },
  async release(uid) {
    await unpinSandbox(folder, uid)
    await departures.wait(vethName(uid))
  },
})

const connect = async (wiring: Wiring, pod: { uid: string; net: string; addresses: readonly string[] }): Promise<void> => {
  const { rt, bridge, mtu, gateways } = wiring
  const { uid, addresses } = pod
  const name = vethName(uid)
  const isolated = await portsApart(wiring.netns)
  const netns = await open(pod.net)
  try {
    const make = [
      addVeth({ name, mtu, master: bridge, peer: { name: podLink, netnsFd: netns.fd, mtu, address: macOf(addresses[0] ?? '') } }),
      setBridgePort(name, portSettings(isolated)),
      setLink(name, { alias: `pod ${uid}`, ipv6LinkLocal: false, up: true }),
    ]
    if (await rt.link(name)) await rt.run([deleteLink(name)], { tolerate: ['ENODEV'] })
    await rt.run(make)
  } finally {
    await netns.close()
  }
  await using inside = await openRtnetlink({ netns: pod.net })
  const link = (await inside.link(podLink))?.index
  if (link === undefined) throw new SysError('ENODEV', 'sandbox', `${podLink} of pod ${uid}`)
  await inside.run([
    setLink(link, { up: true }),
    ...addresses.map((address) => addAddress({ link, address, prefix: wholePrefix(address) })),
    ...gateways.flatMap((gateway) => [
      addRoute({ to: `${gateway}/${wholePrefix(gateway)}`, link }),
      addRoute({ to: 'default', via: gateway, link }),
    ]),
  ])
}

const inspect = async (
  { bridge, gateways }: Wiring,
  pod: { uid: string; paths: PodSandbox['namespaces']; links: readonly Link[] },
): Promise<Found> => {
  const { paths } = pod
  if (!namespaces.isPinned(paths.net)) return { addresses: [], whole: false }
  await using inside = await openRtnetlink({ netns: paths.net })
  const link = await inside.link(podLink)
  if (!link) return { addresses: [], whole: false }
  const own = (await inside.addresses(link.index)).filter(({ scope, prefix, address }) => scope === 0 && prefix === wholePrefix(address))
  const addresses = gateways.flatMap((gateway) => own.find(({ address }) => familyOf(address) === familyOf(gateway))?.address ?? [])
  const routes = [...(await inside.routes({ family: AF_INET })), ...(await inside.routes({ family: AF_INET6 }))]
  const routed = gateways.every((gateway) => routes.some(({ to, via }) => to === 'default' && via === gateway))
  const port = pod.links.find(({ name }) => name === vethName(pod.uid))
  const wired = link.up && port !== undefined && port.up && port.master === bridge
  const pinned = namespaces.isPinned(paths.ipc) && namespaces.isPinned(paths.uts)
  return { addresses, whole: addresses.length === gateways.length && routed && wired && pinned }
}
