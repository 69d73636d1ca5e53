// What the scheduler knows: nodes, what runs on them, and what it has just placed there itself. A placed
// pod counts from the decision on, so that a burst of pods does not overcommit a node while their
// bindings are still on the way.

import type { Node, Pod, Taint } from '#api/types/core-v1.gen.ts'
import { add, type Resources, requestsOf, resourcesOf } from './resources.ts'
import { effectiveTaints } from './taints.ts'

export type Placed = { pod: Pod; requests: Resources; ports: readonly HostPort[]; owner: string | undefined; nodeName: string }
export type HostPort = { ip: string; protocol: string; port: number }

export type NodeState = {
  name: string
  node: Node
  allocatable: Resources
  taints: readonly Taint[]
  /** Sizes in bytes by image name. */
  images: ReadonlyMap<string, number>
  used: Map<string, number>
  pods: Map<string, Placed>
  /** Pods per controller uid. */
  owners: Map<string, number>
}

type Load = Pick<NodeState, 'used' | 'pods' | 'owners'>

export class Cluster {
  readonly #nodes = new Map<string, NodeState>()
  /** By node name, also of nodes not yet heard of. */
  readonly #loads = new Map<string, Load>()
  readonly #placed = new Map<string, Placed>()
  readonly #assumed = new Set<string>()

  nodes(): NodeState[] {
    return [...this.#nodes.values()]
  }

  setNode(node: Node): void {
    const { name } = node.metadata
    const images = new Map((node.status?.images ?? []).flatMap(({ names, sizeBytes = 0 }) => names.map((n) => [n, sizeBytes] as const)))
    const allocatable = resourcesOf(node.status?.allocatable ?? node.status?.capacity)
    this.#nodes.set(name, { name, node, allocatable, taints: effectiveTaints(node), images, ...this.#loadOf(name) })
  }

  removeNode(name: string): void {
    this.#nodes.delete(name)
    if (this.#loads.get(name)?.pods.size === 0) this.#loads.delete(name)
  }

  /** A pod as the server has it: bound, unbound or at its end. Returns whether it makes room: it is over, or asks for less. */
  setPod(pod: Pod): boolean {
    const { uid } = pod.metadata
    if (!pod.spec.nodeName) return false
    const before = this.#placed.get(uid)
    this.#assumed.delete(uid)
    this.#unplace(uid)
    if (isOver(pod)) return before !== undefined
    const now = this.#place(pod, pod.spec.nodeName)
    return before !== undefined && [...before.requests].some(([name, amount]) => amount > (now.requests.get(name) ?? 0))
  }

  removePod(uid: string): void {
    this.#assumed.delete(uid)
    this.#unplace(uid)
  }

  /** Counts the pod on the node before the server knows; `forget` if the binding fails. */
  assume(pod: Pod, nodeName: string): void {
    this.#unplace(pod.metadata.uid)
    this.#place(pod, nodeName)
    this.#assumed.add(pod.metadata.uid)
  }

  forget(uid: string): void {
    if (this.#assumed.delete(uid)) this.#unplace(uid)
  }

  isAssumed(uid: string): boolean {
    return this.#assumed.has(uid)
  }

  #loadOf(name: string): Load {
    const found = this.#loads.get(name)
    if (found) return found
    const made: Load = { used: new Map(), pods: new Map(), owners: new Map() }
    this.#loads.set(name, made)
    return made
  }

  #place(pod: Pod, nodeName: string): Placed {
    const owner = pod.metadata.ownerReferences?.find((ref) => ref.controller)?.uid
    const placed: Placed = { pod, requests: requestsOf(pod), ports: hostPortsOf(pod), owner, nodeName }
    this.#placed.set(pod.metadata.uid, placed)
    const load = this.#loadOf(nodeName)
    load.pods.set(pod.metadata.uid, placed)
    add(load.used, placed.requests)
    if (owner) load.owners.set(owner, (load.owners.get(owner) ?? 0) + 1)
    return placed
  }

  #unplace(uid: string): void {
    const placed = this.#placed.get(uid)
    if (!placed) return
    this.#placed.delete(uid)
    const load = this.#loadOf(placed.nodeName)
    load.pods.delete(uid)
    add(load.used, placed.requests, -1)
    if (placed.owner) {
      const left = (load.owners.get(placed.owner) ?? 0) - 1
      if (left > 0) load.owners.set(placed.owner, left)
      else load.owners.delete(placed.owner)
    }
    if (load.pods.size === 0 && !this.#nodes.has(placed.nodeName)) this.#loads.delete(placed.nodeName)
  }
}

/** Its containers are gone for good, and with them what it used. */
export const isOver = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'

export function hostPortsOf(pod: Pod): HostPort[] {
  return pod.spec.containers.flatMap(({ ports = [] }) =>
    ports
      .map((port) => ({
        ip: port.hostIP || '0.0.0.0',
        protocol: port.protocol ?? 'TCP',
        port: port.hostPort ?? (pod.spec.hostNetwork ? port.containerPort : 0),
      }))
      .filter(({ port }) => port > 0),
  )
}
