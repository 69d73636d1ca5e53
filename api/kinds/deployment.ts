import { Deployment } from './index.ts'
import { ageColumn, nameColumn, templateColumns } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { workloadWarnings } from './rules/pod-warnings.ts'
import { validateCounts, validateReplicaCounts } from './rules/status-counts.ts'
import { validateReplicated } from './rules/template-validation.ts'
import { isZero, replicas, validateAtMostAll, validateIntOrPercent } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const deployment: KindSpec<Deployment> = {
  kind: Deployment,
  singular: 'deployment',
  shortNames: ['deploy'],
  categories: ['all'],
  status: true,
  statusMeta: ['annotations'],
  generation: true,
  scale: replicas,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    {
      name: 'Ready',
      description: 'Number of the pod with ready state',
      cell: (d) => `${d.status?.readyReplicas ?? 0}/${d.spec.replicas ?? 0}`,
    },
    {
      name: 'Up-to-date',
      type: 'integer',
      description: 'Total number of non-terminated pods targeted by this deployment that have the desired template spec.',
      cell: (d) => d.status?.updatedReplicas ?? 0,
    },
    {
      name: 'Available',
      type: 'integer',
      description: 'Total number of available pods (ready for at least minReadySeconds) targeted by this deployment.',
      cell: (d) => d.status?.availableReplicas ?? 0,
    },
    ageColumn,
    ...templateColumns<Deployment>(
      (d) => d.spec.template.spec?.containers ?? [],
      (d) => d.spec.selector,
    ),
  ],
  defaults(d) {
    const spec = d.spec
    if (!spec) return
    spec.replicas ??= 1
    spec.revisionHistoryLimit ??= 10
    spec.progressDeadlineSeconds ??= 600
    spec.strategy ??= {}
    spec.strategy.type ??= 'RollingUpdate'
    if (spec.strategy.type === 'RollingUpdate') {
      spec.strategy.rollingUpdate ??= {}
      spec.strategy.rollingUpdate.maxUnavailable ??= '25%'
      spec.strategy.rollingUpdate.maxSurge ??= '25%'
    }
    if (spec.template?.spec) defaultPodSpec(spec.template.spec)
  },
  prepareCreate(d) {
    d.status = {}
  },
  warnings: ({ metadata, spec }) => workloadWarnings(metadata.name, spec.template),
  validate(d, faults) {
    const { spec } = d
    if (!spec) return faults.required('spec')
    faults.notNegative('spec.replicas', spec.replicas)
    validateReplicated(spec, faults)
    const strategy = spec.strategy ?? {}
    faults.oneOf('spec.strategy.type', strategy.type, ['Recreate', 'RollingUpdate'])
    if (strategy.type === 'Recreate' && strategy.rollingUpdate) {
      faults.forbidden('spec.strategy.rollingUpdate', "may not be specified when strategy `type` is 'Recreate'")
    }
    if (strategy.type === 'RollingUpdate') {
      const { maxUnavailable, maxSurge } = strategy.rollingUpdate ?? {}
      validateIntOrPercent('spec.strategy.rollingUpdate.maxUnavailable', maxUnavailable, faults)
      validateIntOrPercent('spec.strategy.rollingUpdate.maxSurge', maxSurge, faults)
      validateAtMostAll('spec.strategy.rollingUpdate.maxUnavailable', maxUnavailable, faults)
      if (isZero(maxUnavailable) && isZero(maxSurge)) {
        faults.invalid('spec.strategy.rollingUpdate.maxUnavailable', maxUnavailable ?? 0, 'may not be 0 when `maxSurge` is 0')
      }
    }
    faults.notNegative('spec.minReadySeconds', spec.minReadySeconds)
    faults.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit)
    faults.notNegative('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds)
    if (spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds <= (spec.minReadySeconds ?? 0)) {
      faults.invalid('spec.progressDeadlineSeconds', spec.progressDeadlineSeconds, 'must be greater than minReadySeconds')
    }
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') {
      validateReplicaCounts(next, ['updatedReplicas', 'readyReplicas', 'availableReplicas'], 'readyReplicas', faults)
      validateCounts(next, ['unavailableReplicas'], faults)
    }
    faults.immutable('spec.selector', next.spec.selector, previous.spec.selector)
  },
}
