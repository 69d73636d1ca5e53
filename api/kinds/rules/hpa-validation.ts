// Rules for autoscalers (pkg/apis/autoscaling/validation).

import { compareQuantity } from '../../quantity.ts'
import type {
  CrossVersionObjectReference,
  HorizontalPodAutoscalerSpec,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from '../../types/autoscaling-v2.gen.ts'
import type { Faults } from './faults.ts'
import { isPathSegment } from './forms.ts'
import { isDns1123Label } from './names.ts'

const most = { windowSeconds: 3600, periodSeconds: 1800 }
const sources = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
} as const

export function validateAutoscaler(spec: HorizontalPodAutoscalerSpec, faults: Faults): void {
  const { minReplicas, maxReplicas, metrics = [], behavior } = spec
  if (minReplicas !== undefined && minReplicas < 0) faults.invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 0')
  // Without pods only a metric that is not theirs can tell that some are wanted.
  if (minReplicas === 0 && !metrics.some(({ type }) => type === 'Object' || type === 'External'))
    faults.forbidden('spec.metrics', 'must specify at least one Object or External metric to support scaling to zero replicas')
  if (maxReplicas < 1) faults.invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0')
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    faults.invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`')
  validateReference('spec.scaleTargetRef', spec.scaleTargetRef, faults)
  for (const [i, metric] of metrics.entries()) validateMetric(`spec.metrics[${i}]`, metric, faults)
  for (const way of ['scaleUp', 'scaleDown'] as const) {
    const rules = behavior?.[way]
    if (rules) validateRules(`spec.behavior.${way}`, rules, faults)
  }
}

function named(field: string, value: string | undefined, missing: string, faults: Faults): void {
  if (!value) faults.required(field, missing)
  else faults.each(field, value, isPathSegment(value))
}

function validateReference(at: string, ref: CrossVersionObjectReference | undefined, faults: Faults): void {
  named(`${at}.kind`, ref?.kind, '', faults)
  named(`${at}.name`, ref?.name, '', faults)
}

function validateMetric(at: string, metric: MetricSpec, faults: Faults): void {
  if (!metric.type) faults.required(`${at}.type`, 'must specify a metric source type')
  const expected = sources[metric.type]
  if (!expected) faults.notSupported(`${at}.type`, metric.type, Object.keys(sources))
  else if (!metric[expected]) faults.required(`${at}.${expected}`, 'must populate information for the given metric source')
  const present = Object.values(sources).filter((name) => metric[name])
  if (present.length > 1) {
    for (const name of present) if (name !== expected) faults.forbidden(`${at}.${name}`, 'must populate the given metric source only')
    return
  }
  const [name] = present
  if (!name) return
  const here = `${at}.${name}`
  const { object, external, pods, resource, containerResource } = metric
  const target = metric[name]?.target
  if (object) validateReference(`${here}.describedObject`, object.describedObject, faults)
  const identified = object ?? external ?? pods
  if (identified) validateIdentifier(`${here}.metric`, identified.metric, faults)
  const amount = resource ?? containerResource
  if (amount && !amount.name) faults.required(`${here}.name`, 'must specify a resource name')
  if (containerResource) {
    if (!containerResource.container) faults.required(`${here}.container`, 'must specify a container')
    else faults.each(`${here}.container`, containerResource.container, isDns1123Label(containerResource.container))
  }
  if (target) validateTarget(`${here}.target`, name, target, faults)
}

function validateIdentifier(at: string, metric: MetricIdentifier | undefined, faults: Faults): void {
  named(`${at}.name`, metric?.name, 'must specify a metric name', faults)
}

function validateTarget(at: string, source: string, target: MetricTarget, faults: Faults): void {
  const { type, value, averageValue, averageUtilization } = target
  if (!type) faults.required(`${at}.type`, 'must specify a metric target type')
  if (type !== 'Utilization' && type !== 'Value' && type !== 'AverageValue')
    faults.invalid(`${at}.type`, type, 'must be either Utilization, Value, or AverageValue')
  for (const [name, amount] of Object.entries({ value, averageValue })) {
    if (amount !== undefined && compareQuantity(amount, '0') <= 0) faults.invalid(`${at}.${name}`, amount, 'must be positive')
  }
  if (averageUtilization !== undefined && averageUtilization < 1)
    faults.invalid(`${at}.averageUtilization`, averageUtilization, 'must be greater than 0')
  switch (source) {
    case 'object':
      if (value === undefined && averageValue === undefined)
        faults.required(`${at}.averageValue`, 'must set either a target value or averageValue')
      break
    case 'external':
      if (value === undefined && averageValue === undefined)
        faults.required(`${at}.averageValue`, 'must set either a target value for metric or a per-pod target')
      if (value !== undefined && averageValue !== undefined)
        faults.forbidden(`${at}.value`, 'may not set both a target value for metric and a per-pod target')
      break
    case 'pods':
      if (averageValue === undefined) faults.required(`${at}.averageValue`, 'must specify a positive target averageValue')
      break
    default:
      if (averageUtilization === undefined && averageValue === undefined)
        faults.required(`${at}.averageUtilization`, 'must set either a target raw value or a target utilization')
      if (averageUtilization !== undefined && averageValue !== undefined)
        faults.forbidden(`${at}.averageValue`, 'may not set both a target raw value and a target utilization')
  }
}

function validateRules(at: string, rules: HPAScalingRules, faults: Faults): void {
  const { stabilizationWindowSeconds: window, selectPolicy, tolerance, policies = [] } = rules
  if (window !== undefined && window < 0)
    faults.invalid(`${at}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero')
  if (window !== undefined && window > most.windowSeconds)
    faults.invalid(`${at}.stabilizationWindowSeconds`, window, `must be less than or equal to ${most.windowSeconds}`)
  if (selectPolicy !== undefined) faults.oneOf(`${at}.selectPolicy`, selectPolicy, ['Disabled', 'Max', 'Min'])
  if (tolerance !== undefined && compareQuantity(tolerance, '0') < 0)
    faults.invalid(`${at}.tolerance`, tolerance, 'must be greater than or equal to 0')
  if (policies.length === 0) faults.required(`${at}.policies`, 'must specify at least one Policy')
  for (const [i, { type, value, periodSeconds }] of policies.entries()) {
    const here = `${at}.policies[${i}]`
    faults.oneOf(`${here}.type`, type, ['Percent', 'Pods'])
    if (value <= 0) faults.invalid(`${here}.value`, value, 'must be greater than zero')
    if (periodSeconds <= 0) faults.invalid(`${here}.periodSeconds`, periodSeconds, 'must be greater than zero')
    if (periodSeconds > most.periodSeconds)
      faults.invalid(`${here}.periodSeconds`, periodSeconds, `must be less than or equal to ${most.periodSeconds}`)
  }
}
