// The ReplicaSets of a Deployment as things to count, and the moves that change them.

import type { New } from '#api/client/client.ts'
import type { Deployment, ReplicaSet } from '#api/types/apps-v1.gen.ts'
import { limitsOf } from './limits.ts'
import { desiredKey, maxKey } from './revisions.ts'

export type Step =
  | { do: 'create'; set: New<ReplicaSet> }
  | { do: 'scale'; set: ReplicaSet; replicas: number }
  /** Bring annotations and minReadySeconds of the current set up to date. */
  | { do: 'refresh'; set: ReplicaSet; annotations: Record<string, string> }
  | { do: 'delete'; set: ReplicaSet }

export const size = (set: ReplicaSet | undefined): number => (set ? (set.spec.replicas ?? 1) : 0)
export const available = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0
export const total = (sets: readonly ReplicaSet[]): number => sets.reduce((sum, set) => sum + size(set), 0)

/** What a scaled set remembers, so that a later change of the deployment's size is noticed and shared out. */
export function scaleAnnotations(deployment: Deployment): Record<string, string> {
  const { replicas, surge } = limitsOf(deployment)
  return { [desiredKey]: String(replicas), [maxKey]: String(replicas + surge) }
}
