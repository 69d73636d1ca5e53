// What a node is shown of the pods of other nodes: what network policies need to know of them, and neither their
// environment nor their volumes. Told once for each version of a pod, however many nodes follow it.

import { parseFields } from '#api/selector/field.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { nodeOf } from '#control/auth/user.ts'
import { alone, type Item } from '../cache/item.ts'
import type { Exchange } from '../http/request.ts'

/** The bytes that are sent in place of the object's own. */
export type Narrow = (item: Item) => Uint8Array

/** Undefined where all is shown: to others, and of a node's own pods. */
export function narrowing({ user, info, url }: Exchange): Narrow | undefined {
  const node = nodeOf(user)
  if (node === undefined || info.group !== '' || info.plural !== 'pods' || (info.verb !== 'list' && info.verb !== 'watch')) return undefined
  const asked = parseFields(url.searchParams.get('fieldSelector') ?? '', () => true)
  return asked.some(({ field, equal, value }) => field === 'spec.nodeName' && equal && value === node) ? undefined : shown
}

const known = new WeakMap<Item, Uint8Array>()

const shown: Narrow = (item) => {
  const bytes = known.get(item) ?? alone(JSON.stringify(peerOf(item.object as Pod)))
  known.set(item, bytes)
  return bytes
}

function peerOf({ apiVersion, kind, metadata, spec, status }: Pod): object {
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
}

const portsOf = ({ name, ports, restartPolicy }: Container) => ({ name, restartPolicy, resources: {}, ports })
