// autoscaling/v1: one target, the CPU; what it has no field for travels in annotations, as Kubernetes
// has it, so that a client of the old version writes back what it does not understand.

import type { MetricSpec, MetricStatus } from '../types/autoscaling-v2.gen.ts'
import { autoscalerColumns, horizontalPodAutoscaler } from './horizontal-pod-autoscaler.ts'
import { HorizontalPodAutoscaler, HorizontalPodAutoscalerV1 } from './index.ts'
import { same } from './rules/faults.ts'
import { metricFromV1, metricToV1, statusFromV1, statusToV1 } from './rules/hpa-metrics.ts'
import type { KindSpec } from './spec.ts'

const prefix = 'autoscaling.alpha.kubernetes.io/'

const cpuTarget = ({ type, resource }: MetricSpec): number | undefined =>
  type === 'Resource' && resource?.name === 'cpu' && same(Object.keys(resource.target).sort(), ['averageUtilization', 'type'])
    ? resource.target.averageUtilization
    : undefined
const cpuMetric = (averageUtilization: number): MetricSpec => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
})
const cpuCurrent = ({ type, resource }: MetricStatus): number | undefined =>
  type === 'Resource' && resource?.name === 'cpu' && same(Object.keys(resource.current), ['averageUtilization'])
    ? resource.current.averageUtilization
    : undefined
const cpuStatus = (averageUtilization: number): MetricStatus => ({
  type: 'Resource',
  resource: { name: 'cpu', current: { averageUtilization } },
})

/**
 * A list as v1 has it: the CPU in a field of its own, the rest in an annotation. The CPU comes last when
 * they are joined; where it does not stand last, the annotation holds the whole list, to keep the order.
 */
function split<T>(list: readonly T[], cpuOf: (item: T) => number | undefined): { cpu: number | undefined; rest: readonly T[] } {
  const at = list.findIndex((item) => cpuOf(item) !== undefined)
  const found = list[at]
  if (found === undefined) return { cpu: undefined, rest: list }
  return { cpu: cpuOf(found), rest: at === list.length - 1 ? list.slice(0, -1) : list }
}

function join<T>(rest: readonly T[], cpu: number | undefined, cpuOf: (item: T) => number | undefined, make: (cpu: number) => T): T[] {
  if (cpu === undefined) return [...rest]
  const at = rest.findIndex((item) => cpuOf(item) !== undefined)
  return at < 0 ? [...rest, make(cpu)] : rest.with(at, make(cpu))
}

export function autoscalerToV1({ metadata, spec, status }: HorizontalPodAutoscaler): HorizontalPodAutoscalerV1 {
  const { metrics = [], behavior, ...restOfSpec } = spec
  const { currentMetrics, conditions, currentReplicas = 0, ...restOfStatus } = status ?? { desiredReplicas: 0 }
  const targets = split(metrics, cpuTarget)
  const current = split(currentMetrics ?? [], cpuCurrent)
  const extra = {
    ...(targets.rest.length > 0 && { metrics: targets.rest.map(metricToV1) }),
    ...(behavior && { behavior }),
    ...(current.rest.length > 0 && { 'current-metrics': current.rest.map(statusToV1) }),
    ...(conditions && { conditions }),
  }
  const annotations = Object.fromEntries(Object.entries(extra).map(([name, value]) => [prefix + name, JSON.stringify(value)]))
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations: { ...metadata.annotations, ...annotations } } : metadata,
    spec: { ...restOfSpec, ...(targets.cpu !== undefined && { targetCPUUtilizationPercentage: targets.cpu }) },
    status: { ...restOfStatus, currentReplicas, ...(current.cpu !== undefined && { currentCPUUtilizationPercentage: current.cpu }) },
  }
}

/** `object` may be a part only: an applied configuration has no status, and perhaps no spec. */
export function autoscalerFromV1(object: HorizontalPodAutoscalerV1): HorizontalPodAutoscaler {
  const { metadata, spec, status } = object as Partial<HorizontalPodAutoscalerV1>
  const annotations = { ...metadata?.annotations }
  const take = (name: string): unknown => {
    const value = parsed(annotations[prefix + name])
    if (value !== undefined) delete annotations[prefix + name]
    return value
  }
  const list = (name: string): object[] => {
    const value = take(name)
    return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : []
  }
  const behavior = take('behavior')
  const metrics = join(list('metrics').map(metricFromV1), spec?.targetCPUUtilizationPercentage, cpuTarget, cpuMetric)
  const currentMetrics = join(list('current-metrics').map(statusFromV1), status?.currentCPUUtilizationPercentage, cpuCurrent, cpuStatus)
  const conditions = take('conditions')
  const { targetCPUUtilizationPercentage: _, ...restOfSpec } = spec ?? {}
  const { currentCPUUtilizationPercentage: __, ...restOfStatus } = status ?? {}
  const { annotations: ___, ...restOfMeta } = metadata ?? {}
  return {
    ...(object.apiVersion && { apiVersion: 'autoscaling/v2' }),
    ...(object.kind && { kind: 'HorizontalPodAutoscaler' }),
    ...(metadata && { metadata: { ...restOfMeta, ...(Object.keys(annotations).length > 0 && { annotations }) } }),
    ...((spec || metrics.length > 0) && {
      spec: { ...restOfSpec, ...(metrics.length > 0 && { metrics }), ...(behavior !== undefined && { behavior }) },
    }),
    ...((status || conditions || currentMetrics.length > 0) && {
      status: { ...restOfStatus, ...(currentMetrics.length > 0 && { currentMetrics }), ...(conditions !== undefined && { conditions }) },
    }),
  } as HorizontalPodAutoscaler
}

/** Undefined where it is no JSON: then the annotation is just an annotation. */
function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const { singular, shortNames, categories, nameRule } = horizontalPodAutoscaler

export const horizontalPodAutoscalerV1: KindSpec<HorizontalPodAutoscalerV1> = {
  kind: HorizontalPodAutoscalerV1,
  converts: {
    stored: HorizontalPodAutoscaler,
    toStored: autoscalerFromV1,
    fromStored: (object) => autoscalerToV1(object as HorizontalPodAutoscaler),
  },
  singular,
  ...(shortNames && { shortNames }),
  ...(categories && { categories }),
  status: true,
  nameRule,
  columns: autoscalerColumns.map((column) => ({
    ...column,
    cell: (object: HorizontalPodAutoscalerV1, now: number) => column.cell(autoscalerFromV1(object), now),
  })),
}
