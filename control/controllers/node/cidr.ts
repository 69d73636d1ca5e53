// Cuts the cluster's address ranges, one of each family, into one a node (node.spec.podCIDRs).

import { addressAt, type Cidr, type Family, parseCidr } from '#api/cidr.ts'
import { isStatus } from '#api/errors.ts'
import type { Index } from '#api/informer/indexes.ts'
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
  const bySlot = ranges.map(
    (range): Index<Node> =>
      (node) =>
        cidrsOf(node).flatMap((cidr) => slotsOf(range, cidr).map(String)),
  )
  /** Names of nodes for which there was no range: they have their turn when a node goes. */
  const waiting = new Set<string>()
  return {
    name: 'node-cidr',
    // One at a time: no two nodes can be given the same range.
    workers: 1,
    watches: [mapped(Node, (node, old) => (old && old.spec.podCIDR === node.spec.podCIDR ? [] : [node.metadata.name, ...waiting]))],
    async reconcile(key, signal) {
      const node = nodes.get(key)
      waiting.delete(key)
      if (!node || node.spec.podCIDR || node.metadata.deletionTimestamp) return done
      const podCIDRs = ranges.map((range, i) => {
        const free = firstFree(range, (slot) => nodes.by(bySlot[i] as Index<Node>, String(slot)).length > 0)
        if (free !== undefined) return free
        waiting.add(key)
        events.event(node, 'Normal', 'CIDRNotAvailable', `Node ${key} status is now: CIDRNotAvailable`)
        throw new Error(`no pod range is left in ${range.cluster.text} for node ${key}`)
      })
      const { resourceVersion, uid, name } = node.metadata
      const patch = { metadata: { resourceVersion, uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } }
      try {
        await client.patch(Node, { name }, 'merge', patch, { signal })
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error
      }
      return done
    },
  }
}

const cidrsOf = ({ spec }: Node): string[] => spec.podCIDRs ?? (spec.podCIDR ? [spec.podCIDR] : [])

const hostBits = ({ cluster, nodePrefix }: PodRange): bigint => BigInt((cluster.family === 'IPv4' ? 32 : 128) - nodePrefix)
const slotCount = ({ cluster, nodePrefix }: PodRange): number => 2 ** (nodePrefix - cluster.prefix)

/** Which nodes' parts of `range`, by their number, `text` overlaps. */
export function slotsOf(range: PodRange, text: string): number[] {
  const { cluster } = range
  const cidr = parseCidr(text)
  if (cidr?.family !== cluster.family || cidr.last < cluster.first || cidr.first > cluster.last) return []
  const at = (address: bigint) => Number((address - cluster.first) >> hostBits(range))
  const first = cidr.first < cluster.first ? 0 : at(cidr.first)
  const last = cidr.last > cluster.last ? slotCount(range) - 1 : at(cidr.last)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

/** The lowest range for a node that nobody has. */
export function firstFree(range: PodRange, isTaken: (slot: number) => boolean): string | undefined {
  const most = slotCount(range)
  for (let slot = 0; slot < most; slot += 1)
    if (!isTaken(slot)) return `${addressAt(range.cluster, BigInt(slot) << hostBits(range))}/${range.nodePrefix}`
  return undefined
}
