// Which nodes a pod names by their labels: nodeSelector and node affinity.

import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod } from '#api/types/core-v1.gen.ts'

export function matchesRequired(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  const wanted = Object.entries(pod.spec.nodeSelector ?? {})
  if (!wanted.every(([key, value]) => labels[key] === value)) return false
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node))
}

/** The weights of the preferences that the node meets. */
export function preferredWeight(pod: Pod, node: Node): number {
  const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  return preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, node) ? weight : 0), 0)
}

/** An empty term matches nothing. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false
  const labels = node.metadata.labels ?? {}
  return (
    matchExpressions.every((requirement) => meets(requirement, labels[requirement.key])) &&
    matchFields.every((requirement) => meets(requirement, requirement.key === 'metadata.name' ? node.metadata.name : undefined))
  )
}

function meets({ operator, values = [] }: NodeSelectorRequirement, actual: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return actual !== undefined && values.includes(actual)
    case 'NotIn':
      return actual === undefined || !values.includes(actual)
    case 'Exists':
      return actual !== undefined
    case 'DoesNotExist':
      return actual === undefined
    case 'Gt':
      return whole(actual) > whole(values[0])
    case 'Lt':
      return whole(actual) < whole(values[0])
    default:
      return false
  }
}

/** NaN, which no comparison holds for, where `text` is no integer. */
const whole = (text: string | undefined): number => (text !== undefined && /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN)
