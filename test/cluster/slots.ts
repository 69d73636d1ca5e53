// Clusters of one machine share its network, so each has a slot of addresses to itself: a file that names the
// folder of the cluster which holds it. One whose cluster is gone, or has another slot, holds nothing.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { ClusterPlan } from './plan.ts'
import { attempt, run } from './shell.ts'

const folder = '/run/coracle-test'
const fileOf = (slot: number): string => join(folder, `slot-${slot}`)
export const allSlots = Array.from({ length: 10 }, (_, slot) => slot)

/** The folder of the cluster that has the slot. */
export async function holder(slot: number): Promise<string | undefined> {
  const dir = await readFile(fileOf(slot), 'utf8').catch(() => '')
  const plan = await readFile(join(dir, 'cluster.json'), 'utf8').catch(() => '')
  return dir && plan && (JSON.parse(plan) as ClusterPlan).slot === slot ? dir : undefined
}

/** Takes the slot of the plan, whose `cluster.json` is written. Says who or what is in the way, if anything is. */
export async function takeSlot(plan: ClusterPlan): Promise<string | undefined> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const other = await holder(plan.slot)
  if (other && other !== plan.dir) return `the cluster in ${other}`
  if (other) return undefined
  const inTheWay = await occupied(plan)
  if (inTheWay) return inTheWay
  await rm(fileOf(plan.slot), { force: true })
  try {
    await writeFile(fileOf(plan.slot), plan.dir, { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return 'a cluster that is starting'
  }
  return undefined
}

/** Idempotent; the slot of another cluster stays. */
export async function leaveSlot(plan: ClusterPlan): Promise<void> {
  if ((await holder(plan.slot)) === plan.dir) await rm(fileOf(plan.slot), { force: true })
}

/** Other people's addresses and ports, which no file of ours tells of. */
async function occupied({ clusterCIDR, serviceCIDR, bridge, server }: ClusterPlan): Promise<string | undefined> {
  const wanted = [...clusterCIDR.split(','), ...serviceCIDR.split(','), ...(bridge?.addresses ?? [])]
  const routes = (await run('ip', 'route')) + (await attempt('ip', ['-6', 'route'])).stdout
  for (const range of wanted) {
    const start = range.includes(':')
      ? range.replace(/::.*/, ':')
      : range
          .split('.')
          .slice(0, range.endsWith('.0.0/16') ? 2 : 3)
          .join('.')
    const route = routes.split('\n').find((line) => line.startsWith(start.endsWith(':') ? start : `${start}.`))
    if (route) return `the route ${route.trim()}`
  }
  return bridge || (await isFree(server)) ? undefined : `whoever listens on port ${server.port}`
}

const isFree = ({ address, port }: { address: string; port: number }): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, address, () => probe.close(() => resolve(true)))
  })
