// One move of a rollout: from the ReplicaSets as they are to what to create, scale and delete now. The
// next move follows when these have shown their effect. Rules and rounding are Kubernetes' own
// (pkg/controller/deployment), so that maxSurge and maxUnavailable mean what people expect.

import type { Deployment, ReplicaSet } from '#api/types/apps-v1.gen.ts'
import { limitsOf } from './limits.ts'
import { planResize } from './resize.ts'
import { annotationsFor, byAge, currentSet, desiredKey, expired, newSet } from './revisions.ts'
import { available, type Step, size, total } from './sets.ts'
import { isComplete } from './status.ts'

/** `oldPodsLeft`: whether any pod of an old set still runs or ends, which only Recreate waits for. */
export function planRollout(deployment: Deployment, sets: readonly ReplicaSet[], oldPodsLeft: boolean): Step[] {
  const current = currentSet(deployment, sets)
  const old = sets.filter((set) => set !== current)
  if (deployment.spec.paused) return [...planResize(deployment, current, old), ...cleanup(deployment, old)]

  const fresh = current ? refresh(deployment, current, old) : []
  const resize = wasResized(deployment, sets) ? planResize(deployment, current, old) : []
  if (resize.length) return [...fresh, ...resize]
  return deployment.spec.strategy?.type === 'Recreate'
    ? recreate(deployment, current, old, oldPodsLeft, fresh)
    : rolling(deployment, current, old, fresh)
}

function rolling(deployment: Deployment, current: ReplicaSet | undefined, old: ReplicaSet[], fresh: Step[]): Step[] {
  const { replicas, surge, unavailable } = limitsOf(deployment)
  const wantedNew = () => {
    const room = replicas + surge - total(current ? [...old, current] : old)
    const have = size(current)
    return have > replicas ? replicas : have + Math.max(0, Math.min(room, replicas - have))
  }
  if (!current) return [{ do: 'create', set: newSet(deployment, wantedNew(), old) }]
  const target = wantedNew()
  if (target !== size(current)) return [...fresh, { do: 'scale', set: current, replicas: target }]

  const downs = scaleDownOld(current, old, replicas - unavailable)
  return [...fresh, ...downs, ...(downs.length ? [] : finish(deployment, current, old))]
}

/** First the pods of old sets that are of no use, then as many as availability allows. */
function scaleDownOld(current: ReplicaSet, old: ReplicaSet[], minAvailable: number): Step[] {
  const sorted = old.toSorted(byAge)
  const sizes = new Map(sorted.map((set) => [set, size(set)]))
  const all = total([...old, current])
  let spare = all - minAvailable - (size(current) - available(current))
  if (total(old) === 0 || spare <= 0) return []
  for (const set of sorted) {
    const useless = Math.min(spare, Math.max(0, size(set) - available(set)))
    sizes.set(set, size(set) - useless)
    spare -= useless
  }
  let giveUp = [...old, current].reduce((sum, set) => sum + available(set), 0) - minAvailable
  for (const set of sorted) {
    if (giveUp <= 0) break
    const part = Math.min(giveUp, sizes.get(set)!)
    sizes.set(set, sizes.get(set)! - part)
    giveUp -= part
  }
  return sorted.filter((set) => sizes.get(set) !== size(set)).map((set) => ({ do: 'scale', set, replicas: sizes.get(set)! }))
}

function recreate(deployment: Deployment, current: ReplicaSet | undefined, old: ReplicaSet[], oldPodsLeft: boolean, fresh: Step[]): Step[] {
  const { replicas } = limitsOf(deployment)
  const downs: Step[] = old.filter((set) => size(set) > 0).map((set) => ({ do: 'scale', set, replicas: 0 }))
  if (downs.length) return [...fresh, ...downs]
  if (oldPodsLeft || old.some(({ status }) => status?.replicas)) return fresh
  if (!current) return [{ do: 'create', set: newSet(deployment, replicas, old) }]
  if (size(current) !== replicas) return [...fresh, { do: 'scale', set: current, replicas }]
  return [...fresh, ...finish(deployment, current, old)]
}

function refresh(deployment: Deployment, current: ReplicaSet, old: ReplicaSet[]): Step[] {
  const annotations = annotationsFor(deployment, current, old)
  const before = current.metadata.annotations ?? {}
  const changed = Object.entries(annotations).some(([key, value]) => before[key] !== value)
  return changed || (deployment.spec.minReadySeconds ?? 0) !== (current.spec.minReadySeconds ?? 0)
    ? [{ do: 'refresh', set: current, annotations }]
    : []
}

/** Whether the wanted number was changed since the sets were last scaled. */
const wasResized = (deployment: Deployment, sets: readonly ReplicaSet[]): boolean => {
  const { replicas } = limitsOf(deployment)
  return sets.some((set) => size(set) > 0 && (set.metadata.annotations?.[desiredKey] ?? String(replicas)) !== String(replicas))
}

const finish = (deployment: Deployment, current: ReplicaSet, old: ReplicaSet[]): Step[] =>
  isComplete(deployment, current, old) ? cleanup(deployment, old) : []

const cleanup = (deployment: Deployment, old: ReplicaSet[]): Step[] => expired(deployment, old).map((set) => ({ do: 'delete', set }))
