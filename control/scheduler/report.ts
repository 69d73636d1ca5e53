// Says on a pod why it waits: an event, and its condition.

import type { Client } from '#api/client/client.ts'
import { type Clock, timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { Pod } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { PodInfo } from './cluster/pod-info.ts'
import type { SchedulingQueue } from './queue/queue.ts'

export type ReportDeps = {
  client: Client
  clock: Clock
  events: EventRecorder
  log: Log
  signal: AbortSignal
  queue: SchedulingQueue
  /** The node that is being made free for the pod; '': none any more. */
  nominated?: string
}

/** Nothing is said twice in a row. Never rejects. */
export async function report(
  info: PodInfo,
  message: string,
  { client, clock, events, log, signal, queue, nominated }: ReportDeps,
): Promise<void> {
  const pod = queue.get(info.uid)?.pod ?? info.pod
  const { name, namespace, uid } = pod.metadata
  const known = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  const told = known?.status === 'False' && known.reason === 'Unschedulable' && known.message === message
  const promised = nominated !== undefined && nominated !== (pod.status?.nominatedNodeName ?? '')
  if (told && !promised) return
  if (!told) events.event(pod, 'Warning', 'FailedScheduling', message)
  const lastTransitionTime = (known?.status === 'False' && known.lastTransitionTime) || timestamp(clock.now())
  const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime }
  const status = { conditions: [condition], ...(promised && { nominatedNodeName: nominated || null }) }
  try {
    await client.patch(
      Pod,
      { name, ...(namespace && { namespace }) },
      'strategic',
      { metadata: { uid }, status },
      { subresource: 'status', signal },
    )
  } catch (error) {
    if (!signal.aborted && !isStatus(error, 'NotFound', 'Conflict')) log.debug({ pod: name, err: error }, 'cannot report why a pod waits')
  }
}
