// Where everything of one test cluster is: names, addresses, folders. Pure, so that `up` and `down`,
// which run in different processes, agree without asking each other.
//
// One node lives in the network namespace that `up` was called in. Several live in namespaces of their
// own, each with an address on a bridge; the server stays outside, at the bridge's first address. So
// the machine itself plays the host from which people reach the cluster.

import { join } from 'node:path'

export type NodePlan = { name: string; address: string; netns: string | undefined; link: string; dir: string; cgroup: string }

export type ClusterPlan = {
  name: string
  dir: string
  server: { address: string; port: number; dir: string }
  /** Absent where the single node shares the caller's namespace. */
  bridge: { link: string; address: string } | undefined
  nodes: NodePlan[]
  clusterCIDR: string
  serviceCIDR: string
  clusterDNS: string
  kubeconfig: string
  /** The parent of every container's cgroup; removed by `down`. */
  cgroup: string
}

/**
 * `slot` 0 is what `make up` uses; a test cluster beside it takes another (1..9), which gives it other
 * addresses, ports and link names. `hostAddress` is the machine's own, for a single node.
 */
export function planCluster(options: { dir: string; nodes: number; slot?: number; hostAddress: string }): ClusterPlan {
  const { dir, nodes, slot = 0, hostAddress } = options
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 50) throw new RangeError(`NODES must be a whole number from 1 to 50, not ${nodes}`)
  const name = slot === 0 ? 'coracle' : `coracle${slot}`
  const several = nodes > 1
  const subnet = `10.99.${slot}`
  // 42 and 43 as k3s has them; 44 and 45, 46 and 47, ... for the others.
  const [pods, services] = [42 + slot * 2, 43 + slot * 2]
  return {
    name,
    dir,
    server: { address: several ? `${subnet}.1` : hostAddress, port: 6443 + slot * 100, dir: join(dir, 'server') },
    bridge: several ? { link: `${name}-up`, address: `${subnet}.1/24` } : undefined,
    nodes: Array.from({ length: nodes }, (_, i) => ({
      name: `node-${i + 1}`,
      address: several ? `${subnet}.${11 + i}` : hostAddress,
      netns: several ? `${name}-node-${i + 1}` : undefined,
      link: `${name}-n${i + 1}`,
      dir: join(dir, `node-${i + 1}`),
      cgroup: `/${name}/node-${i + 1}`,
    })),
    clusterCIDR: `10.${pods}.0.0/16`,
    serviceCIDR: `10.${services}.0.0/16`,
    clusterDNS: `10.${services}.0.10`,
    kubeconfig: join(dir, 'kubeconfig'),
    cgroup: `/${name}`,
  }
}
