// A node as the scheduler reckons with it, and what runs there. What filters and scores ask is summed up
// as pods come and go.

import type { Node, Taint } from '#api/types/core-v1.gen.ts'
import { type Resources, resourcesOf } from '../resources.ts'
import { effectiveTaints } from '../taints.ts'
import { HostPorts } from './host-ports.ts'
import type { PodInfo } from './pod-info.ts'

const nothing: Resources = new Map()
const noNode: Node = { apiVersion: 'v1', kind: 'Node', metadata: { name: '', uid: '', resourceVersion: '' }, spec: {} } as Node

const noLabels: Readonly<Record<string, string>> = Object.create(null) as Record<string, string>

export class NodeInfo {
  readonly name: string
  /** By uid. */
  readonly pods = new Map<string, PodInfo>()
  readonly used = new Map<string, number>()
  /** Of what it offers, what is not used. */
  readonly free = new Map<string, number>()
  readonly ports = new HostPorts()
  node: Node = noNode
  /** Without what every object has: pods say which are looked up. */
  labels: Readonly<Record<string, string>> = noLabels
  allocatable: Resources = nothing
  /** Pods that may be there. */
  mostPods = 0
  unschedulable = false
  /** Those that keep pods away, and those that would rather. */
  taints: readonly Taint[] = []
  softTaints: readonly Taint[] = []
  /** Sizes in bytes by image name. */
  images: ReadonlyMap<string, number> = nothing
  /** What its pods are taken to cost, for scores: CPU in thousandths, memory in bytes. */
  cpu = 0
  memory = 0

  constructor(name: string) {
    this.name = name
  }

  /** False where only its pods have been heard of. */
  get isKnown(): boolean {
    return this.node !== noNode
  }

  become(node: Node): void {
    this.node = node
    this.labels = Object.assign(Object.create(null) as Record<string, string>, node.metadata.labels)
    this.allocatable = resourcesOf(node.status?.allocatable ?? node.status?.capacity)
    this.free.clear()
    for (const [name, amount] of this.allocatable) this.free.set(name, amount - (this.used.get(name) ?? 0))
    this.mostPods = this.allocatable.get('pods') ?? 110
    this.unschedulable = node.spec.unschedulable ?? false
    const taints = effectiveTaints(node)
    this.softTaints = taints.filter(({ effect }) => effect === 'PreferNoSchedule')
    this.taints = taints.filter(({ effect }) => effect !== 'PreferNoSchedule')
    this.images = new Map((node.status?.images ?? []).flatMap(({ names, sizeBytes = 0 }) => names.map((n) => [n, sizeBytes] as const)))
  }

  leave(): void {
    this.node = noNode
    this.labels = noLabels
    this.images = nothing
    this.softTaints = []
  }

  add(pod: PodInfo): void {
    this.pods.set(pod.uid, pod)
    this.#count(pod, 1)
  }

  remove(pod: PodInfo): void {
    this.pods.delete(pod.uid)
    this.#count(pod, -1)
  }

  #count(pod: PodInfo, sign: 1 | -1): void {
    for (const [name, amount] of pod.wanted) {
      this.used.set(name, (this.used.get(name) ?? 0) + sign * amount)
      const free = this.free.get(name)
      if (free !== undefined) this.free.set(name, free - sign * amount)
    }
    this.cpu += pod.cpu * sign
    this.memory += pod.memory * sign
    for (const port of pod.ports) this.ports.add(port, sign)
  }
}
