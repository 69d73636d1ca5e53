// Which nodes a pod names by their labels: nodeSelector and node affinity.

import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PreferredSchedulingTerm } from '#api/types/core-v1.gen.ts'

export function matchesRequired(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {}
  const { nodeSelector } = pod.spec
  if (nodeSelector) for (const key in nodeSelector) if (labels[key] !== nodeSelector[key]) return false
  return matchesNodeAffinity(pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution, node)
}

export const matchesNodeAffinity = (required: NodeSelector | undefined, node: Node): boolean =>
  !required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node))

/** The weights of the preferences that the node meets. */
export function preferredWeight(preferred: readonly PreferredSchedulingTerm[], node: Node): number {
  let sum = 0
  for (const { weight, preference } of preferred) if (matchesTerm(preference, node)) sum += weight
  return sum
}

/** An empty term matches nothing. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false
  const labels = node.metadata.labels ?? {}
  const labelOf = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined)
  return (
    matchExpressions.every((requirement) => meets(requirement, labelOf(requirement.key))) &&
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
