// Metrics of an autoscaler in the form of autoscaling/v1, which Kubernetes keeps in an annotation. What
// that form cannot say exactly stays in the form of v2.

import type { MetricSourceType } from '../../types/autoscaling-v1.gen.ts'
import type { MetricIdentifier, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus } from '../../types/autoscaling-v2.gen.ts'
import { same } from './faults.ts'

type Source = Record<string, unknown> & { target?: Record<string, unknown>; current?: Record<string, unknown> }
type Metric = { type: MetricSourceType } & Record<string, unknown>

const nameOf = (type: MetricSourceType) => (type[0] ?? '').toLowerCase() + type.slice(1)
/** Without what is undefined: JSON has none of it. */
const compact = (object: Record<string, unknown>) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

export const metricToV1 = (metric: MetricSpec): object => converted(metric, specToV1, metricFromV1)
export const statusToV1 = (metric: MetricStatus): object => converted(metric, currentToV1, statusFromV1)

/** In the form of v1 if that comes back the same. */
function converted<T extends MetricSpec | MetricStatus>(metric: T, to: (metric: Metric) => Metric, from: (metric: object) => T): object {
  if (!(metric as Metric)[nameOf(metric.type)]) return metric
  const v1 = to(metric)
  return same(from(v1), metric) ? v1 : metric
}

function specToV1(metric: Metric): Metric {
  const name = nameOf(metric.type)
  const {
    target = {},
    metric: id,
    describedObject,
    ...rest
  } = metric[name] as Source & { metric?: MetricIdentifier; describedObject?: unknown }
  const { value, averageValue, averageUtilization } = target as MetricTarget
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource':
      return {
        type: metric.type,
        [name]: compact({ ...rest, targetAverageUtilization: averageUtilization, targetAverageValue: averageValue }),
      }
    case 'Pods':
      return { type: 'Pods', pods: compact({ metricName: id?.name, targetAverageValue: averageValue, selector: id?.selector }) }
    case 'Object':
      return {
        type: 'Object',
        object: compact({ target: describedObject, metricName: id?.name, targetValue: value ?? '0', selector: id?.selector, averageValue }),
      }
    default:
      return {
        type: 'External',
        external: compact({ metricName: id?.name, metricSelector: id?.selector, targetValue: value, targetAverageValue: averageValue }),
      }
  }
}

/** Of either form. */
export function metricFromV1(metric: object): MetricSpec {
  const { type } = metric as Metric
  const name = nameOf(type ?? '')
  const source = (metric as Metric)[name] as Source | undefined
  if (!source || source.metric || source.describedObject || (source.target && 'type' in source.target)) return metric as MetricSpec
  const { targetAverageUtilization: averageUtilization, targetAverageValue, ...rest } = source
  switch (type) {
    case 'Resource':
    case 'ContainerResource': {
      const kind = averageUtilization === undefined ? 'AverageValue' : 'Utilization'
      return {
        type,
        [name]: { ...rest, target: compact({ type: kind, averageUtilization, averageValue: targetAverageValue }) },
      }
    }
    case 'Pods':
      return {
        type,
        pods: {
          metric: compact({ name: source.metricName, selector: source.selector }),
          target: compact({ type: 'AverageValue', averageValue: targetAverageValue }),
        },
      } as unknown as MetricSpec
    case 'Object': {
      const { target, metricName, targetValue, selector, averageValue } = source
      const value = averageValue !== undefined && targetValue === '0' ? undefined : targetValue
      return {
        type,
        object: {
          describedObject: target,
          metric: compact({ name: metricName, selector }),
          target: compact({ type: averageValue === undefined ? 'Value' : 'AverageValue', value, averageValue }),
        },
      } as unknown as MetricSpec
    }
    case 'External': {
      const { metricName, metricSelector, targetValue: value } = source
      const kind = targetAverageValue === undefined ? 'Value' : 'AverageValue'
      return {
        type,
        external: {
          metric: compact({ name: metricName, selector: metricSelector }),
          target: compact({ type: kind, value, averageValue: targetAverageValue }),
        },
      } as unknown as MetricSpec
    }
    default:
      return metric as MetricSpec
  }
}

function currentToV1(metric: Metric): Metric {
  const name = nameOf(metric.type)
  const {
    current = {},
    metric: id,
    describedObject,
    ...rest
  } = metric[name] as Source & { metric?: MetricIdentifier; describedObject?: unknown }
  const { value, averageValue, averageUtilization } = current as MetricValueStatus
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource':
      return {
        type: metric.type,
        [name]: compact({ ...rest, currentAverageUtilization: averageUtilization, currentAverageValue: averageValue ?? '0' }),
      }
    case 'Pods':
      return { type: 'Pods', pods: compact({ metricName: id?.name, currentAverageValue: averageValue ?? '0', selector: id?.selector }) }
    case 'Object':
      return {
        type: 'Object',
        object: compact({
          target: describedObject,
          metricName: id?.name,
          currentValue: value ?? '0',
          selector: id?.selector,
          averageValue,
        }),
      }
    default:
      return {
        type: 'External',
        external: compact({
          metricName: id?.name,
          metricSelector: id?.selector,
          currentValue: value ?? '0',
          currentAverageValue: averageValue,
        }),
      }
  }
}

/** Of either form. */
export function statusFromV1(metric: object): MetricStatus {
  const { type } = metric as Metric
  const name = nameOf(type ?? '')
  const source = (metric as Metric)[name] as Source | undefined
  if (!source || source.current) return metric as MetricStatus
  const { currentAverageUtilization: averageUtilization, currentAverageValue, currentValue, ...rest } = source
  const { metricName, selector, metricSelector, target, averageValue } = rest
  const id = compact({ name: metricName, selector: selector ?? metricSelector })
  switch (type) {
    case 'Resource':
    case 'ContainerResource':
      return { type, [name]: { ...rest, current: compact({ averageUtilization, averageValue: currentAverageValue }) } }
    case 'Pods':
      return { type, pods: { metric: id, current: compact({ averageValue: currentAverageValue }) } } as unknown as MetricStatus
    case 'Object':
      return {
        type,
        object: { describedObject: target, metric: id, current: compact({ value: currentValue, averageValue }) },
      } as unknown as MetricStatus
    case 'External':
      return {
        type,
        external: { metric: id, current: compact({ value: currentValue, averageValue: currentAverageValue }) },
      } as unknown as MetricStatus
    default:
      return metric as MetricStatus
  }
}
