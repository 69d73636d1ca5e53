// The pod network of one node. Links, addresses and routes are found in the kernel after a restart;
// the pool of addresses is rebuilt from the pinned namespaces, so a crash leaks none.

import { openRtnetlink, SysError, watchNetwork } from 'nft-js'
import { type Cidr, parseCidr } from '#api/cidr.ts'
import type { Log } from '#api/log.ts'
import { places } from './cleanup.ts'
import { Departures } from './departures.ts'
import { forwardingSysctls } from './forwarding.ts'
import { gatewayOf } from './names.ts'
import type { Backend } from './nodes.ts'
import { aliasOf, refuseOther } from './owner.ts'
import type { PodNetwork } from './pod-network.ts'
import { AddressPools } from './pool.ts'
import { Routing } from './routing.ts'
import { sandboxKernel, sandboxPaths } from './sandbox.ts'
import { Sandboxes } from './sandboxes.ts'
import { applySysctls } from './sysctls.ts'
import { Underlay } from './underlay.ts'

export type PodNetworkOptions = {
  /** The agent's data folder. */
  dataDir: string
  nodeName: string
  /** One of each family that the node has. */
  nodeIPs: readonly string[]
  /** This node's part of the cluster's pod ranges, e.g. `10.42.1.0/24`, one of each family. */
  podCIDRs: readonly string[]
  /** Where the cluster's DNS listens on every node. */
  dnsAddresses?: readonly string[]
  /** `auto`: a route where a node shares a link with this one, the tunnel where it does not. */
  backend?: Backend
  /** Path of the network namespace to work in; absent, the process's own. */
  netns?: string
  log: Log
}

/** Settles the node's own links, finds the pods that have a sandbox, and is ready for more. */
export const openPodNetwork = async (options: PodNetworkOptions): Promise<PodNetwork> => {
  const { dataDir, netns, log, nodeName, dnsAddresses, backend = 'auto' } = options
  const cidrs = options.podCIDRs.map(rangeOfPods)
  const gateways = cidrs.map(gatewayOf)
  const { sandboxes: folder, sysctls: file } = places(dataDir)
  const rt = await openRtnetlink({ netns })
  try {
    await refuseOther(rt, dataDir)
    const underlay = new Underlay(options.nodeIPs, { rt, netns, log, cidrs, backend, dnsAddresses, alias: await aliasOf(dataDir) })
    const state = await underlay.apply()
    await applySysctls({ file, netns }, await forwardingSysctls({ rt, netns, cidrs }))

    const departures = new Departures(rt)
    const wiring = { rt, netns, bridge: state.bridge, mtu: state.mtu, gateways }
    const sandboxes = new Sandboxes({ kernel: sandboxKernel({ folder, wiring, departures, log }), pools: new AddressPools(cidrs) })
    await sandboxes.adopt()
    await sandboxes.resize()
    const applyUnderlay = async () => {
      const { bridge, tunnel, mtu } = await underlay.apply()
      const resized = mtu !== wiring.mtu
      Object.assign(wiring, { bridge, mtu })
      if (resized) await sandboxes.resize()
      return { bridge, tunnel, mtu }
    }
    const routing = new Routing({ rt, log, nodeName, cidrs, backend, state, applyUnderlay })
    const watch = await watchNetwork({ netns, kinds: ['link', 'address', 'route'] })
    const watching = (async () => {
      for await (const change of watch.changes()) {
        if (change.kind === 'link' && change.gone) departures.gone(change.link.name)
        if (change.kind === 'missed') departures.missed()
        routing.changed(change)
      }
    })().catch((error: unknown) => log.error({ error }, 'the pod network is no longer watched'))

    return {
      gateways,
      async setup(pod) {
        const namespaces = sandboxPaths(folder, pod.uid)
        return { namespaces, ips: [...(await sandboxes.setup(pod))] }
      },
      expect: (uid, ips) => sandboxes.expect(uid, ips),
      teardown: (uid) => sandboxes.teardown(uid),
      list: async () => sandboxes.list(),
      applyNodes: (nodes) => routing.apply(nodes),
      moved(nodeIPs) {
        underlay.nodeIPs = nodeIPs
        routing.repair()
      },
      async close() {
        await sandboxes.settled()
        watch.close()
        await watching
        await routing.applied()
        rt.close()
      },
    }
  } catch (error) {
    rt.close()
    throw error
  }
}

/** Each must have room for a gateway and a pod. */
const rangeOfPods = (text: string): Cidr => {
  const cidr = parseCidr(text)
  if (!cidr || cidr.prefix > (cidr.family === 'IPv4' ? 30 : 126)) throw new SysError('EINVAL', 'pod network', `pod range ${text}`)
  return cidr
}
