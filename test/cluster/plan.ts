// Where everything of one test cluster is: names, addresses, folders. Pure, so that `up` and `down`,
// which run in different processes, agree without asking each other.
//
// One node lives in the network namespace that `up` was called in. Several live in namespaces of their
// own, each with an address on a bridge; the server stays outside, at the bridge's first address. So
// the machine itself plays the host from which people reach the cluster.

import { createHash } from 'node:crypto'
import { join } from 'node:path'

export type NodePlan = {
  name: string
  /** One of each family that the cluster has. */
  addresses: string[]
  netns: string | undefined
  link: string
  dir: string
  cgroup: string
}

/** The families of pods, services and nodes, the cluster's own first. */
export type Stack = 'IPv4' | 'IPv6' | 'IPv4,IPv6' | 'IPv6,IPv4'

export type ClusterPlan = {
  /** Of this cluster alone among all of the machine: what is named after it is nobody else's. */
  name: string
  slot: number
  dir: string
  server: { address: string; port: number; url: string; dir: string }
  /** Absent where the single node shares the caller's namespace. */
  bridge: { link: string; addresses: string[] } | undefined
  nodes: NodePlan[]
  /** Each one of each family, with a comma between them, as the options want it. */
  clusterCIDR: string
  serviceCIDR: string
  clusterDNS: string
  kubeconfig: string
  /** The parent of every container's cgroup; removed by `down`. */
  cgroup: string
}

/** As short as a link's name needs it, which may have 15 bytes. */
export const nameOf = (dir: string): string => `cor-${createHash('sha256').update(dir).digest('hex').slice(0, 6)}`

/** `port`: of the server, where it is not the slot's. */
type Place = { slot?: number; port?: number; hostAddress: string; stack?: Stack }

/**
 * `slot` 0 is what `make up` uses where it is free; a cluster beside it takes another (1..9), which gives it
 * other addresses and ports. Names are by the folder. `hostAddress` is the machine's own, for a single node, which has IPv4 alone.
 */
export function planCluster(options: Place & { dir: string; nodes: number }): ClusterPlan {
  const { dir, nodes, slot = 0, port = 6443 + slot * 100, hostAddress, stack = 'IPv4' } = options
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 50) throw new RangeError(`NODES must be a whole number from 1 to 50, not ${nodes}`)
  const name = nameOf(dir)
  const several = nodes > 1
  if (!several && stack !== 'IPv4') throw new RangeError('a cluster with IPv6 has several nodes')
  const of = (four: string, six: string): string[] => stack.split(',').map((family) => (family === 'IPv4' ? four : six))
  const [subnet, subnet6] = [`10.99.${slot}`, `fd99:0:0:${slot}`]
  // 42 and 43 as k3s has them; 44 and 45, 46 and 47, ... for the others.
  const [pods, services] = [42 + slot * 2, 43 + slot * 2]
  const hosts = (at: number): string[] => (several ? of(`${subnet}.${at}`, `${subnet6}::${at}`) : [hostAddress])
  const [address = ''] = hosts(1)
  return {
    name,
    slot,
    dir,
    server: { address, port, url: `https://${address.includes(':') ? `[${address}]` : address}:${port}`, dir: join(dir, 'server') },
    bridge: several ? { link: `${name}-up`, addresses: hosts(1) } : undefined,
    nodes: Array.from({ length: nodes }, (_, i) => ({
      name: `node-${i + 1}`,
      addresses: hosts(11 + i),
      netns: several ? `${name}-node-${i + 1}` : undefined,
      link: `${name}-n${i + 1}`,
      dir: join(dir, `node-${i + 1}`),
      cgroup: `/${name}/node-${i + 1}`,
    })),
    clusterCIDR: of(`10.${pods}.0.0/16`, `fd${pods}::/56`).join(),
    serviceCIDR: of(`10.${services}.0.0/16`, `fd${services}::/112`).join(),
    clusterDNS: of(`10.${services}.0.10`, `fd${services}::a`).join(),
    kubeconfig: join(dir, 'kubeconfig'),
    cgroup: `/${name}`,
  }
}
