// The hosts of a test cluster: a network namespace for each node, joined by a bridge.

import type { ClusterPlan, NodePlan } from './plan.ts'
import { attempt, run } from './shell.ts'

const exists = async (link: string) => (await attempt('ip', ['link', 'show', link])).code === 0

/** Makes what is missing; idempotent. */
export async function makeHosts(plan: ClusterPlan): Promise<void> {
  const { bridge } = plan
  if (!bridge) return
  if (!(await exists(bridge.link))) {
    await run('ip', 'link', 'add', bridge.link, 'type', 'bridge')
    for (const address of bridge.addresses) await run('ip', 'address', 'add', ...inNetwork(address), 'dev', bridge.link)
    await run('ip', 'link', 'set', bridge.link, 'up')
  }
  const namespaces = await run('ip', 'netns', 'list')
  for (const node of plan.nodes) {
    const netns = node.netns as string
    if (!new RegExp(`^${netns}\\b`, 'm').test(namespaces)) await run('ip', 'netns', 'add', netns)
    if (await exists(node.link)) continue
    await run('ip', 'link', 'add', node.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns)
    await run('ip', 'link', 'set', node.link, 'master', bridge.link, 'up')
    await run('ip', '-netns', netns, 'link', 'set', 'lo', 'up')
    for (const address of node.addresses) await run('ip', '-netns', netns, 'address', 'add', ...inNetwork(address), 'dev', 'eth0')
    await run('ip', '-netns', netns, 'link', 'set', 'eth0', 'up')
    for (const address of bridge.addresses) await run('ip', '-netns', netns, 'route', 'add', 'default', 'via', address)
  }
}

/** Of a link, with nobody asked whether it is theirs. */
const inNetwork = (address: string): string[] => (address.includes(':') ? [`${address}/64`, 'nodad'] : [`${address}/24`])

/** Lets this machine reach pods and services through the nodes, as a router of the same network would. */
export async function routeThrough(plan: ClusterPlan, podCIDRs: ReadonlyMap<string, readonly string[]>): Promise<void> {
  const { bridge } = plan
  if (!bridge) return
  const route = async (range: string, node: NodePlan | undefined) => {
    const via = node?.addresses.find((address) => address.includes(':') === range.includes(':'))
    if (via) await run('ip', 'route', 'replace', range, 'via', via, 'dev', bridge.link)
  }
  for (const range of plan.serviceCIDR.split(',')) await route(range, plan.nodes[0])
  for (const node of plan.nodes) for (const range of podCIDRs.get(node.name) ?? []) await route(range, node)
}

/** Removes the namespaces and links; routes go with the bridge. Idempotent. */
export async function removeHosts(plan: ClusterPlan): Promise<void> {
  if (!plan.bridge) return
  const namespaces = await run('ip', 'netns', 'list')
  // Whatever number of nodes the cluster had: all namespaces of its name.
  for (const [, netns = ''] of namespaces.matchAll(new RegExp(`^(${plan.name}-node-\\d+)\\b`, 'gm')))
    await run('ip', 'netns', 'delete', netns)
  // The kernel takes a namespace apart when it finds time, and the links into it go only then.
  for (const { link } of plan.nodes) await attempt('ip', ['link', 'delete', link])
  if (await exists(plan.bridge.link)) await run('ip', 'link', 'delete', plan.bridge.link)
}
