// What a scheduler plugin is: an object that has some of these methods, named as kube-scheduler names its
// extension points. Placing a pod is one synchronous turn: `preFilter` once, its filter for node after node,
// `preScore` once, its score for each node that fits, `reserve`, `permit`; only then, beside the placing of
// others, `preBind`, `bind`, `postBind`. Nothing else happens to the cluster within that turn, so what a
// plugin reads of it is true until the turn ends; what a filter answers it reads when asked, since preemption asks
// about nodes from which it has taken pods away.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informers } from '#api/informer/informers.ts'
import type { Log } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { DefaultSelectors } from '../cluster/default-selectors.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'

/** Why not, in kube-scheduler's words. `unresolvable`: not even if pods were taken away from the node. */
export type Refusal = { readonly reasons: readonly string[]; readonly unresolvable?: boolean }

/** Asked of one node: why the pod cannot be there; undefined: it can. */
export type Filter = (node: NodeInfo) => Refusal | undefined

/** What `preFilter` finds: `refusal`: it fits nowhere. */
export type PreFiltered =
  | {
      filter: Filter
      /** Only these nodes need be asked. */
      only?: ReadonlySet<string>
      /** Only nodes that have one of these values of a label need be asked, undefined where they lack it. */
      domains?: Domains
      refusal?: undefined
    }
  | { refusal: Refusal }

export type Domains = { key: string; allows(value: string | undefined): boolean }

export type Score = {
  /** How good a home the node is. */
  of(node: NodeInfo): number
  /**
   * Brings the values to 0..100, in place, in the order of the candidates: `highest` and `lowest` make the highest
   * (the lowest) the best in proportion to the highest. Without it they are of 0..100 already.
   */
  normalize?: 'highest' | 'lowest' | ((values: Float64Array, candidates: readonly NodeInfo[]) => void)
}

/** Something that may let a pod fit that did not. */
export type ClusterEvent =
  | { name: 'node/add'; node: NodeInfo }
  | { name: 'node/labels' | 'node/taints' | 'node/allocatable'; node: NodeInfo; before: Node }
  | { name: 'node/delete'; node: Node }
  /** Of pods that have a node: one more; one less, or over; it is being deleted; it asks for less; its labels. */
  | { name: 'pod/add' | 'pod/delete' | 'pod/leaving' | 'pod/scale-down'; pod: PodInfo }
  | { name: 'pod/labels'; pod: PodInfo; before: PodInfo }
  | { name: 'namespace/labels'; namespace: string }
  /** Of a claim, by its key; or of a volume or a class, which may concern every claim. */
  | { name: 'volumes/change'; claim?: string }

export type EventName = ClusterEvent['name']
/** The event of a name, where several share a shape. */
type EventOf<N extends EventName, E = ClusterEvent> = E extends { name: infer M }
  ? N extends M
    ? Omit<E, 'name'> & { name: N }
    : never
  : never

/** By event: whether it can let this pod fit, which the plugin has refused. Events that are not named here cannot. */
export type Hints = { readonly [N in EventName]?: (pod: PodInfo, event: EventOf<N> & { name: N }) => boolean }

/** One node's word on a pod that fits nowhere. */
export type NodeRefusal = { node: NodeInfo; refusal: Refusal }

export type PostFiltered = {
  /** What FailedScheduling says besides, e.g. `preemption: 0/3 nodes are available: …`. */
  message: string
  /** The node that is being made free for the pod; '': no node is to be promised to it any more. */
  nominated?: string
  /** What has to be done for it; goes on beside the placing of others. A failure takes the promise back. */
  act?: (signal: AbortSignal) => Promise<void>
}

/** `wait`: another plugin's or pod's word is awaited, so many milliseconds at most. */
export type Permission = Refusal | { wait: number } | undefined

export type Plugin = {
  readonly name: string
  /** queueSort: whether `a` is tried before `b`; false for equals. */
  before?(a: PodInfo, b: PodInfo): boolean
  /** Why the pod is not to be tried yet; it is asked again when the pod changes. */
  preEnqueue?(pod: PodInfo): string | undefined
  /** Of the events in it a pod is tried again that this plugin refused. */
  readonly hints?: Hints
  /** undefined: nothing to say about this pod. */
  preFilter?(pod: PodInfo): PreFiltered | undefined
  /** The pod fits nowhere. undefined: nothing to be done. */
  postFilter?(pod: PodInfo, refused: readonly NodeRefusal[], fits: (node: NodeInfo) => Refusal | undefined): PostFiltered | undefined
  /** undefined: all the same for this pod. */
  preScore?(pod: PodInfo, candidates: readonly NodeInfo[]): Score | undefined
  reserve?(pod: PodInfo, nodeName: string): Refusal | undefined
  /** Idempotent; also called where `reserve` was not. */
  unreserve?(pod: PodInfo, nodeName: string): void
  permit?(pod: PodInfo, nodeName: string): Permission
  preBind?(pod: PodInfo, nodeName: string, signal: AbortSignal): Promise<void>
  /** Whether it did; false: it is another's. */
  bind?(pod: PodInfo, nodeName: string, signal: AbortSignal): Promise<boolean>
  postBind?(pod: PodInfo, nodeName: string): void
}

/** What plugins are made with. */
export type Handle = {
  cluster: Cluster
  client: Client
  informers: Informers
  clock: Clock
  /** Aborts when the scheduler ends. */
  signal: AbortSignal
  random: () => number
  log: Log
  events: EventRecorder
  /** The profile's: how pods name it. */
  schedulerName: string
  selectors: DefaultSelectors
  /** Pods that wait for permission. */
  waiting: WaitingPods
  /** Something that only the plugin itself follows may let pods fit. */
  happened(this: void, event: ClusterEvent): void
}

export type WaitingPods = {
  /** Those that wait, and where. */
  list(): Iterable<{ pod: PodInfo; nodeName: string }>
  /** Lets one go that `plugin` has told to wait. */
  allow(uid: string, plugin: string): void
  reject(uid: string, plugin: string, reason: string): void
}
