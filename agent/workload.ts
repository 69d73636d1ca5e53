// What a node needs its pod range for: the pod network, services, names, and the pods themselves.

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mounts, namespaces, openRtnetlink } from 'nft-js'
import type { Registry } from 'prom-client'
import { type Cidr, overlaps, parseCidr } from '#api/cidr.ts'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { Informers } from '#api/informer/informers.ts'
import type { Memory } from '#api/informer/memory.ts'
import { ConfigMap, EndpointSlice, Node, PersistentVolume, Pod, Service } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { localDriver, volumesOfNode } from '#api/local-volumes.ts'
import type { Log } from '#api/log.ts'
import { isTerminal } from '#api/pods.ts'
import { announceAddresses } from './announce/announce.ts'
import { type CniOptions, cniNetwork } from './cni/network.ts'
import { coalesce } from './coalesce.ts'
import { namesSettings, serveNames } from './dns/names.ts'
import { places } from './folders.ts'
import type { ImageStore } from './images/store.ts'
import { bandwidthOf, openLimiter } from './network/bandwidth.ts'
import { forwardingLinks } from './network/links.ts'
import { openLoopbackPorts } from './network/loopback.ts'
import { isOwnLink } from './network/names.ts'
import { openPodNetwork } from './network/network.ts'
import type { Backend } from './network/nodes.ts'
import { keepPortsApart } from './network/ports.ts'
import type { NodeAddresses } from './node/addresses.ts'
import type { Facts } from './node/facts.ts'
import { allocatableOf } from './node/status.ts'
import { openPods } from './pods/pods.ts'
import { hasAppArmor, type Isolation } from './pods/sandbox/isolation.ts'
import { fullName } from './pods/status/status.ts'
import { followPolicies } from './policy/policies.ts'
import type { Networks, ProxyFamily } from './proxy/family.ts'
import { serveServices } from './proxy/services.ts'
import { openRules, type ProxyMode } from './ruleset/rules.ts'
import type { Cgroups } from './runtime/cgroups.ts'
import type { Runtime } from './runtime/runtime.ts'
import { claimsOf } from './volumes/claims.ts'
import { emptyDirs } from './volumes/empty-dir.ts'
import { hostPaths } from './volumes/host-path.ts'
import { openDisk, runProgram } from './volumes/local/disk.ts'
import { growMounted, localVolumes } from './volumes/local/driver.ts'
import { keepVolumes } from './volumes/local/keeper.ts'
import { localPaths } from './volumes/local-path.ts'
import { countVolumes } from './volumes/metrics.ts'
import { exists } from './volumes/mount-table.ts'
import { openObjects } from './volumes/objects.ts'
import { payloads } from './volumes/payload-driver.ts'
import { stagedFolder } from './volumes/staging.ts'
import { type KeptTokens, tokensOf } from './volumes/tokens.ts'
import { openVolumes } from './volumes/volumes.ts'

export type WorkloadOptions = {
  client: Client
  log: Log
  clock: Clock
  random: () => number
  nodeName: string
  addresses: NodeAddresses
  /** This node's part of the cluster's ranges, one of each family. */
  podCIDRs: readonly string[]
  dataDir: string
  clusterDNS: readonly string[]
  clusterDomain: string
  clusterCIDRs: readonly Cidr[]
  serviceCIDRs: readonly Cidr[]
  networkMode: Backend
  proxyMode: ProxyMode
  /** Connections of pods that nobody is to judge may go past the rules, where the kernel can. */
  flowtable: boolean
  isolation: Omit<Isolation, 'apparmor' | 'seccompDir'>
  /** Plugins of others make the pods' network, in place of ours. */
  cni?: CniOptions
  facts: Facts
  images: ImageStore
  cgroups: Cgroups
  runtime: Runtime
  events: EventRecorder
  watched: Informers
  /** What an earlier agent knew. */
  memory: Memory
  tokens: KeptTokens
  metrics: Registry
  signal: AbortSignal
}

export type Workload = {
  /** By this node's own account. */
  pods(): readonly Pod[]
  close(): Promise<void>
}

/** The pods of this node. */
export const assignedTo = (nodeName: string) => ({ fieldSelector: `spec.nodeName=${nodeName}` })

/** Throws with nothing left open; what the kernel has by then stays for the next attempt. */
export async function openWorkload(options: WorkloadOptions): Promise<Workload> {
  const { client, log, clock, random, nodeName, podCIDRs, addresses, watched, memory } = options
  const stack = new AsyncDisposableStack()
  try {
    const services = watched.of(Service)
    const slices = watched.of(EndpointSlice)
    const nodes = watched.of(Node)
    const assigned = watched.of(Pod, assignedTo(nodeName))

    const podOf = (ref: { namespace: string; name: string; uid: string }) => {
      const known = assigned.get(ref)
      return known?.metadata.uid === ref.uid ? known : undefined
    }
    const openNetwork = options.cni ? cniNetwork({ ...options.cni, podOf }) : openPodNetwork
    const network = await openNetwork({
      dataDir: options.dataDir,
      nodeName,
      nodeIPs: addresses.current,
      podCIDRs,
      dnsAddresses: options.clusterDNS,
      backend: options.networkMode,
      log,
    })
    stack.defer(() => network.close())
    if (!options.cni) {
      const ports = keepPortsApart({ clock, log })
      stack.defer(() => ports.close())
    }
    stack.defer(addresses.on((nodeIPs) => network.moved(nodeIPs)))
    network.moved(addresses.current)
    const limiter = await openLimiter()
    stack.defer(() => limiter.close())
    const networks = networksOf(options)
    const rt = await openRtnetlink()
    stack.defer(() => rt.close())
    // Which links plugins forward between is theirs to know.
    const fast = options.flowtable && !options.cni && { links: () => forwardingLinks(rt, addresses.current) }
    const packetRules = await openRules({ mode: options.proxyMode, dataDir: options.dataDir, nodeName, networks, clock, log, ...fast })
    stack.defer(() => packetRules.close())
    const { proxy, policy } = packetRules
    const policies = followPolicies({ client, clock, random, log, events: options.events, watched, memory, policy })
    stack.defer(() => policies.close())

    const routes = coalesce(() => network.applyNodes([...nodes.list()]), { name: 'routes to nodes', clock, log })
    stack.defer(() => routes.close())

    const onStale = (pod: Pod, why: string) => {
      const message = `A service account token of the pod could not be renewed and is kept as it was: ${why}`
      options.events.event(pod, 'Warning', 'FailedTokenRenewal', message)
      log.warn({ pod: fullName(pod) }, message)
    }
    const objects = openObjects({ client, clock, random, log, memory })
    stack.defer(() => objects.close())
    const { pods: podsDir, volumes: stagingDir, local } = places(options.dataDir)
    const disk = openDisk(local)
    const drivers = [
      emptyDirs({ mounts }),
      hostPaths,
      localPaths,
      localVolumes({ mounts, disk }),
      payloads({ mounts, objects, tokens: tokensOf({ client, clock, kept: options.tokens, onStale }) }),
    ]
    const volumes = openVolumes({ mounts, drivers, claims: claimsOf({ client, podsDir }), podsDir, stagingDir })
    const synced = [services, slices, nodes, assigned, policies].map((each) => each.synced)
    await Promise.race([Promise.all(synced), aborted(options.signal)])
    options.signal.throwIfAborted()
    stack.defer(follow(nodes, () => routes.poke()))
    routes.poke()
    const rules = serveServices({ ...options, proxy, services, slices, nodes, pods: assigned })
    stack.defer(() => rules.close())
    const announced = announceAddresses({ ...options, services, slices, nodes, skip: isOwnLink })
    stack.defer(() => announced.close())

    const names = await serveNames({
      addresses: options.clusterDNS,
      domain: options.clusterDomain,
      cidrs: [...options.clusterCIDRs, ...options.serviceCIDRs].map(({ text }) => text),
      clock,
      random,
      log,
      services,
      slices,
      settings: watched.of(ConfigMap, namesSettings),
      events: options.events,
      nodeName,
      metrics: options.metrics,
    })
    stack.defer(() => names.close())

    const { info, memoryBytes } = options.facts
    const pods = await openPods({
      client,
      runtime: options.runtime,
      images: options.images,
      network: {
        async setup(pod) {
          const known = podOf(pod)
          const bandwidth = bandwidthOf(known?.metadata.annotations)
          const sandbox = await network.setup(pod)
          // Plugins are told of it.
          if (!options.cni) await limiter.limit(pod.uid, bandwidth)
          if (known) await policies.place(known, sandbox.ips)
          return sandbox
        },
        async teardown(uid) {
          await network.teardown(uid)
          await limiter.release(uid)
          policies.release(uid)
        },
        list: () => network.list(),
      },
      namespaces,
      cgroups: options.cgroups,
      volumes,
      objects,
      events: options.events,
      clock,
      random,
      log,
      newID: () => randomBytes(16).toString('hex'),
      host: {
        name: nodeName,
        get ips() {
          return addresses.current
        },
        memoryBytes,
        allocatable: allocatableOf(options.facts),
        bootID: info.bootID,
      },
      dns: { clusterDNS: options.clusterDNS, clusterDomain: options.clusterDomain, host: await hostResolvConf() },
      services: () => [...services.list()],
      isolation: { ...options.isolation, apparmor: await hasAppArmor(), seccompDir: places(options.dataDir).seccomp },
      podsDir,
      logsDir: places(options.dataDir).logs,
    })
    stack.defer(() => pods.close())
    // What earlier pods left staged has been put in order by now.
    const keeper = keepVolumes({
      client,
      clock,
      log,
      disk,
      volumes: watched.of(PersistentVolume, { labelSelector: volumesOfNode(nodeName) }),
      async stagedAt(handle) {
        const at = stagedFolder(stagingDir, localDriver, handle)
        return (await exists(at)) ? join(at, 'volume') : undefined
      },
      grow: (staged, handle) => growMounted(join(staged, 'fs'), disk, handle, runProgram),
    })
    stack.defer(() => keeper.close())
    countVolumes({ registry: options.metrics, podsDir, pods: () => assigned.list() })
    const loopback = openLoopbackPorts({ log })
    stack.defer(() => loopback.close())
    const hostPorts = coalesce(() => loopback.apply([...assigned.list()]), { name: 'host ports of loopback addresses', clock, log })
    stack.defer(() => hostPorts.close())
    stack.defer(follow(assigned, () => hostPorts.poke()))
    hostPorts.poke()
    for (const { metadata, spec, status } of assigned.list()) {
      const ips = status?.podIPs?.map(({ ip }) => ip) ?? []
      if (ips.length > 0 && !spec.hostNetwork && !isTerminal({ status })) network.expect?.(metadata.uid, ips)
    }
    const set = (pod: Pod) => pods.set(pod)
    stack.defer(assigned.on({ add: set, update: set, delete: (pod) => pods.remove(pod) }))
    // What is remembered may lack a pod that came shortly before the end.
    const closing = new AbortController()
    stack.defer(() => closing.abort())
    const tellHeard = async () => {
      await assigned.heard
      if (!closing.signal.aborted) pods.heard()
    }
    void tellHeard()
    stack.defer(
      addresses.on(() => {
        for (const pod of assigned.list()) set(pod)
      }),
    )
    return { pods: () => pods.list(), close: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/** Of each family that pods on this node have. Throws where the agent was told other ranges than the cluster's. */
function networksOf({ podCIDRs, clusterCIDRs, serviceCIDRs }: WorkloadOptions): Partial<Record<ProxyFamily, Networks>> {
  const networks: Partial<Record<ProxyFamily, Networks>> = {}
  for (const pods of podCIDRs) {
    const own = parseCidr(pods)
    const cluster = clusterCIDRs.find((range) => own && overlaps(range, own))
    const services = serviceCIDRs.find(({ family }) => family === own?.family)
    if (!cluster || !services)
      throw new Error(
        `this node's pod range ${pods} is in none of ${clusterCIDRs.map(({ text }) => text).join(' and ')}: is --cluster-cidr as the server has it?`,
      )
    networks[cluster.family === 'IPv4' ? 'ip' : 'ip6'] = { cluster: cluster.text, pods, services: services.text }
  }
  return networks
}

const follow = <T extends KubeObject>(informer: Informer<T>, poke: () => void): (() => void) =>
  informer.on({ add: poke, update: poke, delete: poke })

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** The node's resolv.conf; where that is systemd-resolved's stub, which no pod can reach, the one behind it. */
async function hostResolvConf(): Promise<string> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
  if (!/^nameserver\s+127\.0\.0\.53\s*$/m.test(text)) return text
  return readFile('/run/systemd/resolve/resolv.conf', 'utf8').catch(() => text)
}
