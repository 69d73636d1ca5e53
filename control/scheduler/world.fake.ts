// A random cluster to which random things happen, each told as the scheduler hears it.

import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import { Cluster } from './cluster/cluster.ts'
import { nodeEvents, podEvents } from './events.ts'
import type { ClusterEvent } from './framework/plugin.ts'
import { type Random, randomNode, randomPod, spaces } from './random.fake.ts'

export class World {
  readonly cluster: Cluster
  readonly nodes = new Map<string, Node>()
  /** Those that have a node. */
  readonly pods = new Map<string, Pod>()
  readonly labels: Record<string, Record<string, string>> = { default: { team: 'x' }, other: {} }
  readonly #random: Random
  readonly #mostNodes: number
  #names = 0

  constructor(random: Random, mostNodes = 5) {
    this.#random = random
    this.#mostNodes = mostNodes
    this.cluster = new Cluster({ labelsOf: (namespace) => this.labels[namespace] ?? {} })
    const count = 1 + random.below(mostNodes)
    for (let i = 0; i < count; i += 1) this.#addNode()
    for (let i = random.below(3 * count); i > 0; i -= 1) this.#place(randomPod(random))
  }

  /** Something happens; what the scheduler is told of it. */
  change(): ClusterEvent[] {
    const { below, chance, of } = this.#random
    const pod = this.pods.size ? of([...this.pods.values()]) : undefined
    const node = this.nodes.size ? of([...this.nodes.values()]) : undefined
    switch (below(9)) {
      case 0:
        return this.nodes.size < this.#mostNodes ? this.#addNode() : []
      case 1: {
        if (!node || this.nodes.size === 1) return []
        this.nodes.delete(node.metadata.name)
        this.cluster.removeNode(node.metadata.name)
        return [{ name: 'node/delete', node }]
      }
      case 2:
      case 3: {
        if (!node) return []
        const next = randomNode(this.#random, node.metadata.name)
        // One thing at a time, so that each must be heard by itself.
        const after = of<Node>([
          { ...node, metadata: next.metadata },
          { ...node, spec: next.spec },
          { ...node, status: next.status },
        ])
        this.nodes.set(node.metadata.name, after)
        return nodeEvents(this.cluster.setNode(after), node)
      }
      case 4:
        return this.#place(randomPod(this.#random))
      case 5: {
        if (!pod) return []
        this.pods.delete(pod.metadata.uid)
        const info = this.cluster.removePod(pod.metadata.uid)
        return info ? podEvents(info, undefined) : []
      }
      case 6: {
        if (!pod) return []
        return this.#set({ ...pod, metadata: { ...pod.metadata, labels: randomPod(this.#random).metadata.labels! } })
      }
      case 7: {
        if (!pod) return []
        if (chance(0.5)) return this.#set({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2025-01-01T00:00:00Z' } })
        const [container] = pod.spec.containers
        return this.#set({ ...pod, spec: { ...pod.spec, containers: [{ ...container!, resources: {} }] } })
      }
      default: {
        const namespace = of(spaces)
        this.labels[namespace] = chance(0.7) ? { team: of(['x', 'y']) } : {}
        this.cluster.tallies.forgetNamespaces()
        return [{ name: 'namespace/labels', namespace }]
      }
    }
  }

  #addNode(): ClusterEvent[] {
    const node = randomNode(this.#random, `n${this.#names++}`)
    this.nodes.set(node.metadata.name, node)
    return [{ name: 'node/add', node: this.cluster.setNode(node) }]
  }

  #place(pod: Pod): ClusterEvent[] {
    const nodeName = this.#random.of([...this.nodes.keys(), 'unknown'])
    return this.#set({ ...pod, spec: { ...pod.spec, nodeName } })
  }

  #set(pod: Pod): ClusterEvent[] {
    this.pods.set(pod.metadata.uid, pod)
    const { before, after } = this.cluster.setPod(pod)
    return podEvents(before, after)
  }
}
