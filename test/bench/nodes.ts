// Nodes and pods for the benchmarks of the network, each in a network namespace, all gone with the stack:
// as the agent makes them, with its rules, and the plainest ones that the same kernel can make.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { namespaces, openNft } from 'nft-js'
import { cleanupNetwork } from '#agent/network/cleanup.ts'
import { openPodNetwork } from '#agent/network/network.ts'
import { openPolicy } from '#agent/policy/policy.ts'
import { networks } from '#agent/proxy/fixtures.ts'
import { openProxy, type Proxy } from '#agent/proxy/proxy.ts'
import { openRuleset } from '#agent/ruleset/ruleset.ts'
import { silent } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import { run } from '../cluster/shell.ts'

export type Place = { netns: string; address: string }
export type BenchNode = { netns: string; proxy: Proxy; pods: readonly [Place, Place] }

export class Nodes {
  readonly #stack: AsyncDisposableStack
  #made = 0
  #folder = ''

  constructor(stack: AsyncDisposableStack) {
    this.#stack = stack
  }

  async #netns(): Promise<string> {
    if (this.#folder === '') {
      this.#folder = await mkdtemp(join(tmpdir(), 'bench-net-'))
      this.#stack.defer(() => rm(this.#folder, { recursive: true }))
    }
    const netns = join(this.#folder, String(++this.#made))
    await namespaces.create({ net: netns })
    this.#stack.defer(() => namespaces.unpin(netns))
    return netns
  }

  /** Two on one link; pods of one reach those of the other through VXLAN. Without rules: their links and routes alone. */
  async ofAgent({ rules = true } = {}): Promise<[BenchNode, BenchNode]> {
    const [one, two] = await this.#linked('192.168.77')
    const made = [await this.#agent(one, 1), await this.#agent(two, 2)] as const
    if (!rules) for (const { node } of made) await inside(node.netns, 'nft', 'flush', 'ruleset')
    const nodes = [1, 2].map((index) => nodeObject(index))
    for (const { network } of made) await network.applyNodes(nodes)
    return [made[0].node, made[1].node]
  }

  async #agent(netns: string, index: number) {
    const dataDir = await mkdtemp(join(tmpdir(), 'bench-agent-'))
    this.#stack.defer(async () => {
      await cleanupNetwork({ dataDir, netns })
      await rm(dataDir, { recursive: true })
    })
    const network = await openPodNetwork({
      dataDir,
      netns,
      nodeName: `node-${index}`,
      nodeIPs: [`192.168.77.${index}`],
      podCIDRs: [`10.42.${index}.0/24`],
      backend: 'vxlan',
      log: silent,
    })
    this.#stack.defer(() => network.close())
    const nft = await openNft({ netns })
    this.#stack.defer(() => nft.close())
    const ruleset = openRuleset(nft)
    const own = { ip: { ...networks.ip, pods: `10.42.${index}.0/24` } }
    const proxy = openProxy({ ruleset, conntrack: { remove: async () => 0 }, log: silent, nodeName: `node-${index}`, networks: own })
    await proxy.apply()
    await openPolicy({ ruleset, log: silent, nodeName: `node-${index}`, families: ['ip'] }).apply()
    const pods = await Promise.all(
      ['a', 'b'].map(async (uid): Promise<Place> => {
        const { namespaces, ips } = await network.setup({ uid, namespace: 'default', name: uid, hostname: uid })
        return { netns: namespaces.net, address: ips[0] ?? '' }
      }),
    )
    return { network, node: { netns, proxy, pods: pods as unknown as [Place, Place] } }
  }

  /** Bridges with two ports for pods and one for VXLAN, and no rules. */
  async plain(): Promise<[readonly [Place, Place], readonly [Place, Place]]> {
    const nodes = await this.#linked('192.168.78')
    const places: Place[][] = []
    for (const [i, netns] of nodes.entries()) {
      await ip(
        netns,
        'link add br0 type bridge',
        'link set br0 mtu 1450 up',
        `link add vx0 type vxlan id 7 local 192.168.78.${i + 1} remote 192.168.78.${2 - i} dstport 4789 dev eth0`,
        'link set vx0 master br0 mtu 1450 up',
      )
      const pods: Place[] = []
      for (const port of [1, 2]) {
        const pod = await this.#netns()
        const address = `10.9.0.${i * 2 + port}`
        await ip(netns, `link add port${port} type veth peer name eth0 netns ${pod}`, `link set port${port} master br0 mtu 1450 up`)
        await ip(pod, `address add ${address}/24 dev eth0`, 'link set eth0 mtu 1450 up')
        pods.push({ netns: pod, address })
      }
      places.push(pods)
    }
    return places as unknown as [readonly [Place, Place], readonly [Place, Place]]
  }

  async #linked(prefix: string): Promise<[string, string]> {
    const [one, two] = [await this.#netns(), await this.#netns()]
    await ip(
      one,
      `link add eth0 type veth peer name eth0 netns ${two}`,
      `address add ${prefix}.1/24 dev eth0`,
      'link set eth0 up',
      'link set lo up',
    )
    await ip(two, `address add ${prefix}.2/24 dev eth0`, 'link set eth0 up', 'link set lo up')
    return [one, two]
  }
}

const ip = (netns: string, ...lines: string[]) => inside(netns, 'sh', '-ec', lines.map((line) => `ip ${line}`).join('\n'))

export const inside = (netns: string, ...command: string[]): Promise<string> => run('nsenter', `--net=${netns}`, ...command)

/** Started in a namespace, ended with the stack. */
export const serve = (stack: AsyncDisposableStack, netns: string, ...command: string[]): void => {
  const child: ChildProcess = spawn('nsenter', [`--net=${netns}`, ...command], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  stack.defer(async () => {
    child.kill()
    await ended
  })
}

const nodeObject = (index: number): Node =>
  ({
    metadata: { name: `node-${index}` },
    spec: { podCIDR: `10.42.${index}.0/24` },
    status: { addresses: [{ type: 'InternalIP', address: `192.168.77.${index}` }] },
  }) as unknown as Node
