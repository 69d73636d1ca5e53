// The policies of a job: what a failed pod means, and which indexes are enough.

import type { Job } from '#api/kinds/index.ts'
import type { PodFailurePolicyAction, PodFailurePolicyRule } from '#api/types/batch-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { commonOf, countIndexes, type Indexes, parseIndexes } from './indexes.ts'

/** `why` is what made the rule match. */
export type Matched = { action: PodFailurePolicyAction; why: string }

/** The first rule of the pod failure policy that a failed pod matches. */
export function matchFailure({ spec }: Job, pod: Pod): Matched | undefined {
  for (const [i, rule] of (spec.podFailurePolicy?.rules ?? []).entries()) {
    // Of an index alone there is nothing to fail where no index counts by itself.
    if (rule.action === 'FailIndex' && spec.backoffLimitPerIndex === undefined) continue
    const why = matchRule(rule, pod)
    if (why) return { action: rule.action, why: `${why} matching ${rule.action} rule at index ${i}` }
  }
  return undefined
}

function matchRule({ onExitCodes, onPodConditions }: PodFailurePolicyRule, { metadata, status }: Pod): string | undefined {
  const name = `${metadata.namespace}/${metadata.name}`
  if (onExitCodes) {
    const { containerName, operator, values } = onExitCodes
    for (const container of [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])]) {
      const exitCode = container.state?.terminated?.exitCode ?? 0
      if (exitCode === 0 || (containerName !== undefined && containerName !== container.name)) continue
      if (values.includes(exitCode) === (operator === 'In'))
        return `Container ${container.name} for pod ${name} failed with exit code ${exitCode}`
    }
    return undefined
  }
  for (const { type, status: wanted } of onPodConditions ?? []) {
    if (status.conditions?.some((condition) => condition.type === type && condition.status === (wanted || 'True')))
      return `Pod ${name} has condition ${type}`
  }
  return undefined
}

/** What the success policy says of these indexes; undefined: not enough yet. */
export function matchSuccess({ spec }: Job, succeeded: Indexes): string | undefined {
  for (const [i, { succeededIndexes, succeededCount }] of (spec.successPolicy?.rules ?? []).entries()) {
    const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, spec.completions ?? 0)
    const count = countIndexes(wanted ? commonOf(succeeded, wanted) : succeeded)
    if (count >= (succeededCount ?? (wanted ? countIndexes(wanted) : Number.POSITIVE_INFINITY))) return `Matched rules at index ${i}`
  }
  return undefined
}
