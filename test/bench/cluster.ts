// A cluster for a benchmark, of one node unless told otherwise, gone afterwards.

import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type HttpsClient, httpsClient } from '#api/client/https.ts'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { silent } from '#api/log.ts'
import { down, upOrNothing } from '../cluster/cluster.ts'
import type { ClusterPlan } from '../cluster/plan.ts'

const state = resolve(import.meta.dirname, '../../.coracle')
export const images = ['busybox', 'pause'].map((name) => join(state, `images/${name}.tar`))

export type BenchCluster = { plan: ClusterPlan; client: HttpsClient; [Symbol.asyncDispose](): Promise<void> }

export async function benchCluster({ nodes = 1 } = {}): Promise<BenchCluster> {
  const dir = await mkdtemp(join(state, 'bench-'))
  const plan = await upOrNothing({ dir, nodes, slot: 9, images })
  const client = httpsClient({ ...(await loadKubeconfig(plan.kubeconfig)), userAgent: 'bench/0.1.0', log: silent })
  return {
    plan,
    client,
    async [Symbol.asyncDispose]() {
      client.close()
      await down(dir)
    },
  }
}
