// The documented rules of scheduling as a plain program that looks at everything each time: what the scheduler
// with its sums and tallies has to agree with. It shares no code with the plugins but how resources are read.

import { selectorMatcher } from '#api/selector/label.ts'
import type { Node, NodeSelectorTerm, Pod, PodAffinityTerm, Taint, TopologySpreadConstraint } from '#api/types/core-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import { requestsOf, resourcesOf } from './resources.ts'

export type Facts = {
  nodes: readonly Node[]
  /** Those that have a node, and are not over. */
  pods: readonly Pod[]
  namespaceLabels: (namespace: string) => Record<string, string>
}

/** Why the pod cannot be on the node, by the first rule that is broken; none: it can. */
export function reasons(pod: Pod, node: Node, facts: Facts): string[] {
  if (node.spec.unschedulable && !tolerated(pod, { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }))
    return ['node(s) were unschedulable']
  const taint = taintsOf(node).find((each) => each.effect !== 'PreferNoSchedule' && !tolerated(pod, each))
  if (taint) return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`]
  if (!chosen(pod, node)) return ["node(s) didn't match Pod's node affinity/selector"]
  const there = on(node, facts)
  const ports = (each: Pod) => each.spec.containers.flatMap((container) => container.ports ?? []).flatMap((port) => port.hostPort ?? [])
  if (there.some((other) => ports(other).some((port) => ports(pod).includes(port))))
    return ["node(s) didn't have free ports for the requested pod ports"]
  const lacking = insufficient(pod, node, there)
  if (lacking.length) return lacking
  const spread = unspread(pod, node, facts)
  if (spread) return [spread]
  const affinity = unwanted(pod, node, facts)
  return affinity ? [affinity] : []
}

const on = (node: Node, { pods }: Facts): Pod[] => pods.filter(({ spec }) => spec.nodeName === node.metadata.name)

function insufficient(pod: Pod, node: Node, there: readonly Pod[]): string[] {
  const allocatable = resourcesOf(node.status?.allocatable)
  const found: string[] = []
  if (there.length + 1 > (allocatable.get('pods') ?? 110)) found.push('Too many pods')
  for (const [name, amount] of requestsOf(pod)) {
    const used = there.reduce((sum, other) => sum + (requestsOf(other).get(name) ?? 0), 0)
    if (amount > 0 && used + amount > (allocatable.get(name) ?? 0)) found.push(`Insufficient ${name}`)
  }
  return found
}

function taintsOf(node: Node): Taint[] {
  const ready = node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')
  return [
    ...(node.spec.taints ?? []),
    ...(node.spec.unschedulable ? [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' as const }] : []),
    ...(ready ? [] : [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' as const }]),
  ]
}

const tolerated = (pod: Pod, taint: Taint): boolean =>
  (pod.spec.tolerations ?? []).some(
    ({ key, operator, value, effect }) =>
      (!effect || effect === taint.effect) &&
      (!key || key === taint.key) &&
      (operator === 'Exists' || (Boolean(key) && (value ?? '') === (taint.value ?? ''))),
  )

const labelOf = (node: Node, key: string): string | undefined => node.metadata.labels?.[key]

function chosen(pod: Pod, node: Node): boolean {
  if (!Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labelOf(node, key) === value)) return false
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms
  return !terms || terms.some((term) => meets(term, node))
}

function meets({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  const holds = (operator: string, values: string[], actual: string | undefined): boolean => {
    if (operator === 'In') return actual !== undefined && values.includes(actual)
    if (operator === 'NotIn') return actual === undefined || !values.includes(actual)
    return operator === 'Exists' ? actual !== undefined : actual === undefined
  }
  return (
    matchExpressions.every(({ key, operator, values = [] }) => holds(operator, values, labelOf(node, key))) &&
    matchFields.every(({ operator, values = [] }) => holds(operator, values, node.metadata.name))
  )
}

function selected(selector: LabelSelector | undefined, owner: Pod, match: string[] = [], mismatch: string[] = []): (pod: Pod) => boolean {
  if (!selector) return () => false
  const own = owner.metadata.labels ?? {}
  const by = selectorMatcher(selector)
  return ({ metadata: { labels = {} } }) =>
    by(labels) &&
    match.every((key) => own[key] === undefined || labels[key] === own[key]) &&
    mismatch.every((key) => own[key] === undefined || labels[key] !== own[key])
}

// Topology spread

/** Pods by domain: of nodes where the pod could go by the constraint's own policies, and that have all keys. */
function domains(pod: Pod, constraint: TopologySpreadConstraint, keys: readonly string[], facts: Facts): Map<string, number> {
  const counts = new Map<string, number>()
  const counted = selected(constraint.labelSelector, pod, constraint.matchLabelKeys)
  for (const node of facts.nodes) {
    if (keys.some((key) => labelOf(node, key) === undefined)) continue
    if (constraint.nodeAffinityPolicy !== 'Ignore' && !chosen(pod, node)) continue
    if (constraint.nodeTaintsPolicy === 'Honor' && taintsOf(node).some((t) => t.effect !== 'PreferNoSchedule' && !tolerated(pod, t)))
      continue
    const value = labelOf(node, constraint.topologyKey)!
    const matching = on(node, facts).filter(
      (other) => other.metadata.namespace === pod.metadata.namespace && !other.metadata.deletionTimestamp && counted(other),
    )
    counts.set(value, (counts.get(value) ?? 0) + matching.length)
  }
  return counts
}

function unspread(pod: Pod, node: Node, facts: Facts): string | undefined {
  const hard = (pod.spec.topologySpreadConstraints ?? []).filter(({ whenUnsatisfiable }) => whenUnsatisfiable === 'DoNotSchedule')
  const keys = hard.map(({ topologyKey }) => topologyKey)
  const text = "node(s) didn't match pod topology spread constraints"
  for (const constraint of hard) {
    const value = labelOf(node, constraint.topologyKey)
    if (value === undefined) return `${text} (missing required label)`
    const counts = domains(pod, constraint, keys, facts)
    const least = counts.size < (constraint.minDomains ?? 1) ? 0 : Math.min(...counts.values())
    const self = selected(constraint.labelSelector, pod, constraint.matchLabelKeys)(pod) ? 1 : 0
    if ((counts.get(value) ?? 0) + self - least > constraint.maxSkew) return text
  }
  return undefined
}

// Inter-pod affinity

function meant(term: PodAffinityTerm, owner: Pod, other: Pod, { namespaceLabels }: Facts): boolean {
  const namespace = other.metadata.namespace ?? ''
  const named = term.namespaces?.length || term.namespaceSelector ? (term.namespaces ?? []) : [owner.metadata.namespace]
  const there = named.includes(namespace) || (term.namespaceSelector && selectorMatcher(term.namespaceSelector)(namespaceLabels(namespace)))
  return Boolean(there) && selected(term.labelSelector, owner, term.matchLabelKeys, term.mismatchLabelKeys)(other)
}

/** The pods in the node's domain of this key. */
function around(node: Node, key: string, facts: Facts): Pod[] {
  const value = labelOf(node, key)
  return value === undefined ? [] : facts.nodes.filter((each) => labelOf(each, key) === value).flatMap((each) => on(each, facts))
}

function unwanted(pod: Pod, node: Node, facts: Facts): string | undefined {
  const near = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  const away = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  const company = (other: Pod) => near.every((term) => meant(term, pod, other, facts))
  const nobody = near.every(({ topologyKey }) => !facts.nodes.some((each) => around(each, topologyKey, facts).some(company)))
  const first = nobody && company(pod)
  for (const { topologyKey } of near)
    if (first ? labelOf(node, topologyKey) === undefined : !around(node, topologyKey, facts).some(company))
      return "node(s) didn't match pod affinity rules"
  for (const term of away)
    if (around(node, term.topologyKey, facts).some((other) => meant(term, pod, other, facts)))
      return "node(s) didn't match pod anti-affinity rules"
  for (const other of facts.pods) {
    const theirs = facts.nodes.find(({ metadata }) => metadata.name === other.spec.nodeName)
    for (const term of other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
      const value = theirs && labelOf(theirs, term.topologyKey)
      if (value !== undefined && labelOf(node, term.topologyKey) === value && meant(term, other, pod, facts))
        return "node(s) didn't satisfy existing pods anti-affinity rules"
    }
  }
  return undefined
}

// Scores, each of 0 to 100 for the nodes that fit

export const scores: Record<string, (pod: Pod, fitting: readonly Node[], facts: Facts) => number[]> = {
  NodeResourcesFit: (pod, fitting, facts) =>
    fitting.map((node) => {
      const parts = (['cpu', 'memory'] as const).flatMap((name) => {
        const total = resourcesOf(node.status?.allocatable).get(name) ?? 0
        const modest = { cpu: 100, memory: 200 * 1024 ** 2 }[name]
        const taken = [...on(node, facts), pod].reduce((sum, each) => sum + (requestsOf(each).get(name) || modest), 0)
        return total === 0 ? [] : [taken > total ? 0 : Math.floor(((total - taken) * 100) / total)]
      })
      return parts.length ? Math.floor(parts.reduce((a, b) => a + b, 0) / parts.length) : 0
    }),
  TaintToleration(pod, fitting) {
    const soft = fitting.map((node) => taintsOf(node).filter((t) => t.effect === 'PreferNoSchedule' && !tolerated(pod, t)).length)
    const most = Math.max(0, ...soft)
    return soft.map((count) => 100 - (most === 0 ? 0 : Math.floor((count * 100) / most)))
  },
  NodeAffinity(pod, fitting) {
    const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
    const sums = fitting.map((node) => preferred.reduce((sum, { weight, preference }) => sum + (meets(preference, node) ? weight : 0), 0))
    const most = Math.max(0, ...sums)
    return sums.map((sum) => (most === 0 ? 0 : Math.floor((sum * 100) / most)))
  },
  InterPodAffinity(pod, fitting, facts) {
    const sums = fitting.map((node) => {
      let sum = 0
      const weigh = (owner: Pod, subject: Pod, seat: Node | undefined, hard: number) => {
        const { podAffinity, podAntiAffinity } = owner.spec.affinity ?? {}
        const add = (term: PodAffinityTerm, weight: number) => {
          const value = seat && labelOf(seat, term.topologyKey)
          if (value !== undefined && labelOf(node, term.topologyKey) === value && meant(term, owner, subject, facts)) sum += weight
        }
        for (const each of podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) add(each.podAffinityTerm, each.weight)
        for (const each of podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) add(each.podAffinityTerm, -each.weight)
        for (const each of podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) add(each, hard)
      }
      for (const other of facts.pods) {
        const seat = facts.nodes.find(({ metadata }) => metadata.name === other.spec.nodeName)
        weigh(pod, other, seat, 0)
        weigh(other, pod, seat, 1)
      }
      return sum
    })
    const [low, high] = [Math.min(...sums), Math.max(...sums)]
    return sums.map((sum) => (high > low ? Math.floor(((sum - low) * 100) / (high - low)) : 0))
  },
  PodTopologySpread(pod, fitting, facts) {
    const soft = (pod.spec.topologySpreadConstraints ?? []).filter(({ whenUnsatisfiable }) => whenUnsatisfiable === 'ScheduleAnyway')
    if (!soft.length) return fitting.map(() => 0)
    const keys = soft.map(({ topologyKey }) => topologyKey)
    const within = fitting.filter((node) => keys.every((key) => labelOf(node, key) !== undefined))
    const sums = fitting.map((node) => {
      if (!within.includes(node)) return undefined
      const parts = soft.map((constraint) => {
        const many = new Set(within.map((each) => labelOf(each, constraint.topologyKey))).size
        const count = domains(pod, constraint, keys, facts).get(labelOf(node, constraint.topologyKey)!) ?? 0
        return count * Math.log(many + 2) + constraint.maxSkew - 1
      })
      return Math.round(parts.reduce((a, b) => a + b, 0))
    })
    const known = sums.filter((sum) => sum !== undefined)
    const [low, high] = [Math.min(...known), Math.max(...known)]
    return sums.map((sum) => (sum === undefined ? 0 : high === 0 ? 100 : Math.floor((100 * (high + low - sum)) / high)))
  },
}
