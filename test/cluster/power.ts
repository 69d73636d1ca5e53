// A power cut, and the boot after it: of a node nothing stays but its disk. Its processes end at one blow, with
// their memory go its mounts, namespaces, links, addresses, routes, rules and cgroups, and the kernel that comes
// up calls itself by another boot id.

import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openRecord } from '#agent/record/record.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { removeCgroupTree } from './cgroups.ts'
import { inside, startAgentBy } from './cluster.ts'
import { eventually } from './eventually.ts'
import { makeHosts } from './links.ts'
import { isReady } from './local.ts'
import type { ClusterPlan, NodePlan } from './plan.ts'
import { attempt, run } from './shell.ts'

/** The node must have a network of its own. */
export async function cutPower(plan: ClusterPlan, node: NodePlan): Promise<void> {
  if (!node.netns) throw new Error('a node in the network of this machine cannot lose its power without it')
  for (let left = await processesOf(node); left.length > 0; left = await processesOf(node)) {
    for (const pid of left) kill(pid)
    await sleep(5)
  }
  for (const target of await mountsUnder(node.dir)) await run('umount', '--lazy', target)
  await run('ip', 'netns', 'delete', node.netns)
  await attempt('ip', ['link', 'delete', node.link])
  await removeCgroupTree(node.cgroup)
  await rm(join(node.dir, 'agent.pid'), { force: true })
  await makeHosts(plan)
}

/** The agent as a boot starts it: what it mounts is seen by this boot alone. */
export async function boot(plan: ClusterPlan, node: NodePlan, ...options: string[]): Promise<number> {
  const bootID = join(plan.dir, `${node.name}.boot-id`)
  await writeFile(bootID, `${randomUUID()}\n`)
  const script = `mount --bind ${bootID} /proc/sys/kernel/random/boot_id && exec "$@"`
  return await startAgentBy([...inside(node), 'unshare', '--mount', '--propagation=slave', 'sh', '-c', script, 'boot'], plan, node, options)
}

/** Resolves once the record on the node's disk has these pods, as Ready as they are. */
export async function remembered(plan: ClusterPlan, node: NodePlan, pods: readonly Pod[]): Promise<void> {
  await eventually(async () => {
    const copy = await mkdtemp(join(plan.dir, 'record-'))
    await cp(join(node.dir, 'record'), copy, { recursive: true })
    const record = await openRecord({ dir: copy, clock: systemClock, log: silent })
    const kept = record.names().map((name) => record.take(name) as Pod)
    await record.close()
    const missing = pods.filter(({ metadata }) => !kept.some((pod) => pod.metadata?.uid === metadata.uid && isReady(pod)))
    if (missing.length > 0) throw new Error(`the record lacks ${missing.map(({ metadata }) => metadata.name).join()}`)
  })
}

/** All that are in its network, in its cgroup, or were started with its folder. */
async function processesOf({ netns, cgroup, dir }: NodePlan): Promise<number[]> {
  const { ino } = await stat(`/run/netns/${netns}`)
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    const text = (file: string) => readFile(`/proc/${name}/${file}`, 'utf8').catch(() => '')
    if (/^State:\s+[ZX]/m.test(await text('status'))) continue
    const inNetwork = (await readlink(`/proc/${name}/ns/net`).catch(() => '')) === `net:[${ino}]`
    const inGroup = (await text('cgroup')).split('\n').some((line) => `${line.split(':')[2]}/`.includes(`${cgroup}/`))
    const ofFolder = (await text('cmdline')).split('\0').some((word) => word.includes(`${dir}/`) || word.endsWith(dir))
    if (inNetwork || inGroup || ofFolder) found.push(Number(name))
  }
  return found
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** The innermost first. */
async function mountsUnder(dir: string): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  const targets = lines.map((line) => line.split(' ')[4] ?? '').filter((target) => target.startsWith(`${dir}/`))
  return targets.reverse()
}
