// The node agent: every part of it, opened in the order in which they need each other and closed in
// reverse. Closing leaves containers, network and services as they are, for the next agent to find;
// `cleanupAgent` is what removes them.

import { randomUUID } from 'node:crypto'
import { mounts } from 'nft-js'
import { Registry } from 'prom-client'
import type { Cidr } from '#api/cidr.ts'
import type { Client } from '#api/client/client.ts'
import { type Clock, sleep, systemClock } from '#api/clock.ts'
import { recorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import { informers } from '#api/informer/informers.ts'
import { Pod } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { CniOptions } from './cni/network.ts'
import { places } from './folders.ts'
import { hardwareOfBoot } from './hardware/ask.ts'
import { diskOf } from './hardware/disks.ts'
import { labelsOf } from './hardware/labels.ts'
import { type ImageStore, openImages } from './images/store.ts'
import { openLocal } from './local/local.ts'
import type { Backend } from './network/nodes.ts'
import { refuseOtherAgent } from './network/owner.ts'
import type { NodeAddresses } from './node/addresses.ts'
import { collectFacts } from './node/facts.ts'
import { type NodeAgent, openNode } from './node/node.ts'
import { measure } from './node/pressure.ts'
import { unseen } from './pods/worker/worker.ts'
import { findProgram } from './program.ts'
import { keptInstance } from './record/instance.ts'
import { type AgentMemory, memoryOf } from './record/memory.ts'
import { exportWrites } from './record/metrics.ts'
import { rangesOf } from './record/ranges.ts'
import type { AgentRecord } from './record/record.ts'
import { keptTokens } from './record/tokens.ts'
import { retireWhenReplaced } from './retire.ts'
import type { ProxyMode } from './ruleset/rules.ts'
import { openCgroups } from './runtime/cgroups.ts'
import { openRuntime } from './runtime/containers.ts'
import { openAgentServer, type Tls } from './server/server.ts'
import { assignedTo, openWorkload, type Workload, type WorkloadOptions } from './workload.ts'

export type AgentOptions = {
  client: Client
  log: Log
  /** What an earlier agent knew. */
  record: AgentRecord
  nodeName: string
  addresses: NodeAddresses
  /** The agent's own folder, e.g. `/var/lib/coracle/agent`. */
  dataDir: string
  /** Cgroup under which all containers are. */
  cgroupParent: string
  /** Of the cluster: where its names, its pods and its services are, one of each family. */
  clusterDNS: readonly string[]
  clusterDomain: string
  clusterCIDRs: readonly Cidr[]
  serviceCIDRs: readonly Cidr[]
  /** runc or crun, as a name in PATH or an absolute path. */
  runtime: string
  networkMode: Backend
  proxyMode: ProxyMode
  flowtable: boolean
  isolation: WorkloadOptions['isolation']
  cni?: CniOptions
  /** The agent's own endpoint, for the API server alone: its port and what it shows of itself. */
  port: number
  serving: Tls
  registriesFile?: string
  nodeLabels?: Record<string, string>
  clock?: Clock
  random?: () => number
}

export type Agent = {
  /** The server knows that the node is Ready. */
  readonly ready: Promise<void>
  /** Its own endpoint shows these from now on. */
  renew(serving: Tls): void
  /** Lets go of everything and leaves it running. Idempotent. */
  close(): Promise<void>
}

/** Fullness of the disk, in percent, at which unused images are removed, and to which. */
const IMAGES_HIGH = 85
const IMAGES_LOW = 80
const PRUNE_MS = 300_000
const RETRY_MS = 2_000
const FORGET_MS = 600_000

const LAST_EVENTS_MS = 500
/** The common name of the certificate with which the API server calls agents. */
const SERVER_NAME = 'system:coracle-server'

/** Throws where this machine cannot run containers at all; a server that is away is waited for. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { client, nodeName, dataDir, record, log, clock = systemClock, random = Math.random } = options
  const stack = new AsyncDisposableStack()
  const closing = new AbortController()
  try {
    await refuseOtherAgent(dataDir)
    const program = await findProgram(options.runtime)
    const [facts, images, cgroups] = await Promise.all([
      collectFacts({ dataDir, runtime: program }),
      openImages({ dir: places(dataDir).images, log, clock, registriesFile: options.registriesFile }),
      openCgroups({ parent: options.cgroupParent }),
    ])
    stack.defer(() => images.close())
    await cgroups.create('', {})
    const dir = places(dataDir).containers
    const runtime = await openRuntime({ dir, cgroups, mounts, clock, log, programs: { runtime: program } })
    stack.defer(() => runtime.close())
    const events = recorder({ client, component: 'kubelet', host: nodeName, clock, random, log })
    stack.defer(async () => {
      await Promise.race([events.flush(), sleep(clock, LAST_EVENTS_MS)])
      await events.close()
    })
    const memory = memoryOf({ record, clock })
    const tokens = keptTokens(record)
    const watched = informers({ client, log, clock, random, memory })
    stack.defer(() => watched.close())
    const node = openNode({
      client,
      clock,
      random,
      log,
      events,
      facts,
      images,
      name: nodeName,
      instance: keptInstance(record, randomUUID),
      addresses: options.addresses,
      port: options.port,
      labels: options.nodeLabels,
      measure: () => measure(dataDir),
    })
    stack.defer(() => node.close())
    const features = tellFeatures(node, { dataDir, bootID: facts.info.bootID, log, signal: closing.signal })
    stack.defer(() => features)
    const metrics = new Registry()
    exportWrites(record, metrics)
    const assigned = watched.of(Pod, assignedTo(nodeName))
    const server = await openAgentServer({
      runtime,
      pods: () => [...assigned.list()],
      nodeName,
      tls: options.serving,
      callers: [SERVER_NAME],
      log,
      clock,
      metrics: () => metrics.metrics(),
      port: options.port,
    })
    stack.defer(() => server.close())
    const pruning = prune(images, clock, log, closing.signal)
    stack.defer(() => pruning)

    const parts = {
      ...options,
      clock,
      random,
      facts,
      images,
      cgroups,
      runtime,
      events,
      watched,
      memory,
      tokens,
      metrics,
      signal: closing.signal,
    }
    const ranges = rangesOf({ node, record, assigned, log })
    let workload: Workload | undefined
    const openUntilDone = async (podCIDRs: readonly string[]) => {
      while (!closing.signal.aborted) {
        try {
          workload = await openWorkload({ ...parts, podCIDRs })
          node.setNotReady(undefined)
          return workload
        } catch (err) {
          if (closing.signal.aborted) break
          log.error({ err }, 'this node cannot run pods yet')
          node.setNotReady(`pods cannot run yet: ${err instanceof Error ? err.message : String(err)}`)
          await sleep(clock, RETRY_MS, closing.signal)
        }
      }
      return undefined
    }
    const working = (async () => {
      const podCIDRs = await Promise.race([ranges.first, aborted(closing.signal)])
      return podCIDRs && (await openUntilDone(podCIDRs))
    })()
    // The server may have given the range that is remembered to another node meanwhile.
    const settled = (async () => {
      const opened = await working
      const others = await Promise.race([ranges.others, aborted(closing.signal)])
      if (!others || closing.signal.aborted) return opened
      await opened?.close()
      return await openUntilDone(others)
    })()
    stack.defer(async () => (await settled)?.close())
    const pods = () => workload?.pods() ?? [...assigned.list()].map(unseen)
    const local = await openLocal({ dataDir, runtime, pods, now: () => clock.now(), log })
    stack.defer(() => local.close())
    const letGo = async () => {
      closing.abort()
      await (await settled)?.close()
      await watched.close()
    }
    const retiring = retireWhenReplaced({ replaced: node.replaced, letGo, memory, record, runtime, clock, log, signal: closing.signal })
    stack.defer(() => retiring)
    const forgetting = forgetUnused(memory, assigned, clock, closing.signal)
    stack.defer(() => forgetting)

    let closed: Promise<void> | undefined
    return {
      ready: node.ready,
      renew: (serving) => server.renew(serving),
      close() {
        closing.abort()
        closed ??= stack.disposeAsync()
        return closed
      },
    }
  } catch (error) {
    closing.abort()
    await stack.disposeAsync()
    throw error
  }
}

const aborted = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })

/** Once the server has been heard, and all that the pods need has been asked for. */
async function forgetUnused(memory: AgentMemory, assigned: Informer<Pod>, clock: Clock, signal: AbortSignal): Promise<void> {
  await Promise.race([assigned.heard, aborted(signal)])
  await sleep(clock, FORGET_MS, signal)
  if (!signal.aborted) memory.prune()
}

/** Once the node runs pods: what it is made of is nothing that they wait for. */
async function tellFeatures(node: NodeAgent, about: { dataDir: string; bootID: string; log: Log; signal: AbortSignal }): Promise<void> {
  const { dataDir, log, signal } = about
  await Promise.race([node.ready, aborted(signal)])
  if (signal.aborted) return
  try {
    node.setFeatures(labelsOf(await hardwareOfBoot(about), await diskOf(dataDir)))
  } catch (err) {
    if (!signal.aborted) log.warn({ err }, 'what this machine is made of could not be found out: its labels are missing')
  }
}

/** Keeps the disk from filling up with images that no container uses. */
async function prune(images: ImageStore, clock: Clock, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await sleep(clock, PRUNE_MS, signal)
    if (signal.aborted) return
    try {
      const removed = await images.prune({ highPercent: IMAGES_HIGH, lowPercent: IMAGES_LOW })
      if (removed.length > 0) log.info({ images: removed.map(({ names }) => names[0]) }, 'removed unused images: the disk was filling up')
    } catch (err) {
      log.warn({ err }, 'unused images could not be removed')
    }
  }
}
