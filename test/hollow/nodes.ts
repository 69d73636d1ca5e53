// Many hollow nodes of one control plane, each with a certificate as if it had joined.

import { join } from 'node:path'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { openAuthority } from '#control/pki/authority.ts'
import type { ClusterPlan } from '../cluster/plan.ts'
import { type HollowNode, type HollowOptions, hollowNode } from './node.ts'

/** Nodes that join at a time. */
const atOnce = 16

export type HollowNodes = {
  /** Pods of all of them that were said to be running. */
  readonly running: number
  /** Bytes that came over the connections of all of them. */
  readonly received: number
  [Symbol.asyncDispose](): Promise<void>
}

export async function hollowNodes(plan: ClusterPlan, count: number, heard?: HollowOptions['heard']): Promise<HollowNodes> {
  const { server } = await loadKubeconfig(plan.kubeconfig)
  const authority = await openAuthority({ dir: join(plan.server.dir, 'pki'), now: Date.now })
  const nodes: HollowNode[] = []
  const indices = Array.from({ length: count }, (_, i) => i).values()
  const worker = async () => {
    for (const index of indices) {
      const name = `hollow-${index}`
      const pair = await authority.issue({ commonName: `system:node:${name}`, organizations: ['system:nodes'], usage: 'client' })
      nodes.push(await hollowNode({ server, credentials: { ca: authority.cert, ...pair }, name, index, ...(heard && { heard }) }))
    }
  }
  const close = async () => void (await Promise.all(nodes.map((node) => node[Symbol.asyncDispose]())))
  try {
    await Promise.all(Array.from({ length: atOnce }, worker))
  } catch (error) {
    await close()
    throw error
  }
  return {
    get running() {
      return nodes.reduce((sum, { running }) => sum + running, 0)
    },
    get received() {
      return nodes.reduce((sum, { received }) => sum + received, 0)
    },
    [Symbol.asyncDispose]: close,
  }
}
