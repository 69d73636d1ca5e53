// The pod network's contract. Links, addresses and routes are found in the kernel after a restart;
// the pool of addresses is rebuilt from the pinned namespaces, so a crash leaks none.

import type { Node } from '#api/types/core-v1.gen.ts'

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
  close(): Promise<void>
}
