// `coracle agent`: the node agent, after it has joined the cluster.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { startAgent } from '#agent/agent.ts'
import { cleanupAgent } from '#agent/cleanup.ts'
import { isForeign, places } from '#agent/folders.ts'
import { openIdentity } from '#agent/join/identity.ts'
import { joinCluster, keptCredentials, type NodeCredentials, periodOf } from '#agent/join/join.ts'
import { isRunning } from '#agent/local/local.ts'
import type { Backend } from '#agent/network/nodes.ts'
import { fixedAddresses, followAddresses } from '#agent/node/addresses.ts'
import { checkUnsafeSysctls } from '#agent/pods/sandbox/isolation.ts'
import { keepAddresses, keptAddresses } from '#agent/record/addresses.ts'
import { openRecord } from '#agent/record/record.ts'
import { type ProxyMode, proxyModes } from '#agent/ruleset/rules.ts'
import type { Cidr } from '#api/cidr.ts'
import { httpsClient } from '#api/client/https.ts'
import { sleep, systemClock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { keepRenewed } from '#api/x509/renewal.ts'
import { collectWhenQuiet } from './garbage.ts'
import { openLog } from './log.ts'
import { networkOf } from './network.ts'
import { closeFolder } from './private.ts'
import { untilSignal } from './signals.ts'

export type AgentOptions = {
  dataDir: string
  server?: string
  token?: string
  tokenFile?: string
  nodeName?: string
  nodeIp?: string[]
  cgroupParent?: string
  runtime: string
  networkMode: string
  proxyMode: string
  flowtable: boolean
  seccompDefault: boolean
  podMaxPids: number
  allowedUnsafeSysctls: string
  cniConfDir?: string
  cniBinDir: string
  agentPort: number
  registries?: string
  cleanup?: boolean
  clusterCidr?: Cidr[]
  serviceCidr?: Cidr[]
  clusterDns?: string[]
  clusterDomain: string
  logLevel: string
}

const defaultDir = '/var/lib/coracle/agent'
const backends: readonly string[] = ['auto', 'vxlan', 'host-gw', 'routed']
/** How long to wait before the server is asked again to let this node in. */
const joinAgainMs = { first: 50, most: 5_000 }
/** What the server has to answer before a node that was let in once goes on with what it has. */
const patienceMs = 2_000

export async function runAgent(options: AgentOptions): Promise<void> {
  const log = openLog('agent', options.logLevel)
  const { dataDir, runtime, cgroupParent = cgroupOf(dataDir) } = options
  if (options.cleanup) return await cleanupAgent({ dataDir, cgroupParent, runtime, log })
  if (await isRunning(dataDir)) throw new Error(`an agent runs with ${dataDir} already: stop it first`)
  const { server } = options
  if (!server) throw new Error('--server is missing: the address of the cluster to join, https://host:6443')
  if (!isBackend(options.networkMode)) throw new Error(`--network-mode must be one of ${backends.join(', ')}, not ${options.networkMode}`)
  const { proxyMode } = options
  if (!isProxyMode(proxyMode)) throw new Error(`--proxy-mode must be one of ${proxyModes.join(', ')}, not ${proxyMode}`)
  const unsafeSysctls = options.allowedUnsafeSysctls.split(',').filter(Boolean)
  checkUnsafeSysctls(unsafeSysctls)
  const nodeName = options.nodeName ?? hostname().toLowerCase()
  const { pods, services, dns } = networkOf(options)
  // What the runtime makes in a container by way of this process is the container's, and open to its users.
  process.umask(0o022)
  await closeFolder(dataDir, log, isForeign)
  // Command lines are everybody's to see, and a token may stand on ours.
  if (options.token) process.title = 'coracle agent'
  const token = options.tokenFile ? (await readFile(options.tokenFile, 'utf8')).trim() : options.token

  const stop = new AbortController()
  const stopped = untilSignal().then(() => stop.abort())
  await using stack = new AsyncDisposableStack()
  const record = await openRecord({ dir: places(dataDir).record, clock: systemClock, log })
  stack.defer(() => record.close())
  const families = pods.map(({ family }) => family)
  const addresses = options.nodeIp
    ? fixedAddresses(options.nodeIp)
    : await followAddresses({ families, before: keptAddresses(record), clock: systemClock, log, signal: stop.signal })
  if (!addresses) return
  stack.defer(() => addresses.close())
  keepAddresses(record, addresses)
  const pkiDir = join(dataDir, 'pki')
  const joining = { server, token, nodeName, addresses: addresses.current, dir: pkiDir }
  const found = await credentialsOf(joining, log, stop.signal)
  if (!found) return
  const identity = openIdentity({ credentials: found.credentials, nodeName, dir: pkiDir, clock: systemClock })
  const client = httpsClient({
    server,
    credentials: () => ({ ca: identity.current.ca, ...identity.current.client }),
    userAgent: 'coracle-agent/0.1.0',
    log,
  })
  stack.defer(addresses.on(() => client.reconnect()))
  stack.defer(identity.on(() => client.renew()))
  const agent = await startAgent({
    client,
    log,
    record,
    nodeName,
    addresses,
    dataDir,
    cgroupParent,
    clusterDNS: dns,
    serviceCIDRs: services,
    runtime,
    clusterDomain: options.clusterDomain,
    clusterCIDRs: pods,
    networkMode: options.networkMode,
    proxyMode,
    flowtable: options.flowtable,
    isolation: {
      seccompDefault: options.seccompDefault,
      unsafeSysctls,
      ...(options.podMaxPids > 0 && { pidsLimit: options.podMaxPids }),
    },
    ...(options.cniConfDir && { cni: { confDir: options.cniConfDir, binDirs: options.cniBinDir.split(',').filter(Boolean) } }),
    port: options.agentPort,
    serving: servingOf(identity.current),
    registriesFile: options.registries ?? '/etc/coracle/registries.yaml',
  })
  agent.ready.then(
    () => log.info({ nodeName }, 'the node is Ready'),
    () => {}, // closed before it was
  )
  stack.defer(identity.on(() => agent.renew(servingOf(identity.current))))
  const renewing = (async () => {
    const renewed = await found.later
    if (renewed && renewed.client.cert !== found.credentials.client.cert) await identity.replace(renewed)
  })()
  const renewal = keepRenewed({
    dir: pkiDir,
    end: () => identity.end,
    renew: () => identity.renew({ client, addresses: addresses.current, signal: stop.signal }),
    clock: systemClock,
    log,
  })
  stack.defer(() => renewal.close())
  collectWhenQuiet({ clock: systemClock })
  await stopped
  await agent.close()
  await renewing
  client.close()
}

/** Agents of one host share its cgroups, wherever their networks are: what is not in the usual folder has another parent. */
const cgroupOf = (dataDir: string): string => {
  const folder = resolve(dataDir)
  return folder === defaultDir ? '/coracle' : `/coracle-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`
}

const servingOf = ({ agentsCa, serving }: NodeCredentials) => ({ ca: agentsCa, ...serving })

type Joining = Omit<Parameters<typeof joinCluster>[0], 'now' | 'signal'>
type Found = {
  credentials: NodeCredentials /** Those that were asked for and may still come. */
  later?: Promise<NodeCredentials | undefined>
}

/** A node that was let in once does not wait for the server: what it has may still do, and its pods need none. */
async function credentialsOf(joining: Joining, log: Log, signal: AbortSignal): Promise<Found | undefined> {
  const kept = await keptCredentials(joining)
  const asked = joined(joining, log, signal)
  if (!kept) return await asked.then((credentials) => credentials && { credentials })
  const late = new AbortController()
  const first = await Promise.race([
    asked.catch((err: unknown) => {
      log.error({ err }, 'this node cannot join the cluster: its pods run on without it')
      return kept
    }),
    sleep(systemClock, patienceMs, late.signal),
  ])
  late.abort()
  if (signal.aborted) return undefined
  const credentials = first ?? kept
  const { from, to } = periodOf(credentials)
  const now = Date.now()
  const about = { now: new Date(now), from: new Date(from), to: new Date(to) }
  if (now < from)
    log.warn(
      about,
      'the clock of this machine stands before its certificates begin: pods run, but the cluster is out of reach until it is set',
    )
  if (now > to) log.warn(about, 'the certificates of this node have run out: pods run, but the cluster is out of reach until it has others')
  return { credentials, ...(!first && { later: asked.catch(() => undefined) }) }
}

/** Asks until the server answers; undefined if the process is to end before. A token of the wrong form ends it at once. */
async function joined(options: Joining, log: Log, signal: AbortSignal): Promise<NodeCredentials | undefined> {
  for (let wait = joinAgainMs.first; !signal.aborted; wait = Math.min(wait * 2, joinAgainMs.most)) {
    try {
      return await joinCluster({ ...options, now: Date.now, signal })
    } catch (error) {
      if (signal.aborted) return undefined
      if (error instanceof SyntaxError || !options.token) throw error
      log.warn({ err: error, server: options.server }, 'cannot join the cluster yet')
      await sleep(systemClock, wait, signal)
    }
  }
  return undefined
}

const isBackend = (mode: string): mode is Backend => backends.includes(mode)
const isProxyMode = (mode: string): mode is ProxyMode => (proxyModes as readonly string[]).includes(mode)
