// What the controller of a job may report (batch validation ValidateJobStatusUpdate). Most rules are asked only
// where what they are about changes: a change of the spec may break them until the controller has seen it.

import type { Job as JobType } from '../../types/batch-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { validateCounts } from './status-counts.ts'

/** These stay once they are true. */
const lasting = ['Failed', 'Complete', 'FailureTarget', 'SuccessCriteriaMet']

const isTrue = ({ status }: JobType, type: string): boolean =>
  status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false

export function validateJobStatus(next: JobType, previous: JobType, faults: Faults): void {
  const [{ status }, { status: before }] = [next, previous]
  validateCounts(next, ['active', 'succeeded', 'failed', 'ready', 'terminating'], faults)
  validateUncounted(status, faults)
  const [complete, failed] = [isTrue(next, 'Complete'), isTrue(next, 'Failed')]
  const finished = complete || failed
  const ended = finished !== (isTrue(previous, 'Complete') || isTrue(previous, 'Failed'))
  const conditions = (why: string) => faults.wrong('status.conditions', why)
  if (complete && failed) conditions('cannot set Complete=True and Failed=true conditions')
  if (complete && isTrue(next, 'FailureTarget')) conditions('cannot set Complete=True and FailureTarget=true conditions')
  for (const other of ['Failed', 'FailureTarget'])
    if (isTrue(next, 'SuccessCriteriaMet') && isTrue(next, other))
      conditions(`cannot set SuccessCriteriaMet=True and ${other === 'Failed' ? 'Failed' : 'FailureTarget'}=true conditions`)
  validateTimes(next, previous, faults)
  for (const field of ['active', 'terminating'] as const)
    if (finished && (ended || status[field] !== before[field]) && (status[field] ?? 0) > 0)
      faults.invalid(`status.${field}`, status[field], `${field}>0 is invalid for finished job`)
  if ((status.ready !== before.ready || status.active !== before.active) && (status.ready ?? 0) > Math.max(status.active ?? 0, 0))
    faults.invalid('status.ready', status.ready, 'cannot set more ready pods than active')
  validateIndexes(next, previous, faults)
  for (const type of lasting) {
    const terminal = type === 'SuccessCriteriaMet' ? '' : 'terminal '
    if (isTrue(previous, type) && !isTrue(next, type)) conditions(`cannot disable the ${terminal}${type}=True condition`)
  }
  if ((status.failed ?? 0) < (before.failed ?? 0)) faults.invalid('status.failed', status.failed ?? 0, 'cannot decrease the failed counter')
  // Fewer succeeded where an indexed job has been made smaller.
  const elastic = next.spec.completionMode === 'Indexed' && next.spec.completions === next.spec.parallelism
  if (!elastic && (status.succeeded ?? 0) < (before.succeeded ?? 0))
    faults.invalid('status.succeeded', status.succeeded ?? 0, 'cannot decrease the succeeded counter')
}

function validateUncounted({ uncountedTerminatedPods: uncounted }: NonNullable<JobType['status']>, faults: Faults): void {
  const repeated = repeats()
  for (const list of ['succeeded', 'failed'] as const) {
    for (const [i, uid] of (uncounted?.[list] ?? []).entries()) {
      const at = `status.uncountedTerminatedPods.${list}[${i}]`
      if (uid === '') faults.invalid(at, uid, 'must not be empty')
      else if (repeated(uid)) faults.duplicate(at, uid)
    }
  }
}

function validateTimes(next: JobType, previous: JobType, faults: Faults): void {
  const [{ startTime, completionTime }, before] = [next.status, previous.status]
  const field = 'status.completionTime'
  const complete = isTrue(next, 'Complete')
  if (complete !== isTrue(previous, 'Complete') || completionTime !== before.completionTime) {
    if (completionTime && !complete)
      faults.invalid(field, completionTime, 'cannot set completionTime when there is no Complete=True condition')
    if (!completionTime && complete) faults.required(field, 'completionTime is required for Complete jobs')
  }
  if (
    (startTime !== before.startTime || completionTime !== before.completionTime) &&
    startTime &&
    completionTime &&
    completionTime < startTime
  )
    faults.invalid(field, completionTime, 'must be equal to or after `startTime`')
  if (completionTime && before.completionTime && completionTime !== before.completionTime)
    faults.invalid(field, completionTime, 'field is immutable')
}

function validateIndexes({ spec, status }: JobType, { status: before }: JobType, faults: Faults): void {
  for (const field of ['completedIndexes', 'failedIndexes'] as const) {
    const text = status[field]
    if (text === undefined || text === before[field]) continue
    const at = `status.${field}`
    if (field === 'completedIndexes' && text !== '' && spec.completionMode !== 'Indexed')
      faults.invalid(at, text, 'cannot set non-empty completedIndexes when non-indexed completion mode')
    if (field === 'failedIndexes' && spec.backoffLimitPerIndex === undefined)
      faults.invalid(at, text, 'cannot set non-null failedIndexes when backoffLimitPerIndex is null')
    const wrong = spec.completions === undefined || text === '' ? undefined : wrongIndexes(text, spec.completions)
    if (wrong) faults.invalid(at, text, `error parsing ${field}: ${wrong}`)
  }
}

/** `1,3-5`: in order, and each below `completions`. */
function wrongIndexes(text: string, completions: number): string | undefined {
  let last = -1
  for (const interval of text.split(',')) {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(interval) ?? []
    if (from === undefined)
      return `the fragment "${interval}" violates the requirement that an index interval can have at most two parts separated by '-'`
    const [first, end] = [Number(from), Number(to ?? from)]
    if (first >= completions) return `too large index: "${from}"`
    if (end >= completions) return `too large index: "${to}"`
    if (to !== undefined && first >= end) return `non-increasing order, previous: ${first}, current: ${end}`
    if (last >= first) return `non-increasing order, previous: ${last}, current: ${first}`
    last = end
  }
  return undefined
}
