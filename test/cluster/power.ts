// A power cut, and the boot after it: of a node nothing stays but its disk. Its processes end at one blow, with
// their memory go its mounts, namespaces, links, addresses, routes, rules and cgroups, and the kernel that comes
// up calls itself by another boot id.

import { randomUUID } from 'node:crypto'
import { readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { removeCgroupTree } from './cgroups.ts'
import { inside, startAgentBy } from './cluster.ts'
import { makeHosts } from './links.ts'
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
