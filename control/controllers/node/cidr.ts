// Cuts the cluster's address range into one range a node (node.spec.podCIDR).

import { isStatus } from '#api/errors.ts'
import { Node } from '#api/kinds/index.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'

/** Every node has room for 254 addresses. */
const nodePrefix = 24

type Range = { start: number; prefix: number }

export function nodeCidrs({ client, informers, recorderFor }: Deps, clusterCidr: string): Reconciler {
  const nodes = informers.of(Node)
  const events = recorderFor('cidrAllocator')
  const cluster = parse(clusterCidr)
  return {
    name: 'node-cidr',
    // One key for all nodes, and so one worker: no two nodes can be given the same range.
    watches: [mapped(Node, (node, old) => (old && old.spec.podCIDR === node.spec.podCIDR ? [] : ['all']))],
    async reconcile(_, signal) {
      for (const node of nodes.list().toArray()) {
        if (node.spec.podCIDR || node.metadata.deletionTimestamp) continue
        const cidr = firstFree(
          cluster,
          nodes.list().flatMap(({ spec }) => spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : [])),
        )
        if (!cidr) {
          events.event(node, 'Normal', 'CIDRNotAvailable', `Node ${node.metadata.name} status is now: CIDRNotAvailable`)
          throw new Error(`no pod range is left in ${clusterCidr} for node ${node.metadata.name}`)
        }
        const { resourceVersion, uid, name } = node.metadata
        try {
          await client.patch(
            Node,
            { name },
            'merge',
            { metadata: { resourceVersion, uid }, spec: { podCIDR: cidr, podCIDRs: [cidr] } },
            { signal },
          )
        } catch (error) {
          if (!isStatus(error, 'NotFound')) throw error
        }
      }
      return done
    },
  }
}

/** The lowest range of `cluster` that overlaps none of `taken`. */
export function firstFree(cluster: Range, taken: Iterable<string>): string | undefined {
  const size = 2 ** (32 - nodePrefix)
  const used = new Set<number>()
  for (const cidr of taken) {
    const { start, prefix } = parse(cidr)
    for (let at = start - (start % size); at < start + 2 ** (32 - prefix); at += size) used.add(at)
  }
  for (let at = cluster.start; at < cluster.start + 2 ** (32 - cluster.prefix); at += size) {
    if (!used.has(at)) return `${[24, 16, 8, 0].map((shift) => (at >>> shift) & 255).join('.')}/${nodePrefix}`
  }
  return undefined
}

export function parse(cidr: string): Range {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr)
  if (!match) throw new Error(`${cidr} is not an IPv4 range`)
  const [a, b, c, d, prefix] = match.slice(1).map(Number) as [number, number, number, number, number]
  const size = 2 ** (32 - prefix)
  const address = ((a * 256 + b) * 256 + c) * 256 + d
  return { start: address - (address % size), prefix }
}
