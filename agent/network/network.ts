// The pod network of one node. Links, addresses and routes are found in the kernel after a restart;
// the pool of addresses is rebuilt from the pinned namespaces, so a crash leaks none.

import { openRtnetlink, type Rtnetlink, SysError, watchNetwork } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { type Cidr, gatewayOf, parseCidr } from './cidr.ts'
import { places } from './cleanup.ts'
import { Departures } from './departures.ts'
import { ensureBridge, ensureTunnel, removeTunnel, tunnelMtu, underlayMtu } from './links.ts'
import type { Backend } from './nodes.ts'
import { AddressPool } from './pool.ts'
import { Routing } from './routing.ts'
import { Sandboxes } from './sandboxes.ts'
import { applySysctls } from './sysctls.ts'

export type PodSandbox = {
  /** Pinned namespace files for containers to join. */
  namespaces: { net: string; ipc: string; uts: string }
  /** The pod's addresses, IPv4 first. */
  ips: string[]
}

export interface PodNetwork {
  /** Makes (or finds again) the pod's namespaces, its veth pair and addresses. Idempotent; throws with nothing left behind. */
  setup(pod: { uid: string; namespace: string; name: string; hostname: string }): Promise<PodSandbox>
  /** Idempotent; works for a pod that was never set up. */
  teardown(uid: string): Promise<void>
  /** Uids of the pods that have a sandbox on this node. */
  list(): Promise<string[]>
  /** Routes and tunnel entries towards the other nodes: whole and idempotent. */
  applyNodes(nodes: readonly Node[]): Promise<void>
  /** The address through which pods reach this node (their gateway). */
  readonly gateway: string
  /** Lets go of sockets; what was made stays, for the next agent to find. */
  close(): Promise<void>
}

export type PodNetworkOptions = {
  /** The agent's data folder. */
  dataDir: string
  nodeName: string
  nodeIP: string
  /** This node's part of the cluster's pod range, e.g. `10.42.1.0/24`. */
  podCIDR: string
  /** Where the cluster's DNS listens on every node. */
  dnsAddress?: string
  /** `auto`: a route where a node shares a link with this one, the tunnel where it does not. */
  backend?: Backend
  /** Path of the network namespace to work in; absent, the process's own. */
  netns?: string
  log: Log
}

/**
 * Forwarding on; no redirects to pods, whose neighbours are behind the host although on the same
 * link (the kernel sends them if either `all` or the link says so).
 */
const sysctls = { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.send_redirects': '0' }

/** Settles the node's own links, finds the pods that have a sandbox, and is ready for more. */
export const openPodNetwork = async (options: PodNetworkOptions): Promise<PodNetwork> => {
  const { dataDir, netns, log, nodeName, podCIDR, backend = 'auto' } = options
  const cidr = parseCidr(podCIDR)
  if (!cidr || cidr.prefix > 30) throw new SysError('EINVAL', 'pod network', `pod range ${podCIDR}`)
  const { sandboxes: folder, sysctls: file } = places(dataDir)
  const rt = await openRtnetlink({ netns })
  try {
    const underlay = await underlayMtu(rt, options.nodeIP)
    const tunnel = await settleTunnel(rt, cidr, underlay, options)
    const mtu = tunnel === undefined ? underlay : tunnelMtu(underlay, options.nodeIP)
    const bridge = await ensureBridge({ rt, netns, cidr, mtu, dnsAddress: options.dnsAddress })
    await applySysctls({ file, netns }, sysctls)

    const departures = new Departures(rt)
    const routing = new Routing({ rt, log, nodeName, cidr, backend, bridge, tunnel })
    const wiring = { rt, bridge, mtu, gateway: gatewayOf(cidr) }
    const sandboxes = new Sandboxes({ folder, wiring, pool: new AddressPool(cidr), departures, log })
    await sandboxes.adopt()
    const watch = await watchNetwork({ netns, kinds: ['link', 'address', 'route'] })
    const watching = (async () => {
      for await (const change of watch.changes()) {
        if (change.kind === 'link' && change.gone) departures.gone(change.link.name)
        if (change.kind === 'missed') departures.missed()
        routing.changed(change)
      }
    })().catch((error: unknown) => log.error({ error }, 'the pod network is no longer watched'))

    return {
      gateway: wiring.gateway,
      setup: (pod) => sandboxes.setup(pod),
      teardown: (uid) => sandboxes.teardown(uid),
      list: async () => sandboxes.list(),
      applyNodes: (nodes) => routing.apply(nodes),
      async close() {
        await sandboxes.settled()
        watch.close()
        await watching
        await routing.settled()
        rt.close()
      },
    }
  } catch (error) {
    rt.close()
    throw error
  }
}

/** The tunnel's index; undefined where none is wanted, or where the kernel has none and nodes may do without. */
const settleTunnel = async (rt: Rtnetlink, cidr: Cidr, underlay: number, options: PodNetworkOptions): Promise<number | undefined> => {
  const { netns, nodeIP, backend = 'auto', log } = options
  if (backend === 'host-gw') {
    await removeTunnel(rt)
    return undefined
  }
  try {
    return await ensureTunnel({ rt, netns, cidr, nodeIP, mtu: tunnelMtu(underlay, nodeIP) })
  } catch (error) {
    if (backend === 'vxlan') throw error
    log.warn({ error }, 'there is no tunnel: only nodes on a shared link can be reached')
    return undefined
  }
}
