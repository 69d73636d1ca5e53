import { matchesLabels } from '../selector/label.ts'
import { ReplicationController } from './index.ts'
import { ageColumn, labelsText, nameColumn, templateColumns } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { workloadWarnings } from './rules/pod-warnings.ts'
import { validateReplicaCounts } from './rules/status-counts.ts'
import { validatePodTemplate, validateRunsForever } from './rules/template-validation.ts'
import type { KindSpec } from './spec.ts'

const matches = (selector: Record<string, string>, labels: Record<string, string>) =>
  matchesLabels(
    Object.entries(selector).map(([key, value]) => ({ key, operator: 'in' as const, values: [value] })),
    labels,
  )

export const replicationController: KindSpec<ReplicationController> = {
  kind: ReplicationController,
  singular: 'replicationcontroller',
  shortNames: ['rc'],
  categories: ['all'],
  status: true,
  generation: true,
  scale: {
    replicas: (r) => r.spec.replicas ?? 0,
    setReplicas(r, count) {
      r.spec.replicas = count
    },
    statusReplicas: (r) => r.status?.replicas ?? 0,
    selector: (r) => labelsText(r.spec.selector),
  },
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', cell: (r) => r.spec.replicas ?? 0 },
    { name: 'Current', type: 'integer', cell: (r) => r.status?.replicas ?? 0 },
    { name: 'Ready', type: 'integer', cell: (r) => r.status?.readyReplicas ?? 0 },
    ageColumn,
    ...templateColumns<ReplicationController>(
      (r) => r.spec.template?.spec?.containers ?? [],
      (r) => (r.spec.selector ? { matchLabels: r.spec.selector } : undefined),
    ),
  ],
  fields: { 'status.replicas': (r) => String(r.status?.replicas ?? 0) },
  defaults(r) {
    const { spec } = r
    if (!spec) return
    const labels = spec.template?.metadata?.labels
    if (labels) {
      if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels }
      if (Object.keys(r.metadata.labels ?? {}).length === 0) r.metadata.labels = { ...labels }
    }
    spec.replicas ??= 1
    if (spec.template?.spec) defaultPodSpec(spec.template.spec)
  },
  prepareCreate(r) {
    r.status = { replicas: 0 }
  },
  warnings: ({ metadata, spec }) => workloadWarnings(metadata.name, spec.template),
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    faults.notNegative('spec.minReadySeconds', spec.minReadySeconds)
    if (Object.keys(spec.selector ?? {}).length === 0) faults.required('spec.selector')
    faults.notNegative('spec.replicas', spec.replicas)
    if (!spec.template) return faults.required('spec.template')
    const labels = spec.template.metadata?.labels ?? {}
    if (spec.selector && !matches(spec.selector, labels))
      faults.invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`')
    validatePodTemplate('spec.template', spec.template, faults)
    validateRunsForever(spec.template, 'ReplicationController', faults)
  },
  validateUpdate(next, _previous, faults, subresource) {
    if (subresource === 'status')
      validateReplicaCounts(next, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'], 'readyReplicas', faults)
  },
}
