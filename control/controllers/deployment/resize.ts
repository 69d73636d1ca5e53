// A deployment whose wanted number changes in the middle of a rollout: the difference is shared among
// its sets in proportion to their sizes, so that no side of the rollout loses its weight.

import type { Deployment, ReplicaSet } from '#api/types/apps-v1.gen.ts'
import { limitsOf } from './limits.ts'
import { byAge, desiredKey, maxKey } from './revisions.ts'
import { available, type Step, scaleAnnotations, size, total } from './sets.ts'

export function planResize(deployment: Deployment, current: ReplicaSet | undefined, old: readonly ReplicaSet[]): Step[] {
  const { replicas, surge } = limitsOf(deployment)
  const active = [...old, ...(current ? [current] : [])].filter((set) => size(set) > 0)
  const wanted = scaleAnnotations(deployment)

  const scale = (set: ReplicaSet, to: number): Step[] => {
    const stale = Object.entries(wanted).some(([key, value]) => set.metadata.annotations?.[key] !== value)
    return to !== size(set) || stale ? [{ do: 'scale', set, replicas: to }] : []
  }

  if (active.length <= 1) {
    const only = active[0] ?? current ?? old.toSorted(byAge).at(-1)
    return only && size(only) !== replicas ? scale(only, replicas) : only ? scale(only, size(only)) : []
  }
  if (
    current &&
    size(current) === replicas &&
    current.metadata.annotations?.[desiredKey] === String(replicas) &&
    available(current) === replicas
  ) {
    return old.filter((set) => size(set) > 0).flatMap((set) => scale(set, 0))
  }
  if (deployment.spec.strategy?.type === 'Recreate') return []

  const allowed = replicas > 0 ? replicas + surge : 0
  const toAdd = allowed - total(active)
  // The larger first, and of equals the newer when growing, the older when shrinking.
  const sorted = active.toSorted((a, b) => size(b) - size(a) || (toAdd > 0 ? byAge(b, a) : byAge(a, b)))
  let added = 0
  const sizes = sorted.map((set) => {
    const share = proportion(set, deployment, replicas, surge)
    const left = toAdd - added
    const part = toAdd === 0 ? 0 : toAdd > 0 ? Math.min(share, left) : Math.max(share, left)
    added += part
    return size(set) + part
  })
  sizes[0] = Math.max(0, sizes[0]! + toAdd - added)
  return sorted.flatMap((set, i) => scale(set, sizes[i]!))
}

function proportion(set: ReplicaSet, deployment: Deployment, replicas: number, surge: number): number {
  if (replicas === 0) return -size(set)
  const before = Number(set.metadata.annotations?.[maxKey]) || deployment.status?.replicas || size(set)
  return Math.round((size(set) * (replicas + surge)) / before) - size(set)
}
