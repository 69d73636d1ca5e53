import { ReplicaSet } from './index.ts'
import { ageColumn, nameColumn, templateColumns } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { workloadWarnings } from './rules/pod-warnings.ts'
import { validateReplicaCounts } from './rules/status-counts.ts'
import { validateReplicated } from './rules/template-validation.ts'
import { replicas } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const replicaSet: KindSpec<ReplicaSet> = {
  kind: ReplicaSet,
  singular: 'replicaset',
  shortNames: ['rs'],
  categories: ['all'],
  status: true,
  generation: true,
  scale: replicas,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', description: 'Replicas is the number of desired replicas.', cell: (r) => r.spec.replicas ?? 0 },
    {
      name: 'Current',
      type: 'integer',
      description: 'Replicas is the most recently observed number of replicas.',
      cell: (r) => r.status?.replicas ?? 0,
    },
    {
      name: 'Ready',
      type: 'integer',
      description: 'The number of ready replicas for this replica set.',
      cell: (r) => r.status?.readyReplicas ?? 0,
    },
    ageColumn,
    ...templateColumns<ReplicaSet>(
      (r) => r.spec.template?.spec?.containers ?? [],
      (r) => r.spec.selector,
    ),
  ],
  fields: { 'status.replicas': (r) => String(r.status?.replicas ?? 0) },
  defaults(r) {
    if (!r.spec) return
    r.spec.replicas ??= 1
    if (r.spec.template?.spec) defaultPodSpec(r.spec.template.spec)
  },
  prepareCreate(r) {
    r.status = { replicas: 0 }
  },
  warnings: ({ metadata, spec }) => workloadWarnings(metadata.name, spec.template),
  validate(r, faults) {
    if (!r.spec) return faults.required('spec')
    faults.notNegative('spec.replicas', r.spec.replicas)
    faults.notNegative('spec.minReadySeconds', r.spec.minReadySeconds)
    validateReplicated(r.spec, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status')
      validateReplicaCounts(next, ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'], 'readyReplicas', faults)
    faults.immutable('spec.selector', next.spec.selector, previous.spec.selector)
  },
}
