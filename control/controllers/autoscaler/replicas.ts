// How many replicas one metric asks for (the algorithm that Kubernetes documents for HorizontalPodAutoscalers).
// What pods did not tell is assumed to speak against the change: those without a metric use nothing where others
// ask for more, and all that they may where others ask for less; those not ready yet use nothing.

/** By how much the ratio of use to target may differ from 1 and nothing follows, each way. */
export type Tolerance = { up: number; down: number }

/** Pods by name: what is known of each. */
export type PodGroups = {
  ready: ReadonlySet<string>
  unready: ReadonlySet<string>
  missing: ReadonlySet<string>
}

export type Answer = { replicas: number /** Of the pods that told, on average. */; average: number; utilization?: number }

export class NoMetrics extends Error {}

const noMetrics = () => new NoMetrics('did not receive metrics for targeted pods (pods might be unready)')

const isWithin = (ratio: number, { up, down }: Tolerance): boolean => ratio >= 1 - down && ratio <= 1 + up
const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0)
/** Without the dust of binary fractions: 1.1 times 10 is 11. */
const ceil = (value: number): number => Math.ceil(Number(value.toFixed(9)))

type Asked = {
  current: number
  /** By pod; of pods in any group. */
  usage: ReadonlyMap<string, number>
  groups: PodGroups
  tolerance: Tolerance
}

/** Each pod's use against a target for each. */
export function byAverage({ current, usage, groups, tolerance }: Asked, target: number): Answer {
  return answer(
    { current, usage, groups, tolerance },
    (measured) => {
      const average = sum(measured.values()) / measured.size
      return { ratio: average / target, average }
    },
    () => target,
  )
}

/** Each pod's use in percent of what it requests, against a target in percent. */
export function byUtilization(asked: Asked, requests: ReadonlyMap<string, number>, target: number): Answer {
  const measure: Measure = (measured) => {
    const requested = sum([...measured.keys()].map((pod) => requests.get(pod) ?? 0))
    if (requested === 0) throw new NoMetrics('no metrics returned matched known pods')
    const utilization = Math.trunc((sum(measured.values()) * 100) / requested)
    return { ratio: utilization / target, utilization, average: sum(measured.values()) / measured.size }
  }
  return answer(asked, measure, (pod) => ((requests.get(pod) ?? 0) * Math.max(100, target)) / 100)
}

type Measure = (measured: ReadonlyMap<string, number>) => { ratio: number; average: number; utilization?: number }

function answer({ current, usage, groups, tolerance }: Asked, measure: Measure, most: (pod: string) => number): Answer {
  const measured = new Map([...usage].filter(([pod]) => groups.ready.has(pod)))
  if (measured.size === 0) throw noMetrics()
  const { ratio, ...seen } = measure(measured)
  const upWithUnready = groups.unready.size > 0 && ratio > 1
  if (!upWithUnready && groups.missing.size === 0)
    return { ...seen, replicas: isWithin(ratio, tolerance) ? current : ceil(ratio * groups.ready.size) }
  for (const pod of groups.missing) {
    if (ratio < 1) measured.set(pod, most(pod))
    else if (ratio > 1) measured.set(pod, 0)
  }
  if (upWithUnready) for (const pod of groups.unready) measured.set(pod, 0)
  const { ratio: next } = measure(measured)
  if (isWithin(next, tolerance) || (ratio < 1 && next > 1) || (ratio > 1 && next < 1)) return { ...seen, replicas: current }
  const replicas = ceil(next * measured.size)
  if ((next < 1 && replicas > current) || (next > 1 && replicas < current)) return { ...seen, replicas: current }
  return { ...seen, replicas }
}

/** One value for all, against one target: an object's or the outside world's. `ready`: pods that are. */
export function byValue(usage: number, target: number, { current, ready, tolerance }: Whole): number {
  const ratio = usage / target
  // From zero there are no pods to multiply.
  if (current === 0) return ceil(ratio)
  return isWithin(ratio, tolerance) ? current : ceil(ratio * ready)
}

/** One value for all, against a target for each pod. */
export function byShare(usage: number, target: number, { current, tolerance }: Whole): number {
  if (current > 0 && isWithin(usage / (target * current), tolerance)) return current
  return ceil(usage / target)
}

type Whole = { current: number; ready: number; tolerance: Tolerance }
