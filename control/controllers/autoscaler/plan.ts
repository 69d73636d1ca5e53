// What an autoscaler does about its target, and what it says of that in its conditions.

import { timestamp } from '#api/clock.ts'
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  HorizontalPodAutoscalerConditionType,
  MetricStatus,
} from '#api/types/autoscaling-v2.gen.ts'
import { type History, limit, rulesOf } from './behavior.ts'
import { MetricError, type Proposal } from './metric.ts'

type Condition = Pick<HorizontalPodAutoscalerCondition, 'type' | 'status' | 'reason' | 'message'>

export type Decision = {
  desired: number
  /** Why it is to be another size than it is; undefined: it stays. */
  why?: string
  conditions: Condition[]
  metrics?: MetricStatus[]
  /** What is worth a warning. */
  warning?: { reason: string; message: string }
}

const says = (type: HorizontalPodAutoscalerConditionType, status: 'True' | 'False', reason: string, message: string): Condition => ({
  type,
  status,
  reason,
  message,
})

/** Where the size alone decides, whatever the metrics say. */
export function decideBySize({ spec }: HorizontalPodAutoscaler, current: number): Decision | undefined {
  const { minReplicas = 1, maxReplicas } = spec
  if (current === 0 && minReplicas !== 0) {
    const message = 'scaling is disabled since the replica count of the target is zero'
    return { desired: 0, conditions: [says('ScalingActive', 'False', 'ScalingDisabled', message)] }
  }
  if (current > maxReplicas) return { desired: maxReplicas, why: 'Current number of replicas above Spec.MaxReplicas', conditions: [] }
  if (current < minReplicas) return { desired: minReplicas, why: 'Current number of replicas below Spec.MinReplicas', conditions: [] }
  return undefined
}

/** `answers` are in the order of the metrics. The largest proposal counts; and where one is missing, none that is smaller than now. */
export function decide(
  { spec }: HorizontalPodAutoscaler,
  { current, answers, history, now }: { current: number; answers: readonly (Proposal | MetricError)[]; history: History; now: number },
): Decision {
  const proposals = answers.flatMap((answer) => (answer instanceof MetricError ? [] : [answer]))
  const failures = answers.filter((answer) => answer instanceof MetricError)
  const metrics = answers.map(
    (answer, i): MetricStatus => (answer instanceof MetricError ? { type: spec.metrics![i]!.type } : answer.status),
  )
  const best = proposals.reduce<Proposal | undefined>((most, each) => (most && most.replicas >= each.replicas ? most : each), undefined)
  const [failure] = failures
  if (failure && (!best || best.replicas < current)) {
    const message = `invalid metrics (${failures.length} invalid out of ${answers.length}), first error is: ${failure.message}`
    const conditions = best
      ? []
      : [says('ScalingActive', 'False', failure.reason, `the HPA was unable to compute the replica count: ${failure.message}`)]
    // Who cannot see all of it does not make it smaller.
    if (best)
      conditions.push(
        says('ScalingActive', 'True', 'ValidMetricFound', `the HPA was able to successfully calculate a replica count from ${best.name}`),
      )
    return { desired: current, conditions, metrics, warning: { reason: best ? 'FailedComputeMetricsReplicas' : failure.reason, message } }
  }
  if (!best) return { desired: current, conditions: [], metrics }
  const { replicas: desired, stabilized, limited } = limit(spec, rulesOf(spec), history, { current, asked: best.replicas, now })
  const conditions = [
    says(
      'AbleToScale',
      'True',
      stabilized ?? 'ReadyForNewScale',
      stabilized ? stabilizedText[stabilized] : 'recommended size matches current size',
    ),
    says('ScalingActive', 'True', 'ValidMetricFound', `the HPA was able to successfully calculate a replica count from ${best.name}`),
    limited
      ? says('ScalingLimited', 'True', limited, limitedText[limited])
      : says('ScalingLimited', 'False', 'DesiredWithinRange', 'the desired count is within the acceptable range'),
  ]
  const warning = failure && { reason: failure.reason, message: failure.message }
  const why = desired > current ? `${best.name} above target` : 'All metrics below target'
  return { desired, ...(desired !== current && { why }), conditions, metrics, ...(warning && { warning }) }
}

const stabilizedText = {
  ScaleUpStabilized: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
  ScaleDownStabilized: 'recent recommendations were higher than current one, applying the highest recent recommendation',
}
const limitedText = {
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
}

/** `known`, with these said; a time changes only with a status. */
export function withConditions(
  known: readonly HorizontalPodAutoscalerCondition[] | undefined,
  said: readonly Condition[],
  now: number,
): HorizontalPodAutoscalerCondition[] {
  const conditions = [...(known ?? [])]
  for (const condition of said) {
    const at = conditions.findIndex(({ type }) => type === condition.type)
    const before = conditions[at]
    const lastTransitionTime = before?.status === condition.status && before.lastTransitionTime ? before.lastTransitionTime : timestamp(now)
    if (at < 0) conditions.push({ ...condition, lastTransitionTime })
    else conditions[at] = { ...condition, lastTransitionTime }
  }
  return conditions
}

export const able = (status: 'True' | 'False', reason: string, message: string): Condition => says('AbleToScale', status, reason, message)
