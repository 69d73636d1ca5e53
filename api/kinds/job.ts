import { labelSelector, matchesLabels } from '../selector/label.ts'
import { Job } from './index.ts'
import { humanDuration } from './rules/age.ts'
import { ageColumn, nameColumn, templateColumns } from './rules/columns.ts'
import { Faults, same } from './rules/faults.ts'
import { validateJobStatus } from './rules/job-status.ts'
import { jobWarnings, validateJobSpec } from './rules/job-validation.ts'
import { isDns1123Label, isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { workloadWarnings } from './rules/pod-warnings.ts'
import { validateLabelSelector } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

const mostFailures = 2 ** 31 - 1

function statusText({ metadata, status }: Job): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type && c.status === 'True')
  if (has('Complete')) return 'Complete'
  if (has('Failed')) return 'Failed'
  if (metadata.deletionTimestamp) return 'Terminating'
  if (has('Suspended')) return 'Suspended'
  return has('FailureTarget') ? 'FailureTarget' : 'Running'
}

function completionsText({ spec, status }: Job): string {
  const done = status?.succeeded ?? 0
  if (spec.completions !== undefined) return `${done}/${spec.completions}`
  return (spec.parallelism ?? 0) > 1 ? `${done}/1 of ${spec.parallelism}` : `${done}/1`
}

function durationText({ status }: Job, now: number): string {
  if (!status?.startTime) return ''
  return humanDuration((status.completionTime ? Date.parse(status.completionTime) : now) - Date.parse(status.startTime))
}

/** The labels by which a job knows its pods; the short ones are what older tools look for. */
const labelsFor = ({ metadata: { uid, name } }: Job): Record<string, string> => ({
  'batch.kubernetes.io/controller-uid': uid,
  'batch.kubernetes.io/job-name': name,
  'controller-uid': uid,
  'job-name': name,
})

/** A job without labels has those of its pods. */
function defaultLabels({ metadata, spec }: Job): void {
  const labels = spec.template?.metadata?.labels
  if (labels && Object.keys(metadata.labels ?? {}).length === 0) metadata.labels = { ...labels }
}

export const job: KindSpec<Job> = {
  kind: Job,
  singular: 'job',
  categories: ['all'],
  status: true,
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Status', cell: statusText },
    { name: 'Completions', cell: completionsText },
    { name: 'Duration', cell: durationText },
    ageColumn,
    ...templateColumns<Job>(
      (j) => j.spec.template.spec?.containers ?? [],
      (j) => j.spec.selector,
    ),
  ],
  fields: { 'status.successful': (j) => String(j.status?.succeeded ?? 0) },
  defaults(j) {
    const { spec } = j
    if (!spec) return
    if (spec.completions === undefined && spec.parallelism === undefined) spec.completions = 1
    spec.parallelism ??= 1
    defaultLabels(j)
    spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : mostFailures
    spec.completionMode ??= 'NonIndexed'
    spec.suspend ??= false
    spec.manualSelector ??= false
    spec.podReplacementPolicy ??= spec.podFailurePolicy ? 'Failed' : 'TerminatingOrFailed'
    for (const rule of spec.podFailurePolicy?.rules ?? []) {
      for (const pattern of rule.onPodConditions ?? []) pattern.status ||= 'True'
    }
    if (spec.template?.spec) defaultPodSpec(spec.template.spec)
  },
  prepareCreate(j) {
    j.status = {}
    const { spec } = j
    if (!spec?.template || spec.manualSelector) return
    const labels = labelsFor(j)
    spec.template.metadata = { ...spec.template.metadata, labels: { ...labels, ...spec.template.metadata?.labels } }
    spec.selector ??= { matchLabels: { 'batch.kubernetes.io/controller-uid': j.metadata.uid } }
    defaultLabels(j)
  },
  *warnings({ metadata, spec }) {
    yield* workloadWarnings(metadata.name, spec.template)
    yield* jobWarnings('spec', spec)
  },
  validate(j, faults) {
    const { spec } = j
    if (!spec) return faults.required('spec')
    validateGenerated(j, faults)
    validateJobSpec('spec', spec, faults)
    if (!spec.selector) faults.required('spec.selector')
    else {
      const before = faults.list.length
      validateLabelSelector('spec.selector', spec.selector, faults)
      const labels = spec.template?.metadata?.labels ?? {}
      if (faults.list.length === before && !matchesLabels(labelSelector(spec.selector), labels))
        faults.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')
    }
    const host = `${j.metadata.name}-${(spec.completions ?? 0) - 1}`
    if (spec.completionMode === 'Indexed' && (spec.completions ?? 0) > 0 && isDns1123Label(host).length > 0)
      faults.invalid('metadata.name', j.metadata.name, `will not able to create pod with invalid DNS label: ${host}`)
  },
  validateUpdate(job, previous, faults, subresource) {
    if (subresource === 'status') validateJobStatus(job, previous, faults)
    const [{ spec: next }, { spec }] = [job, previous]
    if (next.completionMode !== 'Indexed') faults.immutable('spec.completions', next.completions, spec.completions)
    else if (next.completions !== spec.completions && next.completions !== undefined && next.completions !== next.parallelism)
      faults.invalid('spec.completions', next.completions, 'can only be modified in tandem with spec.parallelism')
    faults.immutable('spec.selector', next.selector, spec.selector)
    if (!same(next.template, freed(previous, next))) faults.invalid('spec.template', next.template, 'field is immutable')
    for (const field of ['completionMode', 'podFailurePolicy', 'backoffLimitPerIndex', 'managedBy', 'successPolicy'] as const) {
      faults.immutable(`spec.${field}`, next[field], spec[field])
    }
  },
}

/** The old template, with what may change on a job that is suspended and has not started yet: where its pods may go. */
function freed({ spec: { template, suspend }, status }: Job, { template: next }: Job['spec']): unknown {
  if (!suspend || status?.startTime || !next.spec || !template.spec) return template
  const { nodeSelector, tolerations, schedulingGates } = next.spec
  const affinity = { ...template.spec.affinity, nodeAffinity: next.spec.affinity?.nodeAffinity }
  const hasAffinity = Object.values(affinity).some((a) => a !== undefined)
  const metadata = { ...template.metadata, labels: next.metadata?.labels, annotations: next.metadata?.annotations }
  return { metadata, spec: { ...template.spec, nodeSelector, tolerations, schedulingGates, affinity: hasAffinity ? affinity : undefined } }
}

function validateGenerated(j: Job, faults: Faults): void {
  const { spec } = j
  if (spec.manualSelector || !spec.selector) return
  const expected = labelsFor(j)
  const labels = spec.template?.metadata?.labels ?? {}
  for (const [name, value] of Object.entries(expected)) {
    const field = 'spec.template.metadata.labels'
    if (labels[name] === undefined) faults.required(`${field}[${name}]`, `must be '${value}'`)
    else if (labels[name] !== value) faults.invalid(`${field}[${name}]`, labels, `must be '${value}'`)
  }
  const scratch = new Faults()
  validateLabelSelector('spec.selector', spec.selector, scratch)
  if (scratch.list.length === 0 && !matchesLabels(labelSelector(spec.selector), expected))
    faults.invalid('spec.selector', spec.selector, '`selector` not auto-generated')
}
