// What becomes of a service's fields when its type changes (kubernetes pkg/registry/core/service,
// dropTypeDependentFields and patchAllocatedValues). A field that the new type cannot have goes where the
// client left it as it was, or out; where the client asked for another value, the rules refuse it.

import type { Service, ServiceSpec } from '../../types/core-v1.gen.ts'
import { same } from './faults.ts'

export const needsClusterIP = ({ type }: ServiceSpec): boolean => type !== 'ExternalName'
export const needsNodePorts = ({ type }: ServiceSpec): boolean => type === 'LoadBalancer' || type === 'NodePort'
export const needsHealthPort = ({ type, externalTrafficPolicy }: ServiceSpec): boolean =>
  type === 'LoadBalancer' && externalTrafficPolicy === 'Local'
/** Something from outside the cluster may come in through it. */
export const isExternallyAccessible = (spec: ServiceSpec): boolean =>
  needsNodePorts(spec) || (spec.type === 'ClusterIP' && (spec.externalIPs?.length ?? 0) > 0)
const isBalanced = ({ type }: ServiceSpec): boolean => type === 'LoadBalancer'

/** Which fields belong to which types; they go together, if none of them was changed. */
const belonging: { needs: (spec: ServiceSpec) => boolean; fields: readonly (readonly (keyof ServiceSpec)[])[] }[] = [
  { needs: needsClusterIP, fields: [['clusterIP', 'clusterIPs'], ['ipFamilies'], ['ipFamilyPolicy']] },
  { needs: needsHealthPort, fields: [['healthCheckNodePort']] },
  { needs: isBalanced, fields: [['allocateLoadBalancerNodePorts'], ['loadBalancerClass']] },
  { needs: isExternallyAccessible, fields: [['externalTrafficPolicy']] },
]

export function dropTypeDependentFields({ spec: next }: Service, { spec: previous }: Service): void {
  // Decided for all before any is gone: some depend on others.
  const dropped = belonging.filter(({ needs }) => needs(previous) && !needs(next)).flatMap(({ fields }) => fields)
  if (needsNodePorts(previous) && !needsNodePorts(next)) dropNodePorts(next, previous)
  for (const fields of dropped) {
    if (fields.some((field) => next[field] !== undefined && !same(next[field], previous[field]))) continue
    for (const field of fields) delete next[field]
  }
}

/** Ports may come, go and change: only a node port that is new says that somebody wants some. */
function dropNodePorts(next: ServiceSpec, previous: ServiceSpec): void {
  const before = new Set(previous.ports?.map(({ nodePort }) => nodePort))
  if (next.ports?.some(({ nodePort }) => nodePort && !before.has(nodePort))) return
  for (const port of next.ports ?? []) delete port.nodePort
}

/** What the server allotted stays where the client leaves it out: a manifest can be sent again as it was written. */
export function keepAllotted({ spec: next }: Service, { spec: previous }: Service): void {
  if (needsNodePorts(next) && needsNodePorts(previous)) keepNodePorts(next, previous)
  if (needsHealthPort(next) && needsHealthPort(previous) && previous.healthCheckNodePort)
    next.healthCheckNodePort ||= previous.healthCheckNodePort
}

function keepNodePorts(next: ServiceSpec, previous: ServiceSpec): void {
  const wanted = new Set(next.ports?.map(({ nodePort }) => nodePort))
  const byName = new Map(previous.ports?.map(({ name = '', nodePort }) => [name, nodePort]))
  for (const port of next.ports ?? []) {
    const before = byName.get(port.name ?? '')
    if (port.nodePort || !before || wanted.has(before)) continue
    port.nodePort = before
    wanted.add(before)
  }
}
