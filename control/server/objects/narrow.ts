// What a node is shown of others, in place of the whole. Of the pods of other nodes: what network policies need to
// know of them, and neither their environment nor their volumes. Of nodes: where they are, which ranges their pods
// have, their labels, and whether they are ready; not their heartbeats, images and facts. Told once for each version
// of an object, however many nodes follow it.

import type { KubeObject } from '#api/kinds/kind.ts'
import { parseFields } from '#api/selector/field.ts'
import type { Container, Node, Pod } from '#api/types/core-v1.gen.ts'
import { nodeOf } from '#control/auth/user.ts'
import { type Telling, watchLine } from '../cache/change.ts'
import { alone, type Item } from '../cache/item.ts'
import type { Gathered } from '../cache/watcher.ts'
import type { Exchange } from '../http/request.ts'

export type Narrow = {
  /** The bytes that are sent in place of the object's own. */
  readonly bytes: (item: Item) => Uint8Array
  /** A watch's line of them. */
  readonly line: Telling
  /** Every node follows all of these, so they are told of many changes at a time, and of none that shows them nothing new. */
  readonly gathered?: Gathered
}

/** Undefined where all is shown: to others, and of a node's own pods and itself. */
export function narrowing({ user, info, url }: Exchange): Narrow | undefined {
  const node = nodeOf(user)
  if (node === undefined || info.group !== '' || (info.verb !== 'list' && info.verb !== 'watch')) return undefined
  const asked = parseFields(url.searchParams.get('fieldSelector') ?? '', () => true)
  const isOwn = (by: string) => asked.some(({ field, equal, value }) => field === by && equal && value === node)
  if (info.plural === 'pods') return isOwn('spec.nodeName') ? undefined : podsOfOthers
  if (info.plural === 'nodes') return isOwn('metadata.name') || info.name === node ? undefined : peers
  return undefined
}

/** Made once of each version, and kept as long as that. */
function once<T extends object | string>(make: (item: Item) => T): (item: Item) => T {
  const known = new WeakMap<Uint8Array, T>()
  return (item) => {
    const kept = known.get(item.bytes)
    if (kept !== undefined) return kept
    const made = make(item)
    known.set(item.bytes, made)
    return made
  }
}

/** What is shown of a version, by the bytes that it is made of. */
function narrowed(shown: (object: KubeObject) => object): Pick<Narrow, 'bytes' | 'line'> {
  const bytes = once(({ object }) => alone(JSON.stringify(shown(object))))
  return { bytes, line: (type, item) => watchLine(type, bytes(item)) }
}

const podsOfOthers: Narrow = narrowed((object) => {
  const { apiVersion, kind, metadata, spec, status } = object as Pod
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels } = metadata
  const { nodeName, hostNetwork } = spec
  return {
    apiVersion,
    kind,
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, labels },
    spec: {
      nodeName,
      hostNetwork,
      containers: spec.containers.map(portsOf),
      ...(spec.initContainers && { initContainers: spec.initContainers.map(portsOf) }),
    },
    status: { phase: status?.phase, podIP: status?.podIP, podIPs: status?.podIPs },
  }
})

const portsOf = ({ name, ports, restartPolicy }: Container) => ({ name, restartPolicy, resources: {}, ports })

const peerOf = ({ metadata, spec, status }: Node) => ({
  metadata: {
    name: metadata.name,
    uid: metadata.uid,
    creationTimestamp: metadata.creationTimestamp,
    deletionTimestamp: metadata.deletionTimestamp,
    labels: metadata.labels,
  },
  spec: { podCIDR: spec.podCIDR, podCIDRs: spec.podCIDRs },
  status: {
    addresses: status?.addresses,
    conditions: status?.conditions?.flatMap(({ type, status: state, lastTransitionTime }) =>
      type === 'Ready' ? [{ type, status: state, lastTransitionTime }] : [],
    ),
  },
})

/** Whatever of a node is shown, its version apart. */
const factsOf = once(({ object }) => JSON.stringify(peerOf(object as Node)))

const peers: Narrow = {
  ...narrowed((object) => {
    const { metadata, ...rest } = peerOf(object as Node)
    const { apiVersion, kind } = object
    return { apiVersion, kind, metadata: { ...metadata, resourceVersion: object.metadata.resourceVersion }, ...rest }
  }),
  gathered: { same: (before, now) => factsOf(before) === factsOf(now) },
}
