// This machine as a Node of the cluster: registered, kept alive by its lease, its status told when it
// changes. The server may be away at any time and for long; the node comes back by itself, even after
// its Node object was deleted.

import { isDeepStrictEqual } from 'node:util'
import type { Client } from '#api/client/client.ts'
import type { Clock, Timer } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { Node } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { NodeStatus, Taint } from '#api/types/core-v1.gen.ts'
import type { Images } from '../images/images.ts'
import type { NodeAddresses } from './addresses.ts'
import type { Facts } from './facts.ts'
import { featurePatch } from './features.ts'
import { annotationsOf, checkHolder, type Instance, ReplacedError } from './instance.ts'
import { heartbeat } from './lease.ts'
import { type Measured, pressureOf } from './pressure.ts'
import { nodeStatus } from './status.ts'

export interface NodeAgent {
  /** Resolves once the control plane has given the node its pod ranges, one of each family. */
  podCIDRs(): Promise<readonly string[]>
  /** The node can run pods now (undefined), or why it cannot. Told at once. */
  setNotReady(why: string | undefined): void
  /** Labels that say what the node is, in the place of those set before. Others' labels stay. */
  setFeatures(labels: Record<string, string>): void
  /** Resolves once the server knows that the node is Ready. */
  readonly ready: Promise<void>
  /** Resolves if another machine has taken the node's name: nothing more is told of this one. */
  readonly replaced: Promise<ReplacedError>
  close(): Promise<void>
}

export type NodeDeps = {
  client: Client
  clock: Clock
  random: () => number
  log: Log
  events: EventRecorder
  facts: Facts
  measure: () => Promise<Measured>
  images: Pick<Images, 'list'>
  name: string
  instance: Instance
  addresses: Pick<NodeAddresses, 'current' | 'on'>
  port: number
  labels?: Record<string, string>
  taints?: Taint[]
}

/** How often the status is looked at, and how often it is told although nothing has changed. */
const LOOK_MS = 10_000
const TELL_MS = 300_000
/** While the control plane has not given the node its pod range. */
const RANGE_MS = 100
const RETRY_MIN_MS = 250
const RETRY_MAX_MS = 10_000

export function openNode(deps: NodeDeps): NodeAgent {
  const { client, clock, random, log, name } = deps
  const closing = new AbortController()
  const { signal } = closing
  const ready = Promise.withResolvers<void>()
  const replaced = Promise.withResolvers<ReplacedError>()
  const retired = new AbortController()
  const beatingUntil = AbortSignal.any([signal, retired.signal])
  const range = Promise.withResolvers<readonly string[]>()
  let notReady: string | undefined = 'the pod network is not ready yet'
  let node: Node | undefined
  let features: Record<string, string> | undefined
  let told: { status: NodeStatus; at: number } | undefined
  let look = Promise.withResolvers<void>()
  let beating: Promise<void> | undefined
  /** What was told last may be there no more: of a node that is not heard of the control plane says itself how it is. */
  let isOverruled = false
  const running = run()
  const silence = deps.addresses.on(() => look.resolve())

  async function run(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        node ??= await register()
        beating ??= heartbeat(() => node!, { client, clock, random, log, signal: beatingUntil, lapsed: overruled })
        if (isOverruled) await lookAgain()
        await tell()
        await tellFeatures()
        failures = 0
        await Promise.race([pause(node.spec?.podCIDR ? LOOK_MS : RANGE_MS), look.promise])
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof ReplacedError) {
          retired.abort()
          replaced.resolve(error)
          return
        }
        if (isStatus(error, 'NotFound')) node = undefined
        log.warn({ err: error, node: name }, 'the node could not be told of')
        await pause(Math.min(RETRY_MIN_MS * 2 ** failures++, RETRY_MAX_MS) * (0.5 + random()))
      }
      look = Promise.withResolvers<void>()
    }
  }

  function overruled(): void {
    isOverruled = true
    look.resolve()
  }

  async function lookAgain(): Promise<void> {
    node = await client.get(Node, { name }, { signal })
    told = undefined
    isOverruled = false
  }

  let pausing: Timer | undefined
  function pause(ms: number): Promise<void> {
    pausing?.cancel()
    const { promise, resolve } = Promise.withResolvers<void>()
    pausing = clock.after(ms, resolve)
    return promise
  }

  async function register(): Promise<Node> {
    const { architecture, operatingSystem } = deps.facts.info
    const labels = {
      ...deps.labels,
      'kubernetes.io/hostname': name,
      'kubernetes.io/os': operatingSystem,
      'kubernetes.io/arch': architecture,
    }
    const annotations = annotationsOf(deps.instance)
    told = undefined
    let mine: Node
    try {
      mine = await client.create(Node, { metadata: { name, labels, annotations }, spec: { taints: deps.taints } }, { signal })
      log.info({ node: name }, 'node registered')
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error
      checkHolder(deps.instance, await client.get(Node, { name }, { signal }))
      mine = await client.patch(Node, { name }, 'merge', { metadata: { labels, annotations } }, { signal })
    }
    deps.instance.took()
    return mine
  }

  async function tell(): Promise<void> {
    const [measured, images] = await Promise.all([deps.measure(), deps.images.list()])
    const why = notReady
    const now = clock.now()
    const at = clock.monotonic()
    const { supply } = measured
    const standing = { ...deps, addresses: deps.addresses.current, pressure: pressureOf(measured), supply, images, notReady: why, now }
    const status = nodeStatus(standing, told?.status ?? node!.status)
    if (!told || at - told.at >= TELL_MS || !isDeepStrictEqual(timeless(status), timeless(told.status))) {
      // Merged by their type, two addresses of one type would become one: the list is told whole.
      const addresses = [...(status.addresses ?? []), { $patch: 'replace' }]
      node = await client.patch(Node, { name }, 'strategic', { status: { ...status, addresses } }, { subresource: 'status', signal })
      told = { status, at }
    } else if (!node!.spec?.podCIDR) {
      node = await client.get(Node, { name }, { signal })
    }
    checkHolder(deps.instance, node!)
    const { podCIDR, podCIDRs = [] } = node!.spec ?? {}
    if (podCIDR) range.resolve(podCIDRs.length > 0 ? podCIDRs : [podCIDR])
    if (why === undefined) ready.resolve()
  }

  async function tellFeatures(): Promise<void> {
    if (!features) return
    const patch = featurePatch(node!, features)
    if (patch) node = await client.patch(Node, { name }, 'merge', { metadata: patch }, { signal })
  }

  return {
    podCIDRs: () => range.promise,
    ready: ready.promise,
    replaced: replaced.promise,
    setNotReady(why) {
      if (why === notReady) return
      notReady = why
      const state = why === undefined ? 'NodeReady' : 'NodeNotReady'
      deps.events.event({ apiVersion: 'v1', kind: 'Node', name, uid: name }, 'Normal', state, `Node ${name} status is now: ${state}`)
      look.resolve()
    },
    setFeatures(labels) {
      features = labels
      look.resolve()
    },
    async close() {
      closing.abort()
      silence()
      look.resolve()
      pausing?.cancel()
      await Promise.all([running, beating])
    },
  }
}

/** Heartbeat times say nothing that the lease does not. */
const timeless = (status: NodeStatus): NodeStatus => ({
  ...status,
  conditions: status.conditions?.map((condition) => ({ ...condition, lastHeartbeatTime: undefined })),
})
