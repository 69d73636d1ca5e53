// Nodes for tests of the pod network: each is a network namespace, joined to others by a bridge or a router
// in one more. The namespaces go with the test, and everything in them.

import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { addAddress, addBridge, addVeth, type Change, openRtnetlink, setLink, watchNetwork, writeSysctl } from 'nft-js'
import { freshNetns } from 'nft-js/testing/fresh-netns.ts'
import { familyOf } from '#api/cidr.ts'
import { silent } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { cleanupNetwork } from './cleanup.ts'
import { openPodNetwork, type PodNetworkOptions } from './network.ts'
import { type PodNetwork, type PodSandbox } from './pod-network.ts'

export const run = promisify(execFile)
export const inside = async (netns: string, ...command: string[]): Promise<string> =>
  (await run('nsenter', [`--net=${netns}`, ...command])).stdout
export const ping = (from: string, to: string, ...flags: string[]): Promise<string> =>
  inside(from, 'busybox', to.includes(':') ? 'ping6' : 'ping', '-c', '1', '-W', '2', ...flags, to)
export const netOf = (sandbox: PodSandbox): string => sandbox.namespaces.net
export const pod = (uid: string) => ({ uid, namespace: 'default', name: `pod-${uid}`, hostname: `pod-${uid}` })

/** A test's cleanups, last first: what was opened in a namespace is closed before that goes. */
export type Scope = { after(cleanup: () => unknown): void }
export const scoped = (t: TestContext): Scope => {
  const stack = new AsyncDisposableStack()
  t.after(() => stack.disposeAsync())
  return { after: (cleanup) => stack.defer(async () => void (await cleanup())) }
}

export type Stack = 'IPv4' | 'IPv6' | 'dual'
const pick = <T>(stack: Stack, four: T, six: T): T[] => (stack === 'dual' ? [four, six] : [stack === 'IPv4' ? four : six])

export type TestNode = Pick<PodNetworkOptions, 'dataDir' | 'nodeName' | 'nodeIPs' | 'podCIDRs' | 'log'> & { netns: string }

/** A node's namespace with its link: `eth0` there, a port of `middle` here. */
export const makeNode = async (
  t: Scope,
  index: number,
  options: { middle?: string; stack?: Stack; nodeIPs?: string[] } = {},
): Promise<TestNode> => {
  const { middle, stack = 'IPv4', nodeIPs = pick(stack, `192.168.77.${index}`, `fd77::${index}`) } = options
  const netns = await freshNetns(t)
  const dataDir = mkdtempSync(join(tmpdir(), 'agent-'))
  t.after(async () => {
    await cleanupNetwork({ dataDir, netns })
    rmSync(dataDir, { recursive: true })
  })
  // As after the second that a real link has long been up for.
  for (const links of ['all', 'default']) await writeSysctl(`net/ipv6/conf/${links}/accept_dad`, '0', netns)
  await using rt = await openRtnetlink({ netns })
  const fd = openSync(middle ?? (await freshNetns(t)), 'r')
  await rt.run([addVeth({ name: 'eth0', peer: { name: `port${index}`, netnsFd: fd } }), setLink('eth0', { up: true })])
  closeSync(fd)
  const link = (await rt.link('eth0'))!.index
  await rt.run(nodeIPs.map((address) => addAddress({ link, address, prefix: familyOf(address) === 'IPv4' ? 24 : 64 })))
  if (middle !== undefined) {
    await using outside = await openRtnetlink({ netns: middle })
    const bridge = await outside.link('br0')
    await outside.run([setLink(`port${index}`, { master: bridge?.index ?? 0, up: true })])
  }
  const podCIDRs = pick(stack, `10.42.${index}.0/24`, `fd42:0:0:${index}::/64`)
  return { netns, dataDir, nodeName: `node-${index}`, nodeIPs, podCIDRs, log: silent }
}

export const openOn = async (t: Scope, options: PodNetworkOptions): Promise<PodNetwork> => {
  const dnsAddresses = options.podCIDRs.map((cidr) => (familyOf(cidr) === 'IPv4' ? '10.43.0.10' : 'fd43::a'))
  const network = await openPodNetwork({ dnsAddresses, ...options })
  t.after(() => network.close())
  return network
}

export const asNodes = (nodes: readonly Pick<TestNode, 'nodeName' | 'nodeIPs' | 'podCIDRs'>[]): Node[] =>
  nodes.map(
    ({ nodeName, nodeIPs, podCIDRs }) =>
      ({
        metadata: { name: nodeName },
        spec: { podCIDR: podCIDRs[0], podCIDRs },
        status: { addresses: nodeIPs.map((address) => ({ type: 'InternalIP', address })) },
      }) as unknown as Node,
  )

export const makeSwitch = async (t: Scope): Promise<string> => {
  const netns = await freshNetns(t)
  await using rt = await openRtnetlink({ netns })
  await rt.run([addBridge({ name: 'br0', up: true })])
  return netns
}

/** Resolves with the first change in a namespace that is the one waited for, from when this is called on. */
export const nextChange = async (netns: string, awaited: (change: Change) => boolean): Promise<{ seen: Promise<void> }> => {
  const watch = await watchNetwork({ netns, kinds: ['link', 'address', 'route'], signal: AbortSignal.timeout(5_000) })
  const seen = (async () => {
    for await (const change of watch.changes()) if (awaited(change)) return watch.close()
    throw new Error('what was waited for did not happen within five seconds')
  })()
  return { seen }
}
