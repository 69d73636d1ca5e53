import type { PodQOSClass, PodSpec } from '../../types/core-v1.gen.ts'

const counted = ['cpu', 'memory']

/** Guaranteed: every container limits cpu and memory and asks for just that. BestEffort: nothing is asked or limited. */
export function qosClass(spec: PodSpec): PodQOSClass {
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].map((c) => c.resources ?? {})
  const given = containers.flatMap((r) => [...Object.entries(r.requests ?? {}), ...Object.entries(r.limits ?? {})])
  if (!given.some(([name, amount]) => counted.includes(name) && !isZero(amount))) return 'BestEffort'
  const guaranteed = containers.every((r) =>
    counted.every((name) => r.limits?.[name] && (r.requests?.[name] ?? r.limits[name]) === r.limits[name]),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

const isZero = (amount: string) => Number.parseFloat(amount) === 0
