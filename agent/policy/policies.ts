// Keeps the cluster's network policies in force on this node. The pods of the whole cluster are followed
// only once there is a policy: most edges have none, and every node would hold them all in memory.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { Informer } from '#api/informer/informer.ts'
import type { Informers } from '#api/informer/informers.ts'
import type { Memory } from '#api/informer/memory.ts'
import { Namespace, NetworkPolicy, Pod } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import { coalesce } from '../coalesce.ts'
import { samePod, trimPod } from './pod.ts'
import type { Policy, PolicyError } from './policy.ts'

export type PoliciesOptions = {
  client: Client
  clock: Clock
  random: () => number
  log: Log
  events: EventRecorder
  watched: Informers
  memory?: Memory
  policy: Policy
}

export interface Policies {
  /** Policies have been heard of. */
  readonly synced: Promise<void>
  /** A pod has these addresses from now on. Resolves when its policies are in force: nothing in it may start before. */
  place(pod: Pod, ips: readonly string[]): Promise<void>
  /** Its addresses are free again. Idempotent. */
  release(uid: string): void
  close(): Promise<void>
}

/** Bursts of changes become one transaction, milliseconds. */
const GATHER_MS = 10

export function followPolicies(options: PoliciesOptions): Policies {
  const { clock, log, watched, policy } = options
  const policies = watched.of(NetworkPolicy)
  const placed = new Set<string>()
  const closed = Promise.withResolvers<void>()
  const tell = teller(options.events)
  let cluster: Cluster | undefined
  let running: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined

  /** A run that has not begun yet: whoever asks for one meanwhile shares it. */
  function applySoon(): Promise<void> {
    next ??= running.then(() => {
      next = undefined
      const run = apply()
      running = run.catch(() => {})
      return run
    })
    return next
  }

  async function apply(): Promise<void> {
    if (policies.size > 0) {
      cluster ??= followCluster(options, () => rules.poke())
      await Promise.race([cluster.synced, closed.promise])
    }
    const { errors } = await policy.apply()
    tell(errors)
  }

  const rules = coalesce(applySoon, { name: 'network policies', clock, log, gather: GATHER_MS })
  const poke = () => rules.poke()
  const told = (object: NetworkPolicy, now?: NetworkPolicy) => {
    const { name, namespace = '' } = object.metadata
    policy.policyChanged({ name, namespace }, now)
    poke()
  }
  const silence = policies.on({ add: (each) => told(each, each), update: (each) => told(each, each), delete: (each) => told(each) })
  const synced = policies.synced.then(poke)

  return {
    synced,
    async place(pod, ips) {
      placed.add(pod.metadata.uid)
      policy.placedChanged(pod.metadata.uid, { pod: trimPod(pod), ips })
      if (policies.size > 0) await applySoon()
    },
    release(uid) {
      if (!placed.delete(uid)) return
      policy.placedChanged(uid, undefined)
      if (policies.size > 0) poke()
    },
    async close() {
      closed.resolve()
      silence()
      await rules.close()
      await running
      await cluster?.close()
      await policy.close()
    },
  }
}

type Cluster = { pods: Informer<Pod>; namespaces: Informer<Namespace>; synced: Promise<unknown>; close(): Promise<void> }

function followCluster(options: PoliciesOptions, poke: () => void): Cluster {
  const pods = new Informer(Pod, {}, options, { trim: trimPod })
  const namespaces = options.watched.of(Namespace)
  const hear = (pod: Pod, now?: Pod) => {
    options.policy.podChanged(pod.metadata.uid, now)
    poke()
  }
  const hearNamespace = (namespace: Namespace, now?: Namespace) => {
    options.policy.namespaceChanged(namespace.metadata.name, now)
    poke()
  }
  pods.on({ add: (pod) => hear(pod, pod), update: (pod, old) => void (samePod(pod, old) || hear(pod, pod)), delete: (pod) => hear(pod) })
  pods.start()
  const synced = Promise.all([pods.synced, namespaces.synced])
  const silence = namespaces.on({
    add: (each) => hearNamespace(each, each),
    update: (each) => hearNamespace(each, each),
    delete: (each) => hearNamespace(each),
  })
  return {
    pods,
    namespaces,
    synced,
    async close() {
      silence()
      await pods.close()
    },
  }
}

/** Each policy's errors once, until they are others. */
function teller(events: EventRecorder): (errors: readonly PolicyError[]) => void {
  let told = new Set<string>()
  return (errors) => {
    const now = new Set<string>()
    for (const { policy, reason } of errors) {
      const text = `${policy.metadata.uid} ${reason}`
      if (!told.has(text) && !now.has(text)) events.event(policy, 'Warning', 'FailedToProgramNetworkPolicy', reason)
      now.add(text)
    }
    told = now
  }
}
