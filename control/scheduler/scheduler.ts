// Binds pods to nodes. Placing is synchronous and in memory, on the very event that brought the pod;
// binding goes on beside it, with the pod counted on its node meanwhile.

import { breather } from '#api/breather.ts'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { byNamespace } from '#api/informer/indexes.ts'
import type { Informers } from '#api/informer/informers.ts'
import { Namespace, Node, Pod, Service } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type { Log } from '#api/log.ts'
import { Cluster, isOver } from './cluster.ts'
import { Pending } from './pending.ts'
import { place } from './place.ts'
import type { Sibling } from './scores.ts'

export type SchedulerDeps = {
  client: Client
  informers: Informers
  events: EventRecorder
  clock: Clock
  random: () => number
  log: Log
  signal: AbortSignal
  /** Pods that name another scheduler are left alone. */
  name?: string
}

/** Bindings under way at a time; the store groups them into few commits. */
const bindingsAtOnce = 64

/** Resolves once the signal has aborted and no binding is under way. */
export async function schedule(deps: SchedulerDeps): Promise<void> {
  const { client, informers, events, clock, random, log, signal, name = 'default-scheduler' } = deps
  const cluster = new Cluster()
  const pending = new Pending({ clock, ready: () => drain() })
  const nodes = informers.of(Node)
  const namespaces = informers.of(Namespace)
  const services = informers.of(Service)
  const pods = informers.of(Pod)
  const binding = new Set<Promise<void>>()
  const breathe = breather()
  let synced = false
  let resting = false

  const ours = (pod: Pod): boolean =>
    !pod.spec.nodeName &&
    !pod.metadata.deletionTimestamp &&
    !isOver(pod) &&
    (pod.spec.schedulerName ?? 'default-scheduler') === name &&
    !pod.spec.schedulingGates?.length

  function heard(pod: Pod, old?: Pod): void {
    const { uid } = pod.metadata
    const freed = cluster.setPod(pod)
    if (!ours(pod)) pending.delete(uid)
    else if (cluster.isAssumed(uid)) pending.refresh(pod)
    else pending.set(pod)
    if (freed) pending.wake()
    else if (pod.spec.nodeName && pending.size > 0 && (!old?.spec.nodeName || relabelled(pod, old))) pending.wake(seeksCompany)
  }

  const undo = [
    nodes.on({
      add: (node) => {
        cluster.setNode(node)
        pending.wake()
      },
      update: (node, old) => {
        cluster.setNode(node)
        if (room(node) !== room(old)) pending.wake()
      },
      delete: (node) => {
        cluster.removeNode(node.metadata.name)
        pending.wake()
      },
    }),
    // Affinity may choose namespaces by their labels.
    namespaces.on({
      add: () => pending.wake(),
      update: (namespace, old) => {
        if (!same(namespace.metadata.labels, old.metadata.labels)) pending.wake()
      },
    }),
    pods.on({
      add: (pod) => heard(pod),
      update: (pod, old) => heard(pod, old),
      delete: (pod) => {
        cluster.removePod(pod.metadata.uid)
        pending.delete(pod.metadata.uid)
        if (pod.spec.nodeName) pending.wake()
      },
    }),
  ]

  function siblingOf(pod: Pod): Sibling {
    const labels = pod.metadata.labels ?? {}
    const selectors = services
      .by(byNamespace, pod.metadata.namespace ?? '')
      .map(({ spec }) => Object.entries(spec.selector ?? {}))
      .filter((wanted) => wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value))
    if (!selectors.length) return undefined
    return ({ metadata }) =>
      metadata.namespace === pod.metadata.namespace &&
      selectors.some((wanted) => wanted.every(([key, value]) => metadata.labels?.[key] === value))
  }

  const surroundings = { labelsOf: (namespace: string) => namespaces.get(namespace)?.metadata.labels ?? {} }

  function drain(): void {
    if (!synced || resting || signal.aborted) return
    while (binding.size < bindingsAtOnce) {
      const pause = breathe()
      if (pause) return void rest(pause)
      const pod = pending.take()
      if (!pod) return
      const placement = place(pod, { nodes: cluster.nodes(), namespaces: surroundings, sibling: siblingOf(pod), random })
      if (placement.nodeName === undefined) {
        pending.park(pod.metadata.uid)
        start(refuse(pod, placement.message))
      } else {
        cluster.assume(pod, placement.nodeName)
        start(bind(pod, placement.nodeName))
      }
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
      binding.delete(tracked)
      drain()
    })
    binding.add(tracked)
  }

  async function bind(pod: Pod, nodeName: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata
    const ref = { name, ...(namespace && { namespace }) }
    try {
      const target = { apiVersion: 'v1', kind: 'Node', name: nodeName }
      await client.create(Pod, { metadata: { ...ref, uid }, target }, { subresource: 'binding', signal })
      pending.delete(uid)
      events.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${nodeName}`)
    } catch (error) {
      cluster.forget(uid)
      if (signal.aborted) return
      log.debug({ pod: `${namespace}/${name}`, node: nodeName, err: error }, 'binding failed')
      // Gone or bound by another: what the informer brings next says which.
      if (!isStatus(error, 'NotFound', 'Conflict')) log.warn({ pod: `${namespace}/${name}`, node: nodeName, err: error }, 'cannot bind')
      pending.park(uid, true)
    }
  }

  async function refuse(pod: Pod, message: string): Promise<void> {
    const conditions = pod.status?.conditions ?? []
    const known = conditions.find(({ type }) => type === 'PodScheduled')
    if (known?.status === 'False' && known.reason === 'Unschedulable' && known.message === message) return
    events.event(pod, 'Warning', 'FailedScheduling', message)
    const lastTransitionTime = known?.status === 'False' ? known.lastTransitionTime : timestamp(clock.now())
    const condition = { type: 'PodScheduled' as const, status: 'False' as const, reason: 'Unschedulable', message, lastTransitionTime }
    const status = { ...pod.status, conditions: [...conditions.filter(({ type }) => type !== 'PodScheduled'), condition] }
    try {
      await client.update(Pod, { ...pod, status }, { subresource: 'status', signal })
    } catch (error) {
      if (!signal.aborted && !isStatus(error, 'NotFound', 'Conflict'))
        log.debug({ pod: pod.metadata.name, err: error }, 'cannot report why a pod waits')
    }
  }

  const stopped = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  await Promise.race([Promise.all([nodes.synced, pods.synced, namespaces.synced, services.synced]), stopped])
  synced = true
  drain()
  await stopped
  for (const off of undo) off()
  pending.close()
  await Promise.all(binding)
}

/** What of a node bears on which pods fit; heartbeats do not. */
const room = ({ spec, metadata, status }: Node): string =>
  JSON.stringify([spec, metadata.labels, status?.allocatable, status?.conditions?.map((c) => [c.type, c.status])])

const relabelled = (pod: Pod, old: Pod): boolean => !same(pod.metadata.labels, old.metadata.labels)

/** New company on a node matters to these only. */
const seeksCompany = (pod: Pod): boolean =>
  Boolean(pod.spec.affinity?.podAffinity ?? pod.spec.affinity?.podAntiAffinity ?? pod.spec.topologySpreadConstraints)
