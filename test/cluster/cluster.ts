// A whole cluster on this machine, from nothing to Ready and back to nothing: what `make up` and the
// tests run. The record of it is `cluster.json` in its folder, written before the first thing is made.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { httpsClient } from '#api/client/https.ts'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { Node } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { removeCgroup } from './cgroups.ts'
import { kill, pidOf, start, stop } from './daemon.ts'
import { makeHosts, removeHosts, routeThrough } from './links.ts'
import { type ClusterPlan, type NodePlan, planCluster, type Stack } from './plan.ts'
import { attempt, run } from './shell.ts'
import { allSlots, leaveSlot, takeSlot } from './slots.ts'

const root = resolve(import.meta.dirname, '../..')
const coracle = join(root, 'bin/coracle')

export type UpOptions = {
  dir: string
  nodes: number
  slot?: number
  stack?: Stack
  /** Image archives for every node. */
  images?: string[]
  readyWithinMs?: number
}

/** Makes the cluster, or completes it where parts of it are missing; resolves when every node is Ready. */
export async function up(options: UpOptions): Promise<ClusterPlan> {
  const known = await recorded(options.dir)
  if (known && known.nodes.length !== options.nodes) {
    throw new Error(`a cluster of ${known.nodes.length} node(s) is there already: 'make down' first, or keep NODES=${known.nodes.length}`)
  }
  const plan = known ?? (await placed(options))
  await makeHosts(plan)
  await Promise.all([startServer(plan), importImages(plan, options.images ?? [])])
  // The agents wait for the server by themselves; only its certificates must be there.
  await untilDone('the server to start', 20_000, () => writeKubeconfig(plan), serverLog(plan))
  const token = await untilDone('a join token', 20_000, () => run(coracle, 'token', `--data-dir=${plan.server.dir}`), serverLog(plan))
  await writeFile(tokenFile(plan), token, { mode: 0o600 })
  await Promise.all(plan.nodes.map((node) => startAgent(plan, node)))
  await ready(plan, options.readyWithinMs ?? 60_000)
  return plan
}

/** Where nobody else is: in the slot that was asked for, or in the next one that is free. */
async function placed({ slot = 0, ...options }: UpOptions): Promise<ClusterPlan> {
  const taken: string[] = []
  if (options.nodes === 1) await refuseSecondNode()
  await mkdir(options.dir, { recursive: true })
  for (const candidate of [slot, ...allSlots.filter((other) => other !== slot && other !== 0)]) {
    const plan = planCluster({ ...options, slot: candidate, hostAddress: hostAddress() })
    await writeFile(join(plan.dir, 'cluster.json'), JSON.stringify(plan, null, 2))
    const by = await takeSlot(plan)
    if (by === undefined) return plan
    taken.push(`${candidate} by ${by}`)
  }
  await rm(join(options.dir, 'cluster.json'))
  throw new Error(`this machine has no addresses left for a cluster; taken are: ${taken.join('; ')}`)
}

/** A cluster of one node has it in the network of this machine itself, where there can be but one. */
async function refuseSecondNode(): Promise<void> {
  const { stdout } = await attempt('ip', ['-d', 'link', 'show', 'coracle0'])
  if (stdout) throw new Error(`this machine is a node already: ${/alias (.*)/.exec(stdout)?.[1] ?? 'its network has a link coracle0'}`)
}

/** As `up`, but what failed to come up goes down again: for those whose own end may never come. */
export async function upOrNothing(options: UpOptions): Promise<ClusterPlan> {
  return await up(options).catch(async (error: unknown) => {
    await down(options.dir)
    throw error
  })
}

/** Removes every process, namespace, link, table, mount, cgroup and file of the cluster in `dir`. Idempotent; every step runs. */
export async function down(dir: string): Promise<void> {
  const plan = await recorded(dir)
  if (!plan) return
  const failures: unknown[] = []
  const step = async (work: Promise<unknown>) => {
    await work.catch((error: unknown) => failures.push(error))
  }
  await Promise.all(plan.nodes.map((node) => step(stop(join(node.dir, 'agent.pid')))))
  await step(stop(join(plan.server.dir, 'server.pid')))
  await Promise.all(plan.nodes.map((node) => step(cleanup(plan, node))))
  await Promise.all([step(removeHosts(plan)), step(removeCgroup(plan.cgroup)), step(leaveSlot(plan))])
  if (failures.length > 0) throw new AggregateError(failures, 'the cluster could not be removed whole')
  await rm(dir, { recursive: true, force: true })
}

export async function recorded(dir: string): Promise<ClusterPlan | undefined> {
  try {
    return JSON.parse(await readFile(join(dir, 'cluster.json'), 'utf8')) as ClusterPlan
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export const serverLog = (plan: ClusterPlan): string => join(plan.dir, 'logs/server.log')
export const agentLog = (plan: ClusterPlan, node: NodePlan): string => join(plan.dir, `logs/${node.name}.log`)
export const serverPid = (plan: ClusterPlan): Promise<number | undefined> => pidOf(join(plan.server.dir, 'server.pid'))
export const agentPid = (node: NodePlan): Promise<number | undefined> => pidOf(join(node.dir, 'agent.pid'))

export const killServer = (plan: ClusterPlan): Promise<void> => kill(join(plan.server.dir, 'server.pid'))
export const killAgent = (node: NodePlan): Promise<void> => kill(join(node.dir, 'agent.pid'))

export const startServer = (plan: ClusterPlan): Promise<number> =>
  start({
    pidFile: join(plan.server.dir, 'server.pid'),
    logFile: serverLog(plan),
    command: [
      coracle,
      'server',
      `--data-dir=${plan.server.dir}`,
      `--port=${plan.server.port}`,
      `--advertise-address=${plan.server.address}`,
      `--cluster-cidr=${plan.clusterCIDR}`,
      `--service-cidr=${plan.serviceCIDR}`,
      `--cluster-dns=${plan.clusterDNS}`,
    ],
  })

const tokenFile = (plan: ClusterPlan): string => join(plan.dir, 'join-token')

/** `options`: what this node's agent is told beside what all are. */
export const startAgent = (plan: ClusterPlan, node: NodePlan, ...options: string[]): Promise<number> =>
  startAgentBy(inside(node), plan, node, options)

/** `prefix` runs the command where the node is. */
export const startAgentBy = (
  prefix: readonly string[],
  plan: ClusterPlan,
  node: NodePlan,
  options: readonly string[] = [],
): Promise<number> =>
  start({
    pidFile: join(node.dir, 'agent.pid'),
    logFile: agentLog(plan, node),
    command: [
      ...prefix,
      coracle,
      'agent',
      `--server=${plan.server.url}`,
      `--node-name=${node.name}`,
      // In a namespace of its own it finds its addresses by itself; this machine may have many.
      ...(node.netns ? [] : [`--node-ip=${node.addresses.join()}`]),
      ...settings(plan, node),
      `--token-file=${tokenFile(plan)}`,
      ...options,
    ],
  })

const cleanup = (plan: ClusterPlan, node: NodePlan) =>
  run('/usr/bin/env', ...inside(node), coracle, 'agent', '--cleanup', ...settings(plan, node))

const settings = (plan: ClusterPlan, node: NodePlan) => [
  `--data-dir=${node.dir}`,
  `--cgroup-parent=${node.cgroup}`,
  `--cluster-cidr=${plan.clusterCIDR}`,
  `--service-cidr=${plan.serviceCIDR}`,
  `--cluster-dns=${plan.clusterDNS}`,
]

/** A prefix that runs a command as if on that node. `ip netns exec` would hide the cgroups. */
export const inside = (node: NodePlan): string[] => (node.netns ? ['nsenter', `--net=/run/netns/${node.netns}`, '--'] : [])

async function importImages(plan: ClusterPlan, images: string[]): Promise<void> {
  await Promise.all(
    plan.nodes.map(async (node) => {
      for (const image of images) await run(coracle, 'image', 'import', image, `--data-dir=${node.dir}`)
    }),
  )
}

async function writeKubeconfig(plan: ClusterPlan): Promise<void> {
  const text = await run(coracle, 'kubeconfig', `--data-dir=${plan.server.dir}`, `--server=${plan.server.url}`)
  await writeFile(plan.kubeconfig, text, { mode: 0o600 })
}

async function ready(plan: ClusterPlan, withinMs: number): Promise<void> {
  const target = await loadKubeconfig(plan.kubeconfig)
  const client = httpsClient({ ...target, userAgent: 'coracle-up/0.1.0', log: silent })
  const deadline = AbortSignal.timeout(withinMs)
  let seen: string[] = []
  const podCIDRs = new Map<string, string[]>()
  try {
    let from = ''
    while (podCIDRs.size < plan.nodes.length) {
      deadline.throwIfAborted()
      try {
        const { items, metadata } = await client.list(Node, { signal: deadline })
        from = metadata.resourceVersion
        for (const node of items) note(node)
        if (podCIDRs.size === plan.nodes.length) break
        for await (const event of client.watch(Node, { resourceVersion: from, signal: deadline })) {
          if (event.type !== 'BOOKMARK') note(event.object)
          if (podCIDRs.size === plan.nodes.length) break
        }
      } catch {
        await sleep(50) // the server is not listening yet
      }
    }
  } catch (cause) {
    const logs = [serverLog(plan), ...plan.nodes.map((n) => agentLog(plan, n))].join('\n  ')
    throw new Error(
      `of ${plan.nodes.length} nodes only [${[...podCIDRs.keys()].join(', ')}] became Ready (${seen.join('; ')}). The logs:\n  ${logs}`,
      { cause },
    )
  }
  client.close()
  await routeThrough(plan, podCIDRs)

  function note(node: Node): void {
    const condition = node.status.conditions?.find((c) => c.type === 'Ready')
    seen = [
      ...seen.filter((line) => !line.startsWith(`${node.metadata.name}:`)),
      `${node.metadata.name}: ${condition?.message ?? 'no Ready condition'}`,
    ]
    if (condition?.status === 'True' && node.spec.podCIDR) podCIDRs.set(node.metadata.name, node.spec.podCIDRs ?? [])
    else podCIDRs.delete(node.metadata.name)
  }
}

async function untilDone<T>(what: string, withinMs: number, work: () => Promise<T>, log: string): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    try {
      return await work()
    } catch (cause) {
      if (Date.now() > deadline) {
        const tail = (await attempt('tail', ['-n', '20', log])).stdout
        throw new Error(`waited ${withinMs / 1000} s for ${what}; its log ${log} ends:\n${tail}`, { cause })
      }
      await sleep(20)
    }
  }
}

/** This machine's own address: pods and kubectl must reach the server there, so loopback is the last resort. */
function hostAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.find((a) => a.family === 'IPv4' && !a.internal)?.address ?? '127.0.0.1'
}
