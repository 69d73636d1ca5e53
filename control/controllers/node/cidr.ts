// Cuts the cluster's address ranges, one of each family, into one a node (node.spec.podCIDRs).

import { addressAt, type Cidr, type Family, parseCidr } from '#api/cidr.ts'
import { isStatus } from '#api/errors.ts'
import { Node } from '#api/kinds/index.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from '../deps.ts'

/** More ranges than this nobody looks through (kube-controller-manager's limit too). */
const mostBits = 16

export type PodRange = { cluster: Cidr; nodePrefix: number }

/** Throws RangeError for a range out of which no node's can be cut. */
export function podRanges(clusters: readonly Cidr[], prefixes: Record<Family, number>): PodRange[] {
  return clusters.map((cluster) => {
    const nodePrefix = prefixes[cluster.family]
    if (nodePrefix < cluster.prefix) throw new RangeError(`${cluster.text} is too small: each node gets a /${nodePrefix} of it`)
    if (nodePrefix - cluster.prefix > mostBits)
      throw new RangeError(`${cluster.text} is too large: with /${nodePrefix} for each node it may be /${nodePrefix - mostBits} at most`)
    return { cluster, nodePrefix }
  })
}

export function nodeCidrs({ client, informers, recorderFor }: Deps, ranges: readonly PodRange[]): Reconciler {
  const nodes = informers.of(Node)
  const events = recorderFor('cidrAllocator')
  return {
    name: 'node-cidr',
    // One key for all nodes, and so one worker: no two nodes can be given the same range.
    watches: [mapped(Node, (node, old) => (old && old.spec.podCIDR === node.spec.podCIDR ? [] : ['all']))],
    async reconcile(_, signal) {
      for (const node of nodes.list().toArray()) {
        if (node.spec.podCIDR || node.metadata.deletionTimestamp) continue
        const taken = nodes.list().flatMap(cidrsOf).toArray()
        const podCIDRs = ranges.map((range) => {
          const free = firstFree(range, taken)
          if (free !== undefined) return free
          events.event(node, 'Normal', 'CIDRNotAvailable', `Node ${node.metadata.name} status is now: CIDRNotAvailable`)
          throw new Error(`no pod range is left in ${range.cluster.text} for node ${node.metadata.name}`)
        })
        const { resourceVersion, uid, name } = node.metadata
        const patch = { metadata: { resourceVersion, uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } }
        try {
          await client.patch(Node, { name }, 'merge', patch, { signal })
        } catch (error) {
          if (!isStatus(error, 'NotFound')) throw error
        }
      }
      return done
    },
  }
}

const cidrsOf = ({ spec }: Node): string[] => spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : [])

/** The lowest range for a node that overlaps none of `taken`. */
export function firstFree({ cluster, nodePrefix }: PodRange, taken: readonly string[]): string | undefined {
  const hostBits = BigInt((cluster.family === 'IPv4' ? 32 : 128) - nodePrefix)
  const used = new Set<bigint>()
  const most = 1n << BigInt(nodePrefix - cluster.prefix)
  for (const text of taken) {
    const cidr = parseCidr(text)
    if (cidr?.family !== cluster.family || cidr.last < cluster.first || cidr.first > cluster.last) continue
    const start = cidr.first < cluster.first ? 0n : (cidr.first - cluster.first) >> hostBits
    for (let slot = start; slot < most && cluster.first + (slot << hostBits) <= cidr.last; slot++) used.add(slot)
  }
  for (let slot = 0n; slot < most; slot++) if (!used.has(slot)) return `${addressAt(cluster, slot << hostBits)}/${nodePrefix}`
  return undefined
}
