// Makes room on a node: victims are told why they go and are deleted with their own time to end.

import type { Client, Ref } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { Pod } from '#api/kinds/index.ts'
import { disruptionTarget } from '#api/pods.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { WaitingPods } from '../framework/plugin.ts'

/** Victims told at a time. */
const abreast = 32

export type EvictDeps = {
  client: Client
  clock: Clock
  events: EventRecorder
  schedulerName: string
  waiting: WaitingPods
}

export const preempted = 'PreemptionByScheduler'

/** Rejects with the first failure, once all have been tried. */
export async function evict(
  victims: readonly PodInfo[],
  pod: PodInfo,
  nodeName: string,
  deps: EvictDeps,
  signal: AbortSignal,
): Promise<void> {
  const left = victims.values()
  const failures: unknown[] = []
  const worker = async () => {
    for (const victim of left) {
      if (signal.aborted) return
      try {
        await evictOne(victim, pod, nodeName, deps, signal)
      } catch (error) {
        // Gone, or another of its name: there is nothing in the way any more.
        if (!isStatus(error, 'NotFound', 'Conflict')) failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(abreast, victims.length) }, worker))
  if (failures.length) throw failures[0]
}

async function evictOne({ pod }: PodInfo, by: PodInfo, nodeName: string, deps: EvictDeps, signal: AbortSignal): Promise<void> {
  const { client, clock, events, schedulerName, waiting } = deps
  const { uid, deletionTimestamp } = pod.metadata
  for (const each of waiting.list()) if (each.pod.uid === uid) return waiting.reject(uid, 'DefaultPreemption', 'preempted')
  if (deletionTimestamp) return
  const ref = refOf(pod)
  const why = `${schedulerName}: preempting to accommodate a higher priority pod`
  const condition = disruptionTarget(preempted, why, clock.now())
  await client.patch(Pod, ref, 'strategic', { metadata: { uid }, status: { conditions: [condition] } }, { subresource: 'status', signal })
  await client.delete(Pod, ref, { preconditions: { uid }, signal })
  events.event(pod, 'Normal', 'Preempted', `Preempted by pod ${by.uid} on node ${nodeName}`)
}

/** A pod that was promised the node waits for another now. */
export async function withdrawPromise({ pod }: PodInfo, client: Client, signal: AbortSignal): Promise<void> {
  const { uid } = pod.metadata
  try {
    await client.patch(
      Pod,
      refOf(pod),
      'strategic',
      { metadata: { uid }, status: { nominatedNodeName: null } },
      { subresource: 'status', signal },
    )
  } catch (error) {
    if (!isStatus(error, 'NotFound', 'Conflict')) throw error
  }
}

const refOf = ({ metadata: { name, namespace } }: Pod): Ref => ({ name, ...(namespace && { namespace }) })
