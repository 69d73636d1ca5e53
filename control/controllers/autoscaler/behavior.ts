// How fast a target may follow what its metrics ask for: the policies and windows of `spec.behavior`. What was
// asked for and done before is remembered by the monotonic clock, so a step of the wall clock loosens nothing.

import type { HorizontalPodAutoscalerSpec, HPAScalingRules } from '#api/types/autoscaling-v2.gen.ts'

export type Moment = { at: number; replicas: number }
/** `change` is what was added (or removed) at once. */
export type Change = { at: number; change: number }

export type History = {
  /** What the metrics asked for. */
  recommendations: Moment[]
  ups: Change[]
  downs: Change[]
}

export type Rules = { up: Required<Pick<HPAScalingRules, 'stabilizationWindowSeconds' | 'selectPolicy' | 'policies'>>; down: Rules['up'] }

const downWindowSeconds = 300

/** What Kubernetes documents where nothing is said. */
export function rulesOf({ behavior }: HorizontalPodAutoscalerSpec): Rules {
  const { scaleUp = {}, scaleDown = {} } = behavior ?? {}
  return {
    up: {
      stabilizationWindowSeconds: scaleUp.stabilizationWindowSeconds ?? 0,
      selectPolicy: scaleUp.selectPolicy ?? 'Max',
      policies: scaleUp.policies ?? [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    },
    down: {
      stabilizationWindowSeconds: scaleDown.stabilizationWindowSeconds ?? downWindowSeconds,
      selectPolicy: scaleDown.selectPolicy ?? 'Max',
      policies: scaleDown.policies ?? [{ type: 'Percent', value: 100, periodSeconds: 15 }],
    },
  }
}

export type Limited = {
  replicas: number
  /** Whether recent recommendations held it back, and why. */
  stabilized?: 'ScaleUpStabilized' | 'ScaleDownStabilized'
  limited?: 'ScaleUpLimit' | 'ScaleDownLimit' | 'TooManyReplicas' | 'TooFewReplicas'
}

/** `asked` is what the metrics ask for now; it joins the history. */
export function limit(
  { minReplicas = 1, maxReplicas }: Pick<HorizontalPodAutoscalerSpec, 'minReplicas' | 'maxReplicas'>,
  rules: Rules,
  history: History,
  { current, asked, now }: { current: number; asked: number; now: number },
): Limited {
  const stable = stabilize(rules, history, { current, asked, now })
  const stabilized =
    stable === asked ? {} : { stabilized: stable < asked ? ('ScaleUpStabilized' as const) : ('ScaleDownStabilized' as const) }
  if (stable > current) {
    const fastest = Math.max(current, fastestUp(rules.up, history, current, now))
    const highest = Math.min(maxReplicas, fastest)
    if (stable > highest) return { replicas: highest, limited: maxReplicas > fastest ? 'ScaleUpLimit' : 'TooManyReplicas', ...stabilized }
  } else if (stable < current) {
    const fastest = Math.min(current, fastestDown(rules.down, history, current, now))
    const lowest = Math.max(minReplicas, fastest)
    if (stable < lowest) return { replicas: lowest, limited: minReplicas < fastest ? 'ScaleDownLimit' : 'TooFewReplicas', ...stabilized }
  }
  if (stable > maxReplicas) return { replicas: maxReplicas, limited: 'TooManyReplicas', ...stabilized }
  if (stable < minReplicas) return { replicas: minReplicas, limited: 'TooFewReplicas', ...stabilized }
  return { replicas: stable, ...stabilized }
}

/** Up by the least, down by the most that was asked for within the window. */
function stabilize(
  { up, down }: Rules,
  history: History,
  { current, asked, now }: { current: number; asked: number; now: number },
): number {
  const within = (seconds: number) => history.recommendations.filter(({ at }) => at > now - seconds * 1000).map(({ replicas }) => replicas)
  const least = Math.min(asked, ...within(up.stabilizationWindowSeconds))
  const most = Math.max(asked, ...within(down.stabilizationWindowSeconds))
  const keepMs = Math.max(up.stabilizationWindowSeconds, down.stabilizationWindowSeconds) * 1000
  history.recommendations = [...history.recommendations.filter(({ at }) => at > now - keepMs), { at: now, replicas: asked }]
  return Math.min(Math.max(current, least), most)
}

const changeWithin = (changes: readonly Change[], periodSeconds: number, now: number): number =>
  changes.filter(({ at }) => at > now - periodSeconds * 1000).reduce((total, { change }) => total + change, 0)

function fastestUp({ selectPolicy, policies }: Rules['up'], { ups, downs }: History, current: number, now: number): number {
  if (selectPolicy === 'Disabled') return current
  const allowed = policies.map(({ type, value, periodSeconds }) => {
    const start = current - changeWithin(ups, periodSeconds, now) + changeWithin(downs, periodSeconds, now)
    return type === 'Pods' ? start + value : Math.ceil(Number((start * (1 + value / 100)).toFixed(9)))
  })
  return selectPolicy === 'Min' ? Math.min(...allowed) : Math.max(...allowed)
}

function fastestDown({ selectPolicy, policies }: Rules['down'], { ups, downs }: History, current: number, now: number): number {
  if (selectPolicy === 'Disabled') return current
  const allowed = policies.map(({ type, value, periodSeconds }) => {
    const start = current + changeWithin(downs, periodSeconds, now) - changeWithin(ups, periodSeconds, now)
    return type === 'Pods' ? start - value : Math.floor(Number((start * (1 - value / 100)).toFixed(9)))
  })
  return selectPolicy === 'Min' ? Math.max(...allowed) : Math.min(...allowed)
}

/** The target has been made larger or smaller. */
export function remember(history: History, rules: Rules, { from, to, now }: { from: number; to: number; now: number }): void {
  const longest = (policies: Rules['up']['policies']) => Math.max(0, ...policies.map(({ periodSeconds }) => periodSeconds)) * 1000
  const keepMs = Math.max(longest(rules.up.policies), longest(rules.down.policies))
  const recent = (changes: Change[]) => changes.filter(({ at }) => at > now - keepMs)
  history.ups = recent(history.ups)
  history.downs = recent(history.downs)
  if (to > from) history.ups.push({ at: now, change: to - from })
  else history.downs.push({ at: now, change: from - to })
}
