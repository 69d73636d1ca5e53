// What one metric of an autoscaler asks for, and what its status says of it.

import type { Kind } from '#api/kinds/kind.ts'
import { isReady } from '#api/pods.ts'
import { millis } from '#api/quantity.ts'
import { formatLabels, labelSelector } from '#api/selector/label.ts'
import type { CrossVersionObjectReference, MetricSpec, MetricStatus, MetricTarget } from '#api/types/autoscaling-v2.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { groupPods, type PodAges, requestsBy } from './pods.ts'
import { type Answer, byAverage, byShare, byUtilization, byValue, type Tolerance } from './replicas.ts'
import type { MetricSource, Used } from './source.ts'

export type Proposal = { replicas: number /** For people. */; name: string; status: MetricStatus }

/** `reason` is that of the condition, as `FailedGetResourceMetric`. */
export class MetricError extends Error {
  readonly reason: string

  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

export type Target = {
  namespace: string
  current: number
  /** As a Scale has it. */
  selector: string
  pods: readonly Pod[]
  tolerance: Tolerance
  agesOf: (pod: Pod) => PodAges
  /** The kind of an object that a metric describes. */
  kindOf: (described: CrossVersionObjectReference) => Promise<Kind>
  source: MetricSource
  signal: AbortSignal
}

export async function propose(spec: MetricSpec, target: Target): Promise<Proposal> {
  try {
    switch (spec.type) {
      case 'Resource':
        return await resource(spec, target)
      case 'ContainerResource':
        return await resource(spec, target)
      case 'Pods':
        return await ofPods(spec, target)
      case 'Object':
        return await ofObject(spec, target)
      default:
        return await ofExternal(spec, target)
    }
  } catch (cause) {
    target.signal.throwIfAborted()
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new MetricError(`FailedGet${spec.type}Metric`, `failed to get ${nameOf(spec)}: ${why}`, { cause })
  }
}

function nameOf({ type, resource, containerResource, pods, object, external }: MetricSpec): string {
  if (type === 'Resource') return `${resource?.name} ${resource?.target.type === 'Utilization' ? 'utilization' : 'usage'}`
  if (type === 'ContainerResource')
    return `${containerResource?.name} container ${containerResource?.target.type === 'Utilization' ? 'utilization' : 'usage'}`
  if (type === 'Pods') return `pods metric value ${pods?.metric.name}`
  return type === 'Object' ? `object metric value ${object?.metric.name}` : `external metric ${external?.metric.name}`
}

async function resource(spec: MetricSpec, target: Target): Promise<Proposal> {
  const container = spec.containerResource?.container
  const { name, target: wanted } = (spec.resource ?? spec.containerResource)!
  const measured = await target.source.resource(name, target.namespace, target.selector, target.signal)
  if (measured.size === 0) throw new Error(`unable to get metrics for resource ${name}: no metrics returned from resource metrics API`)
  const usage = new Map([...measured].flatMap(([pod, used]) => usedBy(pod, used, container)))
  const groups = groupPods(
    target.pods,
    name,
    ({ metadata }) => (usage.has(metadata.name) ? measured.get(metadata.name)?.windowMs : undefined),
    target.agesOf,
  )
  const asked = { ...target, usage, groups }
  let found: Answer
  if (wanted.averageUtilization !== undefined) {
    const counted = target.pods.filter(({ metadata }) => Object.values(groups).some((group) => group.has(metadata.name)))
    found = byUtilization(asked, requestsBy(counted, name, container), wanted.averageUtilization)
  } else found = byAverage(asked, amount(wanted.averageValue))
  const current = {
    averageValue: quantity(found.average),
    ...(found.utilization !== undefined && { averageUtilization: found.utilization }),
  }
  const how = found.utilization === undefined ? '' : ' utilization (percentage of request)'
  if (container === undefined)
    return { replicas: found.replicas, name: `${name} resource${how}`, status: { type: 'Resource', resource: { name, current } } }
  const status: MetricStatus = { type: 'ContainerResource', containerResource: { name, container, current } }
  return { replicas: found.replicas, name: `${name} container resource${how}`, status }
}

function usedBy(pod: string, { containers }: Used, container: string | undefined): [string, number][] {
  if (container === undefined) return [[pod, containers.values().reduce((a, b) => a + b, 0)]]
  const amount = containers.get(container)
  return amount === undefined ? [] : [[pod, amount]]
}

async function ofPods({ pods }: MetricSpec, target: Target): Promise<Proposal> {
  const { metric, target: wanted } = pods!
  const usage = await target.source.pods(metric, target.namespace, target.selector, target.signal)
  const groups = groupPods(target.pods, undefined, ({ metadata }) => (usage.has(metadata.name) ? 0 : undefined), target.agesOf)
  const { replicas, average } = byAverage({ ...target, usage, groups }, amount(wanted.averageValue))
  const status: MetricStatus = { type: 'Pods', pods: { metric, current: { averageValue: quantity(average) } } }
  return { replicas, name: `pods metric ${metric.name}`, status }
}

async function ofObject({ object }: MetricSpec, target: Target): Promise<Proposal> {
  const { metric, describedObject, target: wanted } = object!
  const kind = await target.kindOf(describedObject)
  const plural = kind.group ? `${kind.plural}.${kind.group}` : kind.plural
  const usage = await target.source.object(metric, plural, describedObject, kind.namespaced ? target.namespace : undefined, target.signal)
  const { replicas, current } = whole(usage, wanted, target)
  return {
    replicas,
    name: `${describedObject.kind} metric ${metric.name}`,
    status: { type: 'Object', object: { metric, describedObject, current } },
  }
}

async function ofExternal({ external }: MetricSpec, target: Target): Promise<Proposal> {
  const { metric, target: wanted } = external!
  const usage = await target.source.external(metric, target.namespace, target.signal)
  const { replicas, current } = whole(usage, wanted, target)
  const labels = formatLabels(labelSelector(metric.selector ?? {}) ?? [])
  return { replicas, name: `external metric ${metric.name}(${labels})`, status: { type: 'External', external: { metric, current } } }
}

function whole(usage: number, wanted: MetricTarget, target: Target) {
  const ready = target.pods.filter((pod) => pod.status.phase === 'Running' && isReady(pod)).length
  const sizes = { current: target.current, ready, tolerance: target.tolerance }
  if (wanted.averageValue === undefined)
    return { replicas: byValue(usage, amount(wanted.value), sizes), current: { value: quantity(usage) } }
  const average = target.current > 0 ? usage / target.current : 0
  return { replicas: byShare(usage, amount(wanted.averageValue), sizes), current: { averageValue: quantity(average) } }
}

function amount(text: string | undefined): number {
  const value = millis(text)
  if (value <= 0) throw new Error('invalid metric source: the target is no amount')
  return value
}

/** Of thousandths. */
const quantity = (value: number): string => {
  const rounded = Math.round(value)
  return rounded % 1000 === 0 ? `${rounded / 1000}` : `${rounded}m`
}
