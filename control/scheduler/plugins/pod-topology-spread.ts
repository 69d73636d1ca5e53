// Topology spread constraints: how unevenly pods that a selector means may be spread over the domains of a label.
// Pods that have none are spread over hosts and zones where that costs nothing else.

import { labelSelector, matchesLabels } from '#api/selector/label.ts'
import type { Pod, TopologySpreadConstraint } from '#api/types/core-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import { narrowed } from '../cluster/affinity-term.ts'
import { pairOf } from '../cluster/buckets.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { DefaultSelectors } from '../cluster/default-selectors.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { NodeSelection, Selection, Tally } from '../cluster/tally.ts'
import type { Plugin } from '../framework/plugin.ts'
import { matchesRequired } from '../node-affinity.ts'
import { untolerated } from '../taints.ts'

export type PodTopologySpreadArgs = {
  /** `List`: those of `defaultConstraints`; `System`, the default: hosts and zones, where nothing speaks against it. */
  defaultingType?: 'System' | 'List'
  defaultConstraints?: readonly TopologySpreadConstraint[]
}

const hostname = 'kubernetes.io/hostname'
const systemConstraints: readonly TopologySpreadConstraint[] = [
  { topologyKey: hostname, whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway', maxSkew: 5 },
]

const text = "node(s) didn't match pod topology spread constraints"
const uneven = { reasons: [text] }
const unlabelled = { reasons: [`${text} (missing required label)`], unresolvable: true }

type Spread = { key: string; maxSkew: number; minDomains: number; self: 0 | 1; tally: Tally }

/** Stands for a node that a score leaves out. */
const leftOut = -1

export function podTopologySpread(
  { cluster, selectors }: { cluster: Cluster; selectors: DefaultSelectors },
  { defaultingType = 'System', defaultConstraints = [] }: PodTopologySpreadArgs = {},
): Plugin {
  const defaults = defaultingType === 'System' ? systemConstraints : defaultConstraints

  function constraintsOf({ pod }: PodInfo, when: TopologySpreadConstraint['whenUnsatisfiable']): readonly TopologySpreadConstraint[] {
    const own = pod.spec.topologySpreadConstraints
    if (own?.length) return own.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    const wanted = defaults.filter(({ whenUnsatisfiable }) => whenUnsatisfiable === when)
    if (!wanted.length) return wanted
    const selector = selectors.of(pod)
    return selector ? wanted.map((constraint) => ({ ...constraint, labelSelector: selector })) : []
  }

  /** With `keys`, nodes that lack one of these labels are no part of it. */
  function spreadOf(info: PodInfo, constraint: TopologySpreadConstraint, keys: readonly string[]): Spread {
    const { topologyKey: key, maxSkew, minDomains = 1 } = constraint
    const selector = narrowed(constraint.labelSelector, info.labels, constraint.matchLabelKeys)
    const selection = selectionOf(info.namespace, selector)
    return {
      key,
      maxSkew,
      minDomains,
      self: selection.matches(info) ? 1 : 0,
      tally: cluster.tallies.of(selection, key, nodesOf(info.pod, constraint, keys), constraint.whenUnsatisfiable === 'DoNotSchedule'),
    }
  }

  const spreadsOf = (pod: PodInfo, constraints: readonly TopologySpreadConstraint[], keys: readonly string[]) =>
    constraints.map((constraint) => spreadOf(pod, constraint, keys))

  /** Whom a pod's own constraints mean: asked for each that waits whenever a pod comes or goes. */
  const meant = new WeakMap<PodInfo, readonly Selection[]>()
  const selectionsOf = (pod: PodInfo): readonly Selection[] => {
    const known = meant.get(pod)
    if (known) return known
    const found = constraintsOf(pod, 'DoNotSchedule').map((constraint) =>
      selectionOf(pod.namespace, narrowed(constraint.labelSelector, pod.labels, constraint.matchLabelKeys)),
    )
    // Those of the defaults are as the services are at the moment.
    if (pod.pod.spec.topologySpreadConstraints?.length) meant.set(pod, found)
    return found
  }
  /** Whether a pod counts for this one's hard constraints. */
  const counts = (pod: PodInfo, other: PodInfo): boolean => selectionsOf(pod).some((selection) => selection.matches(other))
  const moved = (pod: PodInfo, { node, before }: { node: NodeInfo; before: NodeInfo['node'] }): boolean =>
    constraintsOf(pod, 'DoNotSchedule').some(({ topologyKey: key }) => node.labels[key] !== before.metadata.labels?.[key])

  return {
    name: 'PodTopologySpread',
    hints: {
      'pod/add': (pod, { pod: other }) => counts(pod, other),
      'pod/delete': (pod, { pod: other }) => counts(pod, other),
      'pod/leaving': (pod, { pod: other }) => counts(pod, other),
      'pod/labels': (pod, { pod: after, before }) => counts(pod, after) !== counts(pod, before),
      'node/add': () => true,
      // A domain that was too empty may be gone with it.
      'node/delete': () => true,
      'node/labels': (pod, event) =>
        moved(pod, event) || pod.pod.spec.nodeSelector !== undefined || pod.pod.spec.affinity?.nodeAffinity !== undefined,
      'node/taints': () => true,
    },
    preFilter(pod) {
      const constraints = constraintsOf(pod, 'DoNotSchedule')
      if (!constraints.length) return undefined
      const spreads = spreadsOf(pod, constraints, keysOf(constraints))
      const wide = spreads.find(({ key }) => key !== hostname)
      const allows = ({ tally, self, maxSkew, minDomains }: Spread, value: string): boolean =>
        tally.in(value) + self - (tally.domains < minDomains ? 0 : tally.least) <= maxSkew
      return {
        ...(wide && { domains: { key: wide.key, allows: (value?: string) => value !== undefined && allows(wide, value) } }),
        filter({ labels }) {
          for (const spread of spreads) {
            const value = labels[spread.key]
            if (value === undefined) return unlabelled
            if (!allows(spread, value)) return uneven
          }
          return undefined
        },
      }
    },
    preScore(pod, candidates) {
      const constraints = constraintsOf(pod, 'ScheduleAnyway')
      if (!constraints.length) return undefined
      const strict = Boolean(pod.pod.spec.topologySpreadConstraints?.length) || defaultingType === 'List'
      const keys = strict ? keysOf(constraints) : []
      const weighed = spreadsOf(pod, constraints, keys).map((spread) => ({
        ...spread,
        weight: Math.log(domainsAmong(candidates, spread.key, keys) + 2),
      }))
      return {
        of({ labels }) {
          if (lacks(labels, keys)) return leftOut
          let sum = 0
          for (const { key, tally, weight, maxSkew } of weighed) {
            const value = labels[key]
            if (value !== undefined) sum += tally.in(value) * weight + maxSkew - 1
          }
          return Math.round(sum)
        },
        normalize: fewestBest,
      }
    },
  }
}

const keysOf = (constraints: readonly TopologySpreadConstraint[]) => constraints.map(({ topologyKey }) => topologyKey).sort()

function lacks(labels: NodeInfo['labels'], keys: readonly string[]): boolean {
  for (const key of keys) if (labels[key] === undefined) return true
  return false
}

/** Topology values among these nodes. */
function domainsAmong(nodes: readonly NodeInfo[], key: string, keys: readonly string[]): number {
  // Every node is a host of its own.
  if (key === hostname) return nodes.reduce((sum, { labels }) => (labels[key] !== undefined && !lacks(labels, keys) ? sum + 1 : sum), 0)
  const values = new Set<string>()
  for (const { labels } of nodes) if (!lacks(labels, keys) && labels[key] !== undefined) values.add(labels[key])
  return values.size
}

function selectionOf(namespace: string, selector: LabelSelector | undefined): Selection {
  const labels = labelSelector(selector)
  return {
    id: `spread ${JSON.stringify([namespace, labels])}`,
    pair: pairOf(labels),
    choosesNamespaces: false,
    livingOnly: true,
    matches: (subject) => subject.namespace === namespace && matchesLabels(labels, subject.labels),
  }
}

/** Only nodes where the pod could go at all, and that have every key, count as domains. */
function nodesOf(
  pod: Pod,
  { nodeAffinityPolicy = 'Honor', nodeTaintsPolicy = 'Ignore' }: TopologySpreadConstraint,
  keys: readonly string[],
): NodeSelection {
  const { nodeSelector, affinity, tolerations } = pod.spec
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const chosen = nodeAffinityPolicy === 'Honor' && (nodeSelector !== undefined || required !== undefined)
  const tainted = nodeTaintsPolicy === 'Honor'
  return {
    id: JSON.stringify([keys, chosen && [nodeSelector, required], tainted && (tolerations ?? [])]),
    includes: (node) =>
      !lacks(node.labels, keys) &&
      (!chosen || matchesRequired(pod, node.node)) &&
      (!tainted || untolerated(node.taints, tolerations).length === 0),
  }
}

/** The fewest pods become 100; nodes that are left out 0. */
function fewestBest(values: Float64Array): void {
  let low = Number.POSITIVE_INFINITY
  let high = 0
  for (const value of values) {
    if (value === leftOut) continue
    if (value < low) low = value
    if (value > high) high = value
  }
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i]!
    values[i] = value === leftOut ? 0 : high === 0 ? 100 : Math.floor((100 * (high + low - value)) / high)
  }
}
