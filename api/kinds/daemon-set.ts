import { DaemonSet } from './index.ts'
import { ageColumn, labelsText, nameColumn, templateColumns } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { templateWarnings } from './rules/pod-warnings.ts'
import { validateCounts } from './rules/status-counts.ts'
import { validatePodTemplate, validateRunsForever, validateTemplateSelector } from './rules/template-validation.ts'
import { isZero, validateAtMostAll, validateIntOrPercent } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

const counts = [
  'currentNumberScheduled',
  'numberMisscheduled',
  'desiredNumberScheduled',
  'numberReady',
  'observedGeneration',
  'updatedNumberScheduled',
  'numberAvailable',
  'numberUnavailable',
  'collisionCount',
]

export const daemonSet: KindSpec<DaemonSet> = {
  kind: DaemonSet,
  singular: 'daemonset',
  shortNames: ['ds'],
  categories: ['all'],
  status: true,
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Desired', type: 'integer', cell: (d) => d.status?.desiredNumberScheduled ?? 0 },
    { name: 'Current', type: 'integer', cell: (d) => d.status?.currentNumberScheduled ?? 0 },
    { name: 'Ready', type: 'integer', cell: (d) => d.status?.numberReady ?? 0 },
    { name: 'Up-to-date', type: 'integer', cell: (d) => d.status?.updatedNumberScheduled ?? 0 },
    { name: 'Available', type: 'integer', cell: (d) => d.status?.numberAvailable ?? 0 },
    { name: 'Node Selector', cell: (d) => labelsText(d.spec.template.spec?.nodeSelector) },
    ageColumn,
    ...templateColumns<DaemonSet>(
      (d) => d.spec.template.spec?.containers ?? [],
      (d) => d.spec.selector,
    ),
  ],
  defaults({ spec }) {
    if (!spec) return
    spec.revisionHistoryLimit ??= 10
    spec.updateStrategy ??= {}
    spec.updateStrategy.type ??= 'RollingUpdate'
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {}
      spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
      spec.updateStrategy.rollingUpdate.maxSurge ??= 0
    }
    if (spec.template?.spec) defaultPodSpec(spec.template.spec)
  },
  prepareCreate(d) {
    d.status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 }
  },
  warnings: ({ spec }) => templateWarnings(spec.template),
  validate(d, faults) {
    const { spec } = d
    if (!spec) return faults.required('spec')
    validateTemplateSelector(spec, 'empty selector is invalid for daemonset', faults)
    validatePodTemplate('spec.template', spec.template, faults)
    validateRunsForever(spec.template, 'DaemonSet', faults)
    faults.notNegative('spec.minReadySeconds', spec.minReadySeconds)
    validateStrategy(spec.updateStrategy, faults)
    faults.notNegative('spec.revisionHistoryLimit', spec.revisionHistoryLimit)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') validateCounts(next, counts, faults)
    faults.immutable('spec.selector', next.spec.selector, previous.spec.selector)
  },
}

function validateStrategy({ type, rollingUpdate }: DaemonSet['spec']['updateStrategy'], faults: Faults): void {
  const at = 'spec.updateStrategy'
  if (type === 'OnDelete') return
  if (type !== 'RollingUpdate') return faults.notSupported(`${at}.type`, type, ['RollingUpdate', 'OnDelete'])
  if (!rollingUpdate) return faults.required(`${at}.rollingUpdate`)
  const { maxUnavailable, maxSurge } = rollingUpdate
  for (const [name, value] of Object.entries({ maxUnavailable, maxSurge })) {
    validateIntOrPercent(`${at}.rollingUpdate.${name}`, value, faults)
    validateAtMostAll(`${at}.rollingUpdate.${name}`, value, faults)
  }
  if (!isZero(maxUnavailable) && !isZero(maxSurge))
    faults.invalid(`${at}.rollingUpdate.maxSurge`, maxSurge, 'may not be set when maxUnavailable is non-zero')
  if (isZero(maxUnavailable) && isZero(maxSurge)) faults.required(`${at}.rollingUpdate.maxUnavailable`, 'cannot be 0 when maxSurge is 0')
}
