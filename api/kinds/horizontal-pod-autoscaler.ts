import type { HPAScalingRules, MetricSpec, MetricStatus } from '../types/autoscaling-v2.gen.ts'
import { HorizontalPodAutoscaler } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { validateAutoscaler } from './rules/hpa-validation.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { validateCounts } from './rules/status-counts.ts'
import type { Column, KindSpec } from './spec.ts'

const shown = 2
const unknown = '<unknown>'
const percent = (value: number | undefined, otherwise: string) => (value === undefined ? otherwise : `${value}%`)

function metricText(spec: MetricSpec, status: MetricStatus | undefined): string {
  switch (spec.type) {
    case 'External':
    case 'Object': {
      const target = (spec.type === 'External' ? spec.external : spec.object)?.target
      const current = (spec.type === 'External' ? status?.external : status?.object)?.current
      if (target?.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`
      return `${current?.value ?? unknown}/${target?.value ?? none}`
    }
    case 'Pods':
      return `${status?.pods?.current.averageValue ?? unknown}/${spec.pods?.target.averageValue ?? none}`
    case 'Resource':
    case 'ContainerResource': {
      const source = spec.type === 'Resource' ? spec.resource : spec.containerResource
      const current = (spec.type === 'Resource' ? status?.resource : status?.containerResource)?.current
      const { averageValue, averageUtilization } = source?.target ?? {}
      if (averageValue !== undefined) return `${source?.name}: ${current?.averageValue ?? unknown}/${averageValue}`
      return `${source?.name}: ${percent(current?.averageUtilization, unknown)}/${percent(averageUtilization, '<auto>')}`
    }
    default:
      return '<unknown type>'
  }
}

function targets({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = (spec.metrics ?? []).map((metric, i) => metricText(metric, status?.currentMetrics?.[i]))
  if (metrics.length === 0) return none
  return metrics.length > shown ? `${metrics.slice(0, shown).join(', ')} + ${metrics.length - shown} more...` : metrics.join(', ')
}

export const autoscalerColumns: Column<HorizontalPodAutoscaler>[] = [
  nameColumn,
  { name: 'Reference', cell: ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}` },
  { name: 'Targets', cell: targets },
  { name: 'MinPods', cell: ({ spec }) => String(spec.minReplicas ?? '<unset>') },
  { name: 'MaxPods', type: 'integer', cell: ({ spec }) => spec.maxReplicas },
  { name: 'Replicas', type: 'integer', cell: ({ status }) => status?.currentReplicas ?? 0 },
  ageColumn,
]

export const horizontalPodAutoscaler: KindSpec<HorizontalPodAutoscaler> = {
  kind: HorizontalPodAutoscaler,
  singular: 'horizontalpodautoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  status: true,
  nameRule: isDns1123Subdomain,
  columns: autoscalerColumns,
  defaults({ spec }) {
    if (!spec) return
    spec.minReplicas ??= 1
    if (!spec.metrics?.length) {
      spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }]
    }
    if (!spec.behavior) return
    spec.behavior.scaleUp = { ...standardUp(), ...given(spec.behavior.scaleUp) }
    spec.behavior.scaleDown = { ...standardDown(), ...given(spec.behavior.scaleDown) }
  },
  prepareCreate(a) {
    a.status = { desiredReplicas: 0, currentMetrics: [] }
  },
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    validateAutoscaler(spec, faults)
  },
  validateUpdate(next, _previous, faults, subresource) {
    if (subresource === 'status') validateCounts(next, ['currentReplicas', 'desiredReplicas'], faults)
  },
}

const given = (rules: HPAScalingRules | undefined): HPAScalingRules =>
  Object.fromEntries(Object.entries(rules ?? {}).filter(([, value]) => value !== undefined))

const standardUp = (): HPAScalingRules => ({
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
})
const standardDown = (): HPAScalingRules => ({ selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] })
