// What a pod's status is made from.

import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerRecord } from '../containers/record.ts'

export type Situation = {
  pod: Pod
  records: readonly ContainerRecord[]
  /** The sandbox's; none before there is one. */
  ips: readonly string[]
  hostIPs: readonly string[]
  /** By the wall clock, as `now`. */
  startedAt: number
  now: number
  crashLooping: ReadonlyMap<string, number>
  /** All containers are past their last run. */
  finished: boolean
  /** The pod failed as a whole. */
  failed?: { reason: string; message: string }
  /** A resize that waits, and one under way. */
  resize?: { pending?: { reason: string; message: string }; inProgress?: { reason?: string; message?: string } }
}
