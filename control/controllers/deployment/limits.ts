// How far a rollout may go above and below the wanted number of pods.

import type { Deployment } from '#api/types/apps-v1.gen.ts'

/** `25%` of `total` or a plain number, rounded as told. What is neither counts 0. */
export function scaled(value: number | string | undefined, total: number, round: (x: number) => number): number {
  if (typeof value === 'number') return value
  const match = /^(\d+)%$/.exec(value ?? '')
  return match ? round((Number(match[1]) * total) / 100) : 0
}

export type Limits = { replicas: number; surge: number; unavailable: number }

/** Surge rounds up, unavailability down, and never are both 0: a rollout could not move. */
export function limitsOf({ spec }: Deployment): Limits {
  const replicas = spec.replicas ?? 1
  if (spec.strategy?.type === 'Recreate') return { replicas, surge: 0, unavailable: 0 }
  const surge = scaled(spec.strategy?.rollingUpdate?.maxSurge ?? '25%', replicas, Math.ceil)
  const floor = scaled(spec.strategy?.rollingUpdate?.maxUnavailable ?? '25%', replicas, Math.floor)
  const unavailable = surge === 0 && floor === 0 ? 1 : floor
  return { replicas, surge, unavailable: Math.min(unavailable, replicas) }
}
