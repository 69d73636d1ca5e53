// What 1,000 network policies cost a packet, against none: two pods of one node, each in a network
// namespace, half of the policies on either; and what a change among them costs the agent. Connections run
// in turn with and without, so that both meet the same machine.

import { type ChildProcess, fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { namespaces, openNft, writeSysctl } from 'nft-js'
import { app, namespace, pod, policy, wholePolicy } from '#agent/policy/fixtures.ts'
import { openPolicy } from '#agent/policy/policy.ts'
import { openRuleset } from '#agent/ruleset/ruleset.ts'
import { silent } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import { run } from '../cluster/shell.ts'
import { type Figure, figure, quantile } from './figure.ts'
import type { StreamRequest } from './stream.ts'

const policies = 1_000
const rounds = 40
const ROUND_MS = 100
const client = '10.42.1.2'
const server = '10.42.1.3'
const gateway = '10.42.1.1'

/** What every node has with or without policies: the service proxy's rules for packets that pass, by which connections are tracked. */
const services = `table ip services {
  chain forward {
    type filter hook forward priority filter
    ip saddr 10.42.0.0/16 ct state invalid drop
    ip daddr 10.43.0.0/16 ct state new drop
  }
}`

/** Each policy lets in, or out to, other pods on another port; the last ones the two that are measured. */
const cluster = (): { policies: NetworkPolicy[]; pods: Pod[] } => {
  const peers = Array.from({ length: 1_000 }, (_, i) =>
    pod(`p${i}`, `10.44.${i >> 8}.${i & 255}`, { node: 'elsewhere', labels: { set: `s${i % 50}` } }),
  )
  const half = policies / 2
  return {
    pods: [pod('client', client), pod('server', server), ...peers],
    policies: Array.from({ length: policies }, (_, i) => {
      const isLast = i >= policies - 2
      const isIngress = i % 2 === 0
      const to = isLast ? app(isIngress ? 'client' : 'server') : { matchLabels: { set: `s${i % 50}` } }
      const ports = isLast ? [9001, 9002].map((port) => ({ port })) : [{ port: 1_000 + (i % half) }]
      const rule = isIngress ? { ingress: [{ from: [{ podSelector: to }], ports }] } : { egress: [{ to: [{ podSelector: to }], ports }] }
      return policy(`policy-${i}`, { podSelector: app(isIngress ? 'server' : 'client'), ...rule })
    }),
  }
}

export async function* policyBench(): AsyncGenerator<Figure> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-policy-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true }))
  const [node = '', ...pods] = ['node', 'client', 'server'].map((name) => join(folder, name))
  for (const netns of [node, ...pods]) {
    await namespaces.create({ net: netns })
    stack.defer(() => namespaces.unpin(netns))
  }
  await wire(node, pods)
  await run('nsenter', `--net=${node}`, 'nft', services)
  const nft = await openNft({ netns: node })
  stack.defer(() => nft.close())
  const [sender, receiver] = pods.map((netns) => {
    const stream = start(netns)
    stack.defer(() => stream.close())
    return stream
  }) as [Stream, Stream]
  await receiver.ask({ do: 'listen' })

  const enforced = wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip'] }))
  const all = cluster()
  const namespacesOf = [namespace('default')]
  const without = async () => void (await enforced.apply({ ...all, policies: [], namespaces: namespacesOf, placed: [] }))
  const withAll = async () => void (await enforced.apply({ ...all, namespaces: namespacesOf, placed: [] }))

  const programs = await samples(10, async () => {
    await enforced.remove()
    return timed(() =>
      wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip'] })).apply({
        ...cluster(),
        namespaces: namespacesOf,
        placed: [],
      }),
    )
  })
  yield figure(`network policy, ${policies.toLocaleString('en')} from nothing`, quantile(programs, 0.5), 'ms')
  await withAll()
  const changes = await samples(50, (i) => {
    const peer = pod(`p${i}`, `10.45.0.${i}`, { node: 'elsewhere', labels: { set: `s${i % 50}` } })
    all.pods = all.pods.with(i + 2, peer)
    return timed(withAll)
  })
  yield figure(`network policy, one pod among ${policies.toLocaleString('en')} changed`, quantile(changes, 0.5), 'ms')

  const compare = async (name: string, unit: string, scale: number, request: 'send' | 'echo'): Promise<Figure> => {
    const measure = async (prepare: () => Promise<void>) => {
      await prepare()
      return (await sender.ask({ do: request, host: server, ms: ROUND_MS })) / scale
    }
    const references: number[] = []
    const ratios: number[] = []
    for (let round = 0; round < rounds; round++) {
      const first = await measure(round % 2 ? withAll : without)
      const second = await measure(round % 2 ? without : withAll)
      const [judged, free] = round % 2 ? [first, second] : [second, first]
      references.push(free)
      ratios.push(judged / free)
    }
    // Of what ran side by side: what others do on the machine takes from both.
    const reference = quantile(references, 0.5)
    return figure(name, reference * quantile(ratios, 0.5), unit, { name: 'without policies', value: reference })
  }
  const among = `, ${policies.toLocaleString('en')} network policies`
  yield await compare(`throughput${among}`, 'GB/s', 1e9, 'send')
  yield await compare(`round trips${among}`, '1/s', 1, 'echo')
  // Every packet passes alone, as from a network card that puts nothing together.
  for (const netns of pods) await run('nsenter', `--net=${netns}`, 'ip', 'link', 'set', 'eth0', 'gso_max_segs', '1')
  yield await compare(`packets of 1,500 bytes${among}`, 'k/s', 1448 * 1000, 'send')
}

/** Pods with a /32 address each and a route through the node, as in a cluster. */
async function wire(node: string, pods: readonly string[]): Promise<void> {
  const ip = (netns: string, ...lines: string[]) =>
    run('nsenter', `--net=${netns}`, 'sh', '-ec', lines.map((line) => `ip ${line}`).join('\n'))
  await writeSysctl('net.ipv4.ip_forward', '1', node)
  await ip(node, `address add ${gateway}/32 dev lo`)
  for (const [i, netns] of pods.entries()) {
    const address = [client, server][i]
    await ip(node, `link add pod${i} type veth peer name eth0 netns ${netns}`, `link set pod${i} up`, `route add ${address}/32 dev pod${i}`)
    await ip(
      netns,
      `address add ${address}/32 dev eth0`,
      'link set eth0 up',
      `route add ${gateway} dev eth0 scope link`,
      `route add default via ${gateway}`,
    )
  }
}

type Stream = { ask(request: StreamRequest): Promise<number>; close(): Promise<void> }

function start(netns: string): Stream {
  const child: ChildProcess = fork(join(import.meta.dirname, 'stream.ts'), {
    execPath: 'nsenter',
    execArgv: [`--net=${netns}`, process.execPath],
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    async ask(request) {
      const answer = new Promise<{ value?: number; error?: string }>((resolve) => child.once('message', resolve))
      child.send(request)
      const { value, error } = await Promise.race([answer, ended.then(() => ({ value: undefined, error: 'it ended' }))])
      if (value === undefined) throw new Error(`stream: ${error}`)
      return value
    },
    async close() {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}

async function samples(count: number, take: (i: number) => Promise<number>): Promise<number[]> {
  const found: number[] = []
  for (let i = 0; i < count; i++) found.push(await take(i))
  return found
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await body()
  return performance.now() - started
}
