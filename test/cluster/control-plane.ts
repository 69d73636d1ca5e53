// A server without nodes, as a process of its own.

import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { httpsClient } from '#api/client/https.ts'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { Namespace } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { serverLog, startServer } from './cluster.ts'
import { stop } from './daemon.ts'
import { eventually } from './eventually.ts'
import { type ClusterPlan, planCluster } from './plan.ts'
import { run } from './shell.ts'

const coracle = resolve(import.meta.dirname, '../../bin/coracle')

export type ControlPlane = { plan: ClusterPlan; [Symbol.asyncDispose](): Promise<void> }

/** Answers once it is there, at a port that nobody else has; takes its process and the folder with it when it goes. `clusterCIDR`: for more nodes than the usual range has room for. */
export async function startControlPlane({
  dir,
  slot,
  clusterCIDR,
}: {
  dir: string
  slot: number
  clusterCIDR?: string
}): Promise<ControlPlane> {
  const usual = planCluster({ dir, nodes: 1, slot, port: await freePort(), hostAddress: '127.0.0.1' })
  const plan = { ...usual, ...(clusterCIDR && { clusterCIDR }) }
  await mkdir(plan.server.dir, { recursive: true })
  const close = async () => {
    await stop(join(plan.server.dir, 'server.pid'))
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await startServer(plan)
    await eventually(async () => {
      const text = await run(coracle, 'kubeconfig', `--data-dir=${plan.server.dir}`, `--server=${plan.server.url}`)
      await writeFile(plan.kubeconfig, text, { mode: 0o600 })
    })
    const client = httpsClient({ ...(await loadKubeconfig(plan.kubeconfig)), userAgent: 'test/1', log: silent })
    await eventually(() => client.get(Namespace, { name: 'default' }))
    client.close()
  } catch (cause) {
    const log = await readFile(serverLog(plan), 'utf8').catch(() => '')
    await close()
    throw new Error(`the server did not start; its log: ${log}`, { cause })
  }
  return { plan, [Symbol.asyncDispose]: close }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
