// Rules for what a job does, in jobs and in the templates of cron jobs (pkg/apis/batch/validation).

import type { JobSpec, PodFailurePolicyRule, SuccessPolicyRule } from '../../types/batch-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { validateDomainPath } from './forms.ts'
import { isQualifiedName } from './names.ts'
import { validatePodTemplate } from './template-validation.ts'

const most = { rules: 20, exitCodes: 255, patterns: 20, indexes: 100_000, manyIndexes: 10_000 }
const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore']
const statuses = ['False', 'True', 'Unknown']
const quoted = (values: readonly string[]) => `[${values.map((v) => JSON.stringify(v)).join(' ')}]`

export function validateJobSpec(at: string, spec: JobSpec, faults: Faults): void {
  for (const field of [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
    'backoffLimitPerIndex',
    'maxFailedIndexes',
  ] as const) {
    faults.notNegative(`${at}.${field}`, spec[field])
  }
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined)
    faults.required(`${at}.backoffLimitPerIndex`, 'when maxFailedIndexes is specified')
  if (spec.managedBy !== undefined) {
    validateDomainPath(`${at}.managedBy`, spec.managedBy, faults)
    if (spec.managedBy.length > 63) faults.tooLong(`${at}.managedBy`, 63)
  }
  validateMode(at, spec, faults)
  const failure = spec.podFailurePolicy
  if (failure) {
    if (failure.rules.length > most.rules) faults.tooMany(`${at}.podFailurePolicy.rules`, failure.rules.length, most.rules)
    for (const [i, rule] of failure.rules.entries()) validateFailureRule(`${at}.podFailurePolicy.rules[${i}]`, rule, spec, faults)
  }
  validateSuccess(at, spec, faults)
  if (spec.podReplacementPolicy !== undefined)
    faults.oneOf(`${at}.podReplacementPolicy`, spec.podReplacementPolicy, failure ? ['Failed'] : ['Failed', 'TerminatingOrFailed'])
  validatePodTemplate(`${at}.template`, spec.template, faults)
  validateRestart(at, spec, faults)
}

function validateRestart(at: string, spec: JobSpec, faults: Faults): void {
  const field = `${at}.template.spec.restartPolicy`
  const policy = spec.template?.spec?.restartPolicy
  // `Always` is what nobody asked for, too.
  if (!policy || policy === 'Always') faults.required(field, 'valid values: "OnFailure", "Never"')
  else if (policy !== 'OnFailure' && policy !== 'Never') faults.notSupported(field, policy, ['OnFailure', 'Never'])
  else if (spec.podFailurePolicy && policy !== 'Never')
    faults.invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')
}

function validateMode(at: string, spec: JobSpec, faults: Faults): void {
  const { completionMode, completions, parallelism, maxFailedIndexes, backoffLimitPerIndex } = spec
  if (completionMode !== undefined) faults.oneOf(`${at}.completionMode`, completionMode, ['NonIndexed', 'Indexed'])
  if (completionMode !== 'Indexed') {
    if (backoffLimitPerIndex !== undefined)
      faults.invalid(`${at}.backoffLimitPerIndex`, backoffLimitPerIndex, 'requires indexed completion mode')
    if (maxFailedIndexes !== undefined) faults.invalid(`${at}.maxFailedIndexes`, maxFailedIndexes, 'requires indexed completion mode')
    return
  }
  const limit = (field: 'parallelism' | 'maxFailedIndexes', highest: number, when = '') => {
    const value = spec[field]
    if (value !== undefined && value > highest) faults.invalid(`${at}.${field}`, value, `must be less than or equal to ${highest}${when}`)
  }
  if (completions === undefined) faults.required(`${at}.completions`, 'when completion mode is Indexed')
  limit('parallelism', most.indexes, ' when completion mode is Indexed')
  if (completions !== undefined && maxFailedIndexes !== undefined && maxFailedIndexes > completions)
    faults.invalid(`${at}.maxFailedIndexes`, maxFailedIndexes, 'must be less than or equal to completions')
  limit('maxFailedIndexes', most.indexes)
  if (completions === undefined || completions <= most.indexes || backoffLimitPerIndex === undefined) return
  if (maxFailedIndexes === undefined)
    faults.required(`${at}.maxFailedIndexes`, `must be specified when completions is above ${most.indexes}`)
  const when = ` when completions are above ${most.indexes} and used with backoff limit per index`
  if (parallelism !== undefined) limit('parallelism', most.manyIndexes, when)
  limit('maxFailedIndexes', most.manyIndexes, when)
}

function validateFailureRule(at: string, rule: PodFailurePolicyRule, spec: JobSpec, faults: Faults): void {
  const { action, onExitCodes, onPodConditions = [] } = rule
  if (!action) faults.required(`${at}.action`, `valid values: ${quoted(actions)}`)
  else if (action === 'FailIndex') {
    if (spec.backoffLimitPerIndex === undefined) faults.invalid(`${at}.action`, action, 'requires the backoffLimitPerIndex to be set')
  } else faults.oneOf(`${at}.action`, action, actions)
  if (onExitCodes) validateExitCodes(`${at}.onExitCodes`, onExitCodes, spec, faults)
  if (onPodConditions.length > most.patterns) faults.tooMany(`${at}.onPodConditions`, onPodConditions.length, most.patterns)
  for (const [i, { type, status }] of onPodConditions.entries()) {
    faults.each(`${at}.onPodConditions[${i}].type`, type, isQualifiedName(type))
    if (!status) faults.required(`${at}.onPodConditions[${i}].status`, `valid values: ${quoted(statuses)}`)
    else faults.oneOf(`${at}.onPodConditions[${i}].status`, status, statuses)
  }
  if (onExitCodes && onPodConditions.length > 0) faults.wrong(at, 'specifying both OnExitCodes and OnPodConditions is not supported')
  if (!onExitCodes && onPodConditions.length === 0) faults.wrong(at, 'specifying one of OnExitCodes and OnPodConditions is required')
}

function validateExitCodes(
  at: string,
  codes: NonNullable<PodFailurePolicyRule['onExitCodes']>,
  { template }: JobSpec,
  faults: Faults,
): void {
  const { operator, containerName, values } = codes
  if (!operator) faults.required(`${at}.operator`, 'valid values: ["In" "NotIn"]')
  else faults.oneOf(`${at}.operator`, operator, ['In', 'NotIn'])
  const containers = [...(template.spec?.containers ?? []), ...(template.spec?.initContainers ?? [])]
  if (containerName !== undefined && !containers.some((c) => c.name === containerName))
    faults.invalid(`${at}.containerName`, containerName, 'must be one of the container or initContainer names in the pod template')
  if (values.length === 0) faults.invalid(`${at}.values`, values, 'at least one value is required')
  if (values.length > most.exitCodes) faults.tooMany(`${at}.values`, values.length, most.exitCodes)
  const repeated = repeats()
  for (const [i, value] of values.entries()) {
    if (operator === 'In' && value === 0) faults.invalid(`${at}.values[${i}]`, value, 'must not be 0 for the In operator')
    if (repeated(value)) faults.duplicate(`${at}.values[${i}]`, value)
  }
  if (values.some((value, i) => i > 0 && (values[i - 1] ?? value) > value)) faults.invalid(`${at}.values`, values, 'must be ordered')
}

function validateSuccess(at: string, spec: JobSpec, faults: Faults): void {
  const policy = spec.successPolicy
  if (!policy) return
  if (spec.completionMode !== 'Indexed') return faults.invalid(`${at}.successPolicy`, policy, 'requires indexed completion mode')
  const field = `${at}.successPolicy.rules`
  if (policy.rules.length === 0) faults.required(field, 'at least one rules must be specified when the successPolicy is specified')
  if (policy.rules.length > most.rules) faults.tooMany(field, policy.rules.length, most.rules)
  for (const [i, rule] of policy.rules.entries()) validateSuccessRule(`${field}[${i}]`, rule, spec.completions ?? 0, faults)
}

function validateSuccessRule(
  at: string,
  { succeededCount, succeededIndexes }: SuccessPolicyRule,
  completions: number,
  faults: Faults,
): void {
  if (succeededCount === undefined && succeededIndexes === undefined)
    faults.required(at, 'at least one of succeededCount or succeededIndexes must be specified')
  let total: number | undefined
  if (succeededIndexes !== undefined) {
    const counted = countIndexes(succeededIndexes, completions)
    if (typeof counted === 'number') total = counted
    else faults.invalid(`${at}.succeededIndexes`, succeededIndexes, `error parsing succeededIndexes: ${counted.wrong}`)
  }
  if (succeededCount === undefined) return
  faults.notNegative(`${at}.succeededCount`, succeededCount)
  const highest = (limit: number, what: string) => {
    if (succeededCount > limit) faults.invalid(`${at}.succeededCount`, succeededCount, `must be less than or equal to ${limit} (${what})`)
  }
  highest(completions, 'the number of specified completions')
  if (total !== undefined) highest(total, 'the number of indexes in the specified succeededIndexes field')
}

/** How many indexes are in a list such as `1,3-5`. */
function countIndexes(text: string, completions: number): number | { wrong: string } {
  let last = -1
  let count = 0
  for (const part of text === '' ? [] : text.split(',')) {
    const bounds = part.split('-')
    if (bounds.length > 2)
      return {
        wrong: `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`,
      }
    const [first, end = first] = bounds.map((bound) => (/^\d+$/.test(bound) ? Number(bound) : undefined))
    if (first === undefined || end === undefined)
      return { wrong: `cannot convert string to integer for index: ${JSON.stringify(bounds.find((b) => !/^\d+$/.test(b)))}` }
    if (end >= completions) return { wrong: `too large index: ${JSON.stringify(bounds.at(-1))}` }
    if (first <= last || (bounds.length === 2 && end <= first))
      return {
        wrong:
          first <= last
            ? `non-increasing order, previous: ${last}, current: ${first}`
            : `non-increasing order, previous: ${first}, current: ${end}`,
      }
    count += end - first + 1
    last = end
  }
  return count
}

export function* jobWarnings(at: string, { completionMode, completions = 0, parallelism = 0 }: JobSpec): Generator<string> {
  if (completionMode === 'Indexed' && completions > most.indexes && parallelism > most.manyIndexes)
    yield `${at}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail`
}
