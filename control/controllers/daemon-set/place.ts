// Where a DaemonSet's pods belong, and what makes a pod one for this very node.

import type { New } from '#api/client/client.ts'
import { DaemonSet } from '#api/kinds/index.ts'
import type { Affinity, Node, Pod, Taint, Toleration } from '#api/types/core-v1.gen.ts'
import { matchesRequired } from '../../scheduler/node-affinity.ts'
import { effectiveTaints, notReadyTaint, unreachableTaint, unschedulableTaint, untolerated } from '../../scheduler/taints.ts'
import { revisionLabel } from '../history/history.ts'
import { readiness } from '../node/health.ts'
import { podFrom } from '../template.ts'

const nameField = 'metadata.name'

/** Conditions of a node that are no reason to be without its daemons. */
const daemonTolerations: readonly Toleration[] = [
  ...[notReadyTaint, unreachableTaint].map((key) => ({ key, operator: 'Exists' as const, effect: 'NoExecute' as const })),
  ...['disk-pressure', 'memory-pressure', 'pid-pressure']
    .map((name) => `node.kubernetes.io/${name}`)
    .concat(unschedulableTaint)
    .map((key) => ({ key, operator: 'Exists' as const, effect: 'NoSchedule' as const })),
]

const networkToleration: Toleration = { key: 'node.kubernetes.io/network-unavailable', operator: 'Exists', effect: 'NoSchedule' }

export type Verdict = {
  /** Whether a pod should be there. */
  run: boolean
  /** Whether one that is there may stay: a taint that only keeps new pods away does not end it. */
  keep: boolean
}

export function judge({ spec }: DaemonSet, node: Node): Verdict {
  const { template } = spec
  const pinned = template.spec?.nodeName
  if ((pinned && pinned !== node.metadata.name) || !matchesRequired({ spec: template.spec ?? {} } as Pod, node))
    return { run: false, keep: false }
  const tolerations = tolerationsOf(spec)
  const forbid = (taints: readonly Taint[], ...effects: string[]) =>
    untolerated(
      taints.filter(({ effect }) => effects.includes(effect)),
      tolerations,
    ).length > 0
  if (forbid(node.spec?.taints ?? [], 'NoExecute')) return { run: false, keep: false }
  return { run: !forbid(effectiveTaints(node), 'NoSchedule'), keep: true }
}

/** A node that says it is not ready does, and it may be our pod that made it so. */
export const answers = (node: Node): boolean => readiness(node) !== 'Unknown'

/** Whether the change of a node can change a verdict, or what its pods are worth. */
export const isTelling = (node: Node, old: Node): boolean => telling(node) !== telling(old)

const telling = (node: Node): string => JSON.stringify([node.metadata.labels, effectiveTaints(node), answers(node)])

export function podFor(set: DaemonSet, node: string, hash: string): New<Pod> {
  const pod = podFrom(set.spec.template, set, DaemonSet)
  return {
    ...pod,
    metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, [revisionLabel]: hash } },
    spec: { ...pod.spec, affinity: boundTo(node, set.spec.template.spec?.affinity), tolerations: tolerationsOf(set.spec) },
  }
}

/** The node that a pod is on, or is meant for. */
export function nodeOf({ spec }: Pod): string | undefined {
  if (spec.nodeName) return spec.nodeName
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? []
  for (const { matchFields } of terms) {
    const field = matchFields?.find(({ key, operator }) => key === nameField && operator === 'In')
    if (field?.values?.length === 1) return field.values[0]
  }
  return undefined
}

/** The set's own wishes for the node were judged before; the scheduler is told of one node. */
function boundTo(node: string, affinity: Affinity | undefined): Affinity {
  const term = { matchFields: [{ key: nameField, operator: 'In' as const, values: [node] }] }
  return {
    ...affinity,
    nodeAffinity: { ...affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } },
  }
}

function tolerationsOf({ template }: DaemonSet['spec']): Toleration[] {
  const own = template.spec?.tolerations ?? []
  const added = template.spec?.hostNetwork ? [...daemonTolerations, networkToleration] : daemonTolerations
  const isThere = (wanted: Toleration) =>
    own.some(({ key, effect, operator }) => key === wanted.key && effect === wanted.effect && operator === 'Exists')
  return [...own, ...added.filter((toleration) => !isThere(toleration))]
}
