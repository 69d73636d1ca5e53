// The pods' network by plugins of others, in the place of our own: namespaces are made here, what is in
// them is the plugins' affair. The configuration is read for each pod anew; what a pod was attached with
// is kept, and taken back just so.

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { namespaces, openRtnetlink } from 'nft-js'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { PodNetworkOptions } from '../network/network.ts'
import type { PodNetwork, PodSandbox } from '../network/pod-network.ts'
import { listSandboxes, sandboxPaths } from '../network/sandbox.ts'
import { type Attachments, attachmentsIn } from './attachments.ts'
import { capabilitiesOf } from './capabilities.ts'
import { type Attachment, attach, check, collectGarbage, detach, negotiate, status } from './chain.ts'
import { loadNetwork } from './config.ts'
import { ensureDnsLink } from './dns-link.ts'
import { addressesOf, type Result } from './result.ts'

export type CniOptions = {
  /** Where network configurations are, and the folders with the plugins. */
  readonly confDir: string
  readonly binDirs: readonly string[]
}
type PodRef = { namespace: string; name: string; uid: string }
/** The pod as the API has it: what it asks of its network. */
type Pods = { readonly podOf: (pod: PodRef) => Pod | undefined }

const ifname = 'eth0'
/** As containerd gives them: ping and low ports need no privilege inside a namespace of one's own. */
const podSysctls = { 'net.ipv4.ping_group_range': '0 2147483647', 'net.ipv4.ip_unprivileged_port_start': '0' }

export const cniPlaces = (dataDir: string) => ({ sandboxes: join(dataDir, 'netns'), attachments: join(dataDir, 'cni') })

/**
 * What is called where `openPodNetwork` is otherwise. Finds what an earlier agent attached, and is ready for more.
 * Throws, in Kubernetes' words, while there is no configuration or its plugins are not ready.
 */
export const cniNetwork = (cni: CniOptions & Pods) => (node: Node) => openCniNetwork({ ...cni, ...node })

/** `netns` is where the node's own links are; plugins run in the process's. */
type Node = Pick<PodNetworkOptions, 'dataDir' | 'dnsAddresses' | 'netns' | 'log'>

const openCniNetwork = async (options: CniOptions & Pods & Node): Promise<Omit<PodNetwork, 'gateways'>> => {
  const { dataDir, confDir, binDirs, log, podOf } = options
  const places = cniPlaces(dataDir)
  const attachments = attachmentsIn(places.attachments)
  const closing = new AbortController()
  /** What was negotiated, by what was configured. */
  const versions = new Map<string, string>()
  const host = async () => {
    const network = await loadNetwork(confDir, log)
    const key = JSON.stringify(network)
    const version = versions.get(key) ?? (await negotiate({ network, binDirs }, { signal: closing.signal }))
    versions.set(key, version)
    return { network, binDirs, version }
  }
  try {
    const ready = await host()
    await status(ready)
    const records = await Promise.all((await attachments.list()).map((uid) => attachments.get(uid)))
    const valid = records.flatMap((record) => (record?.attachment.network.name === ready.network.name ? [record.attachment] : []))
    await collectGarbage(ready, valid).catch((error: unknown) => log.warn({ err: error }, 'network plugins could not forget what is gone'))
    await ensureDnsLink(options.dnsAddresses ?? [], options)
  } catch (error) {
    throw new Error(
      `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: ${textOf(error)}`,
      { cause: error },
    )
  }
  const turns = new Map<string, Promise<unknown>>()
  const made = new Map<string, string[]>()

  const add = async (pod: PodRef, netns: string): Promise<Result> => {
    const known = podOf(pod)
    const attachment: Attachment = {
      ...(await host()),
      containerID: pod.uid,
      netns,
      ifname,
      args: {
        IgnoreUnknown: '1',
        K8S_POD_NAMESPACE: pod.namespace,
        K8S_POD_NAME: pod.name,
        K8S_POD_INFRA_CONTAINER_ID: pod.uid,
        K8S_POD_UID: pod.uid,
      },
      capabilities: known ? capabilitiesOf(known) : {},
    }
    await attachments.put(pod.uid, { attachment })
    try {
      const result = await attach(attachment, { signal: closing.signal })
      addressesOf(result, ifname)
      await attachments.put(pod.uid, { attachment, result })
      return result
    } catch (error) {
      // What it leaves, the next attempt or the teardown takes back by the record.
      await takeBack(attachments, pod.uid).catch((left: unknown) =>
        log.warn({ uid: pod.uid, err: left }, 'a failed attachment could not be taken back yet'),
      )
      throw error
    }
  }

  /** The result of an earlier agent, if what it made is still there. */
  const found = async (uid: string, netns: string): Promise<Result | undefined> => {
    const record = await attachments.get(uid)
    if (!record) return undefined
    const { attachment, result } = record
    if (result && namespaces.isPinned(netns)) {
      try {
        await check(attachment, result, { signal: closing.signal })
        return result
      } catch (err) {
        // A running pod keeps its address while it has it: plugins in use complain where nothing is missing.
        const has = await hasAddresses(netns, addressesOf(result, ifname))
        log.warn({ uid, err }, has ? 'a network plugin finds fault with a pod' : 'a pod has lost its network and is attached anew')
        if (has) return result
      }
    }
    await takeBack(attachments, uid)
    return undefined
  }

  const setup = async (pod: Parameters<PodNetwork['setup']>[0]): Promise<PodSandbox> => {
    const paths = sandboxPaths(places.sandboxes, pod.uid)
    const known = made.get(pod.uid)
    if (known) return { namespaces: paths, ips: known }
    try {
      const before = await found(pod.uid, paths.net)
      await namespaces.create({ ...paths, hostname: pod.hostname, sysctls: podSysctls })
      const ips = addressesOf(before ?? (await add(pod, paths.net)), ifname)
      made.set(pod.uid, ips)
      return { namespaces: paths, ips }
    } catch (error) {
      throw new Error(`failed to setup network for sandbox "${pod.uid}": ${textOf(error)}`, { cause: error })
    }
  }

  const teardown = async (uid: string): Promise<void> => {
    made.delete(uid)
    try {
      await takeBack(attachments, uid)
    } catch (error) {
      throw new Error(`failed to destroy network for sandbox "${uid}": ${textOf(error)}`, { cause: error })
    }
    const paths = sandboxPaths(places.sandboxes, uid)
    for (const path of Object.values(paths)) await namespaces.unpin(path)
    await rm(join(places.sandboxes, uid), { recursive: true, force: true })
  }

  /** One change of a pod at a time. */
  const inTurn = async <T>(uid: string, work: () => Promise<T>): Promise<T> => {
    const before = turns.get(uid)
    const turn = (async () => {
      await before?.catch(() => {})
      return work()
    })()
    turns.set(uid, turn)
    try {
      return await turn
    } finally {
      if (turns.get(uid) === turn) turns.delete(uid)
    }
  }

  return {
    setup: (pod) => inTurn(pod.uid, () => setup(pod)),
    teardown: (uid) => inTurn(uid, () => teardown(uid)),
    async list() {
      await mkdir(places.sandboxes, { recursive: true, mode: 0o700 })
      return [...new Set([...(await listSandboxes(places.sandboxes)), ...(await attachments.list())])]
    },
    /** How nodes reach each other's pods is the plugins' affair. */
    async applyNodes() {},
    moved() {},
    async close() {
      closing.abort()
      await Promise.allSettled(turns.values())
    },
  }
}

const hasAddresses = async (netns: string, addresses: readonly string[]): Promise<boolean> => {
  await using inside = await openRtnetlink({ netns })
  const link = await inside.link(ifname)
  if (!link?.up) return false
  const present = (await inside.addresses(link.index)).map(({ address }) => address)
  return addresses.every((address) => present.includes(address))
}

/** Undoes what the pod's record tells of, and then forgets it. Idempotent. A namespace that is gone is passed as none (spec, DEL). */
const takeBack = async (attachments: Attachments, uid: string): Promise<void> => {
  const record = await attachments.get(uid)
  if (!record) return
  const { attachment, result } = record
  const netns = namespaces.isPinned(attachment.netns) ? attachment.netns : ''
  await detach({ ...attachment, netns }, result)
  await attachments.remove(uid)
}

/** Takes back every attachment, whether an agent runs, crashed or never was. Throws an AggregateError of those that failed. */
export const cleanupCni = async ({ dataDir }: { dataDir: string }): Promise<void> => {
  const { attachments: dir } = cniPlaces(dataDir)
  const attachments = attachmentsIn(dir)
  const failures: unknown[] = []
  for (const uid of await attachments.list()) await takeBack(attachments, uid).catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw new AggregateError(failures, 'not every pod could be detached from its network')
  await rm(dir, { recursive: true, force: true })
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
