// The pod network of a node, as its users have it: our own (network.ts) and that of CNI plugins (agent/cni) are two of them.

import type { Node } from '#api/types/core-v1.gen.ts'

export type PodSandbox = {
  /** Pinned namespace files for containers to join. */
  namespaces: { net: string; ipc: string; uts: string }
  /** The pod's addresses, one of each family, in the order of the node's ranges. */
  ips: string[]
}

export interface PodNetwork {
  /** Makes (or finds again) the pod's namespaces, its veth pair and addresses. Idempotent; throws with nothing left behind. */
  setup(pod: { uid: string; namespace: string; name: string; hostname: string }): Promise<PodSandbox>
  /** This pod had these addresses before the node was last booted: nobody else gets them, and it does again if they are free. */
  expect?(uid: string, ips: readonly string[]): void
  /** Idempotent; works for a pod that was never set up. */
  teardown(uid: string): Promise<void>
  /** Uids of the pods that have a sandbox on this node. */
  list(): Promise<string[]>
  /** Routes and tunnel entries towards the other nodes: whole and idempotent. */
  applyNodes(nodes: readonly Node[]): Promise<void>
  /** The node is at other addresses from now on. */
  moved(nodeIPs: readonly string[]): void
  /** The addresses through which pods reach this node (their gateways), one of each family. */
  readonly gateways: readonly string[]
  /** Lets go of sockets; what was made stays, for the next agent to find. */
  close(): Promise<void>
}
