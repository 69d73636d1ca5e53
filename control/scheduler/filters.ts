// Why a pod cannot run on a node, in Kubernetes' words. The first filter that objects counts.

import type { Pod } from '#api/types/core-v1.gen.ts'
import { type HostPort, hostPortsOf, type NodeState } from './cluster.ts'
import type { Filter, Namespaces } from './filter.ts'
import { matchesRequired } from './node-affinity.ts'
import { affinityFilter } from './pod-affinity.ts'
import type { Resources } from './resources.ts'
import { requestsOf } from './resources.ts'
import { spreadFilter } from './spread.ts'
import { tolerates, unschedulableTaint, untolerated } from './taints.ts'

/** All filters for one pod, in the order in which they are asked. Made once a placement, asked once a node. */
export function filtersFor(pod: Pod, nodes: readonly NodeState[], namespaces: Namespaces): Filter[] {
  const filters: Filter[] = [schedulable(pod), named(pod), tolerated(pod), selected(pod)]
  const ports = hostPortsOf(pod)
  if (ports.length) filters.push(portsFree(ports))
  filters.push(fits(requestsOf(pod)))
  if (pod.spec.topologySpreadConstraints?.length) filters.push(spreadFilter(pod, nodes))
  const affinity = affinityFilter(pod, nodes, namespaces)
  if (affinity) filters.push(affinity)
  return filters
}

const none: readonly string[] = []

const schedulable = (pod: Pod): Filter => {
  const tolerated = pod.spec.tolerations?.some((t) => tolerates(t, { key: unschedulableTaint, effect: 'NoSchedule' }))
  return ({ node }) => (node.spec.unschedulable && !tolerated ? ['node(s) were unschedulable'] : none)
}

const named = (pod: Pod): Filter => {
  const { nodeName } = pod.spec
  return ({ name }) => (nodeName && nodeName !== name ? ["node(s) didn't match the requested node name"] : none)
}

const tolerated =
  (pod: Pod): Filter =>
  ({ taints }) => {
    const [taint] = untolerated(
      taints.filter(({ effect }) => effect !== 'PreferNoSchedule'),
      pod.spec.tolerations,
    )
    return taint ? [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`] : none
  }

const selected =
  (pod: Pod): Filter =>
  ({ node }) =>
    matchesRequired(pod, node) ? none : ["node(s) didn't match Pod's node affinity/selector"]

const portsFree =
  (wanted: HostPort[]): Filter =>
  ({ pods }) => {
    for (const { ports } of pods.values()) {
      if (ports.some((taken) => wanted.some((port) => clash(taken, port))))
        return ["node(s) didn't have free ports for the requested pod ports"]
    }
    return none
  }

const everywhere = (ip: string) => ip === '0.0.0.0' || ip === '::'
const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || everywhere(a.ip) || everywhere(b.ip))

const fits =
  (requests: Resources): Filter =>
  ({ allocatable, used, pods }) => {
    const reasons: string[] = []
    if (pods.size + 1 > (allocatable.get('pods') ?? 110)) reasons.push('Too many pods')
    for (const [name, amount] of requests) {
      if (amount > 0 && amount + (used.get(name) ?? 0) > (allocatable.get(name) ?? 0)) reasons.push(`Insufficient ${name}`)
    }
    return reasons
  }
