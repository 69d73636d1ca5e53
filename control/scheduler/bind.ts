// The way of a pod from the node that was chosen for it to the server's word that it is there.

import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Log } from '#api/log.ts'
import type { Cluster } from './cluster/cluster.ts'
import type { PodInfo } from './cluster/pod-info.ts'
import type { Plugin, Refusal } from './framework/plugin.ts'
import type { Profile } from './framework/profile.ts'
import type { PermitWaits } from './framework/waiting.ts'
import type { Gate } from './gate.ts'
import type { SchedulingQueue } from './queue/queue.ts'
import { type ReportDeps, report } from './report.ts'

export type BindDeps = ReportDeps & {
  events: EventRecorder
  log: Log
  signal: AbortSignal
  cluster: Cluster
  queue: SchedulingQueue
  waiting: PermitWaits
  gate: Gate
}

/** The pod is counted on the node already. Never rejects. */
export async function bind(pod: PodInfo, nodeName: string, profile: Profile, deps: BindDeps): Promise<void> {
  const { cluster, queue, waiting, gate, signal, events, log } = deps
  const { name, namespace } = pod.pod.metadata
  const { plugins } = profile
  const giveBack = () => {
    for (const plugin of plugins.reserves.toReversed()) plugin.unreserve?.(pod, nodeName)
    cluster.forget(pod.uid)
    queue.happened({ name: 'pod/delete', pod })
  }
  try {
    // Whoever has not to wait is counted among the writes in the turn that placed it.
    const permitted = reserve(pod, nodeName, plugins.reserves) ?? permission(pod, nodeName, plugins.permits, waiting)
    const refused = permitted instanceof Promise ? await permitted : permitted
    if (refused) {
      giveBack()
      queue.park(pod.uid, refused.by)
      if (!signal.aborted) await gate.pass(() => report(pod, refused.refusal.reasons.join(', '), deps))
      return
    }
    await gate.pass(async () => {
      for (const plugin of plugins.preBinds) await plugin.preBind?.(pod, nodeName, signal)
      for (const plugin of plugins.binds) if (await plugin.bind?.(pod, nodeName, signal)) break
    })
    queue.delete(pod.uid)
    cluster.nominations.delete(pod.uid)
    for (const plugin of plugins.postBinds) plugin.postBind?.(pod, nodeName)
    events.event(pod.pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${nodeName}`)
  } catch (error) {
    giveBack()
    if (signal.aborted) return
    log.debug({ pod: `${namespace}/${name}`, node: nodeName, err: error }, 'binding failed')
    // Gone or bound by another: what the informer brings next says which.
    if (!isStatus(error, 'NotFound', 'Conflict')) log.warn({ pod: `${namespace}/${name}`, node: nodeName, err: error }, 'cannot bind')
    queue.retry(pod.uid)
  }
}

type Refused = { refusal: Refusal; by: readonly Plugin[] } | undefined

function reserve(pod: PodInfo, nodeName: string, plugins: readonly Plugin[]): Refused {
  for (const plugin of plugins) {
    const refusal = plugin.reserve?.(pod, nodeName)
    if (refusal) return { refusal, by: [plugin] }
  }
  return undefined
}

function permission(pod: PodInfo, nodeName: string, plugins: readonly Plugin[], waiting: PermitWaits): Refused | Promise<Refused> {
  const waits = new Map<string, number>()
  for (const plugin of plugins) {
    const permission = plugin.permit?.(pod, nodeName)
    if (!permission) continue
    if ('reasons' in permission) return { refusal: permission, by: [plugin] }
    waits.set(plugin.name, permission.wait)
  }
  if (waits.size === 0) return undefined
  return waiting
    .add(pod, nodeName, waits)
    .then((verdict) => verdict && { refusal: { reasons: [verdict.reason] }, by: plugins.filter(({ name }) => name === verdict.plugin) })
}
