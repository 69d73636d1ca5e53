// Binds pods to nodes. Placing is synchronous and in memory, on the very event that brought the pod;
// binding goes on beside it, with the pod counted on its node meanwhile.

import { breather } from '#api/breather.ts'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informers } from '#api/informer/informers.ts'
import { Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, StorageClass } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import { bind } from './bind.ts'
import { Cluster } from './cluster/cluster.ts'
import { defaultSelectors } from './cluster/default-selectors.ts'
import type { PodInfo } from './cluster/pod-info.ts'
import { defaultConfiguration, type SchedulerConfiguration } from './config/configuration.ts'
import { follow } from './follow.ts'
import type { ClusterEvent, Plugin } from './framework/plugin.ts'
import { Placer, type Profile } from './framework/profile.ts'
import { PermitWaits } from './framework/waiting.ts'
import { Gate } from './gate.ts'
import { placeGroup } from './groups/place-group.ts'
import { groupOf, type PodGroup, PodGroups, placedOf } from './groups/pod-groups.ts'
import { SchedulingQueue } from './queue/queue.ts'
import { report } from './report.ts'

export type SchedulerDeps = {
  client: Client
  informers: Informers
  /** By the name of a scheduler. */
  recorderFor: (name: string) => EventRecorder
  clock: Clock
  random: () => number
  log: Log
  signal: AbortSignal
  /** Pods that name a scheduler for which there is no profile are left alone. */
  configuration?: SchedulerConfiguration
}

/** Resolves once the signal has aborted and no binding is under way. */
export async function schedule(deps: SchedulerDeps): Promise<void> {
  const { informers, recorderFor, clock, random, log, signal, configuration = defaultConfiguration } = deps
  const followed = [Node, Pod, Namespace, PodDisruptionBudget, PersistentVolume, PersistentVolumeClaim, StorageClass].map(
    (kind) => informers.of<KubeObject>(kind).synced,
  )
  const namespaces = informers.of(Namespace)
  const cluster = new Cluster({ labelsOf: (namespace) => namespaces.get(namespace)?.metadata.labels ?? {} })
  const waiting = new PermitWaits(clock)
  const profiles = new Map<string, Profile>()
  const selectors = defaultSelectors(informers)
  let synced = false
  const happened = (event: ClusterEvent) => synced && queue.happened(event)
  for (const { schedulerName, make } of configuration.profiles) {
    profiles.set(schedulerName, make({ ...deps, cluster, waiting, selectors, happened, events: recorderFor(schedulerName), schedulerName }))
  }
  const [first] = profiles.values()
  const profileOf = (pod: Pod): Profile | undefined => profiles.get(pod.spec.schedulerName ?? 'default-scheduler')
  const queue = new SchedulingQueue({
    clock,
    ready: () => drain(),
    before: (a, b) => first!.plugins.queueSort.before(a, b),
    gated: (pod) => profileOf(pod.pod)?.plugins.preEnqueue.some((plugin) => plugin.preEnqueue?.(pod) !== undefined) ?? true,
    backoff: configuration.backoff,
  })
  const gate = new Gate()
  const groups = new PodGroups()
  const placer = new Placer({ cluster, random })
  const working = new Set<Promise<void>>()
  const breathe = breather()
  let resting = false

  const unfollow = follow({
    informers,
    cluster,
    queue,
    groups,
    ours: (pod) => profileOf(pod) !== undefined,
    gone: (uid) => waiting.reject(uid, '', 'the pod is gone'),
  })

  function drain(): void {
    if (!synced || resting || signal.aborted) return
    while (!gate.isFull) {
      const pause = breathe()
      if (pause) return void rest(pause)
      const pod = queue.take()
      if (!pod) return
      const profile = profileOf(pod.pod)
      if (profile) scheduleOne(pod, profile)
    }
  }

  function scheduleOne(pod: PodInfo, profile: Profile): void {
    const group = groupOf(pod)
    const missing = group ? group.least - placedOf(group, cluster) : 0
    // The last that is missing, and those beyond, go on their own.
    if (group && missing > 1) return scheduleTogether(pod, group, missing)
    const placement = placer.place(pod, profile)
    if (placement.nodeName !== undefined) {
      cluster.assume(pod, placement.nodeName)
      return go(pod, placement.nodeName, profile)
    }
    const { message, by, postFiltered } = placement
    const nominated = postFiltered?.nominated
    if (nominated) cluster.nominations.set(pod, nominated)
    else if (nominated === '') cluster.nominations.delete(pod.uid)
    stay(pod, message, by, nominated)
    if (postFiltered?.act) start(makeRoom(pod, postFiltered.act))
  }

  /** A group drives nobody away. */
  function scheduleTogether(pod: PodInfo, group: PodGroup, missing: number): void {
    const claimed = groups.waiting(group).filter((uid) => !cluster.isAssumed(uid) && (uid === pod.uid || queue.claim(uid)))
    const pods = claimed.flatMap((uid) => queue.get(uid) ?? [])
    const { placed, refused } = placeGroup(group, pods, missing, cluster, (each) => placer.place(each, profileOf(each.pod)!))
    for (const each of placed) go(each.pod, each.nodeName, profileOf(each.pod.pod)!)
    for (const each of refused) stay(each.pod, each.message, each.by)
  }

  const contextOf = (pod: PodInfo) => {
    const events = recorderFor(profileOf(pod.pod)?.schedulerName ?? 'default-scheduler')
    return { ...deps, events, cluster, queue, waiting }
  }

  function go(pod: PodInfo, nodeName: string, profile: Profile): void {
    start(bind(pod, nodeName, profile, { ...contextOf(pod), gate }))
  }

  function stay(pod: PodInfo, message: string, by: readonly Plugin[], nominated?: string): void {
    queue.park(pod.uid, by)
    start(gate.pass(() => report(pod, message, { ...contextOf(pod), ...(nominated !== undefined && { nominated }) })))
  }

  async function makeRoom(pod: PodInfo, act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await gate.pass(() => act(signal))
    } catch (error) {
      if (signal.aborted) return
      log.warn({ pod: pod.pod.metadata.name, namespace: pod.namespace, err: error }, 'cannot make room')
      cluster.nominations.delete(pod.uid)
      queue.wake(pod.uid)
    }
  }

  /** Others have their turn of the event loop before the next pod is placed. */
  async function rest(pause: Promise<void>): Promise<void> {
    resting = true
    await pause
    resting = false
    drain()
  }

  function start(work: Promise<void>): void {
    const tracked = work.finally(() => {
      working.delete(tracked)
      drain()
    })
    working.add(tracked)
  }

  const stopped = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  await Promise.race([Promise.all([...followed, selectors.synced]), stopped])
  synced = true
  drain()
  await stopped
  unfollow()
  queue.close()
  waiting.close()
  await Promise.all(working)
}
