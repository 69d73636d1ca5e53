// The node's rules for packets: services, network policies, and the way through a FORWARD chain that drops
// by policy. By nf_tables; where the kernel has none, or where asked for, services are by iptables. Which
// it was is noted in the agent's folder, so that a change of mode leaves no rules of the other behind.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Nft, openConntrack, openNft } from 'nft-js'
import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import { type FastPath, openFastPath, removeFastPath } from '../fast-path/fast-path.ts'
import { keepForward, removeForward } from '../firewall/forward.ts'
import { openPolicy, type Policy } from '../policy/policy.ts'
import type { Networks, ProxyFamily } from '../proxy/family.ts'
import { openIptablesProxy, removeIptables } from '../proxy/iptables/iptables.ts'
import { openProxy, type Proxy } from '../proxy/proxy.ts'
import { openRuleset, type Ruleset } from './ruleset.ts'

/** `auto`: nf_tables where the kernel has it. */
export const proxyModes = ['auto', 'nftables', 'iptables'] as const
export type ProxyMode = (typeof proxyModes)[number]

export type RulesOptions = {
  mode: ProxyMode
  /** The agent's folder. */
  dataDir: string
  nodeName: string
  networks: Partial<Record<ProxyFamily, Networks>>
  /** The links between which pods' packets are forwarded, as they are now; absent: none of them takes a fast path. */
  links?: () => Promise<readonly string[]>
  clock: Clock
  log: Log
  /** Path of a network namespace; absent: the process's own. */
  netns?: string
  /** Opens nf_tables; undefined where the kernel has none. */
  tables?: (inside: { netns?: string }) => Promise<Nft | undefined>
}

/** Closing leaves the rules as they are. */
export type Rules = { mode: 'nftables' | 'iptables'; proxy: Proxy; policy: Policy; close(): Promise<void> }

/** Without nf_tables its generation number cannot tell of changes: the FORWARD chain is looked at this often, milliseconds. */
const LOOK_MS = 60_000

export async function openRules(options: RulesOptions): Promise<Rules> {
  const { nodeName, networks, clock, log, netns, tables = tablesOf } = options
  await using stack = new AsyncDisposableStack()
  const inside = netns === undefined ? {} : { netns }
  const nft = await tables(inside)
  if (nft) stack.defer(() => nft.close())
  if (!nft && options.mode === 'nftables') throw new Error('--proxy-mode nftables: this kernel has no nf_tables')
  const mode = options.mode === 'auto' ? (nft ? 'nftables' : 'iptables') : options.mode
  const conntrack = await openConntrack(inside)
  stack.defer(() => conntrack.close())

  const pods = Object.fromEntries(Object.entries(networks).map(([family, { cluster }]) => [family, cluster]))
  const changes = nft ?? { generation: async () => Math.floor(clock.monotonic() / LOOK_MS) }
  const forward = keepForward({ ...inside, pods, nft: changes, clock, log })
  stack.defer(() => forward.close())

  await leaveOther(mode, options, nft)
  const common = { ...inside, conntrack, log, nodeName, networks }
  const ruleset = nft && openRuleset(nft)
  const proxy = mode === 'nftables' && ruleset ? openProxy({ ...common, ruleset }) : await openIptablesProxy(common)
  stack.defer(() => proxy.close())
  const families = (Object.keys(networks) as ProxyFamily[]).sort()
  const fastPath = await fastPathOf(options, { nft, ruleset, pods })
  if (fastPath) stack.defer(() => fastPath.close())
  const judging = fastPath && { judging: fastPath.judge.bind(fastPath) }
  const policy = ruleset ? openPolicy({ ruleset, log, nodeName, families, ...judging }) : unenforced()
  const opened = stack.move()
  return { mode, proxy, policy, close: () => opened.disposeAsync() }
}

type Kernel = { nft: Nft | undefined; ruleset: Ruleset | undefined; pods: Partial<Record<ProxyFamily, string>> }

async function fastPathOf({ links, clock, log }: RulesOptions, { nft, ruleset, pods }: Kernel): Promise<FastPath | undefined> {
  if (!nft || !ruleset) return undefined
  if (links) return openFastPath({ ruleset, nft, pods, devices: links, clock, log })
  await removeFastPath(ruleset, log)
  return undefined
}

/** Takes all rules of ours out, whoever made them. Every step runs. */
export async function removeRules({ dataDir, log, netns }: { dataDir: string; log: Log; netns?: string }): Promise<void> {
  const inside = netns === undefined ? {} : { netns }
  const nft = await tablesOf(inside)
  const steps = await Promise.allSettled([
    nft && removeTables(nft, log),
    removeIptables(netns),
    removeForward({ ...inside, log }),
    rm(modeFile(dataDir), { force: true }),
  ])
  nft?.close()
  const failures = steps.flatMap((step) => (step.status === 'rejected' ? [step.reason as unknown] : []))
  if (failures.length > 0) throw new AggregateError(failures, 'not all rules could be removed')
}

async function tablesOf(inside: { netns?: string }): Promise<Nft | undefined> {
  let nft: Nft | undefined
  try {
    nft = await openNft(inside)
    await nft.generation()
    return nft
  } catch {
    nft?.close()
    return undefined
  }
}

async function removeTables(nft: Nft, log: Log): Promise<void> {
  const anywhere = (all: string) => ({ cluster: all, pods: all, services: all })
  const networks = { ip: anywhere('0.0.0.0/0'), ip6: anywhere('::/0') }
  const ruleset = openRuleset(nft)
  await openProxy({ ruleset, conntrack: { remove: async () => 0 }, log, nodeName: '', networks }).remove()
  await openPolicy({ ruleset, log, nodeName: '', families: ['ip', 'ip6'] }).remove()
  await removeFastPath(ruleset, log)
}

async function leaveOther(mode: Rules['mode'], { dataDir, log, netns }: RulesOptions, nft: Nft | undefined): Promise<void> {
  const file = modeFile(dataDir)
  const before = await readFile(file, 'utf8').catch(() => mode)
  if (before !== mode) {
    log.info({ before, mode }, 'the service proxy changes its mode')
    if (mode === 'nftables') await removeIptables(netns)
    else if (nft) await removeTables(nft, log)
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  await writeFile(file, mode, { mode: 0o600 })
}

const modeFile = (dataDir: string): string => join(dataDir, 'proxy-mode')

/** Policies are sets and maps, which iptables has not: each is told that it is not in force. */
function unenforced(): Policy {
  const policies = new Map<string, NetworkPolicy>()
  return {
    policyChanged({ namespace, name }, policy) {
      if (policy) policies.set(`${namespace}/${name}`, policy)
      else policies.delete(`${namespace}/${name}`)
    },
    podChanged() {},
    placedChanged() {},
    namespaceChanged() {},
    apply: async () => ({
      errors: [...policies.values()].map((policy) => ({ policy, reason: 'this node has no nf_tables: its pods are not isolated' })),
    }),
    remove: async () => {},
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }
}
