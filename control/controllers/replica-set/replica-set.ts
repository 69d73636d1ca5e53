// Keeps as many pods as each ReplicaSet and each ReplicationController asks for: the one controller for both,
// which differ in how their selector is written and in what their status has room for.

import { byOwner } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import { Pod, ReplicaSet, ReplicationController } from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import { readyCondition } from '#api/pods.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import { Ages } from '../ages.ts'
import type { WorkloadDeps } from '../deps.ts'
import { controllerOf, isControlledBy } from '../ownership.ts'
import { podWatches, textOf } from '../pod-control/pod-control.ts'
import { canonical, podFrom } from '../template.ts'
import { type Failure, planScaling, planStatus } from './plan.ts'

/** As the plans know them: a ReplicationController has the same fields, but for its selector. */
type Variant = {
  name: string
  component: string
  kind: Kind<ReplicaSet>
  selector: (set: ReplicaSet) => LabelSelector | undefined
  /** Whether the status counts pods that are on their way out. */
  countsTerminating: boolean
}

export const replicaSets = (deps: WorkloadDeps): Reconciler =>
  replicas(deps, {
    name: 'replicaset',
    component: 'replicaset-controller',
    kind: ReplicaSet,
    selector: ({ spec }) => spec.selector,
    countsTerminating: true,
  })

export const replicationControllers = (deps: WorkloadDeps): Reconciler =>
  replicas(deps, {
    name: 'replicationcontroller',
    component: 'replication-controller',
    kind: ReplicationController as Kind as Kind<ReplicaSet>,
    selector: ({ spec }) => ({ matchLabels: (spec.selector ?? {}) as Record<string, string> }),
    countsTerminating: false,
  })

function replicas(
  { client, informers, podControlFor, clock }: WorkloadDeps,
  { name, component, kind, selector, countsTerminating }: Variant,
): Reconciler {
  const ages = new Ages(clock)
  const sets = informers.of(kind)
  const pods = informers.of(Pod)
  const control = podControlFor(component)
  const matches = (set: ReplicaSet) => selectorMatcher(selector(set))
  const readyFor = (pod: Pod) => ages.of(pod.metadata.uid, readyCondition(pod)?.lastTransitionTime)

  async function report(set: ReplicaSet, own: readonly Pod[], failure: Failure, signal: AbortSignal): Promise<number | undefined> {
    const { status: planned, recheck } = planStatus(set, own, failure, clock.now(), readyFor)
    const { terminatingReplicas: _, ...others } = planned
    const status = countsTerminating ? planned : others
    if (canonical(status) !== canonical(set.status)) await client.update(kind, { ...set, status }, { subresource: 'status', signal })
    return recheck
  }

  return {
    name,
    watches: [of(kind), ...podWatches(kind, sets, matches, ({ spec }) => spec.replicas ?? 0)],
    async reconcile(key, signal) {
      const set = sets.get(key)
      if (!set) return done
      const owner = { kind, object: set }
      const own = await control.claim(owner, matches(set), signal)
      const related = () => peersOf(set, sets).flatMap((peer) => pods.by(byOwner, peer.metadata.uid))
      const { create, remove } = planScaling(set, own, related)
      const wanted = Array.from({ length: create }, () => podFrom(set.spec.template, set, kind))
      const created = await control.create(owner, wanted, signal)
      const removed = await control.delete(owner, remove, signal)
      const error = created.error ?? removed.error
      const failure =
        error === undefined ? undefined : ({ reason: create ? 'FailedCreate' : 'FailedDelete', message: textOf(error) } as const)
      // What was written is known by now; nothing of it is claimed twice.
      const now = create || remove.length ? pods.by(byOwner, set.metadata.uid).filter((pod) => isControlledBy(pod, set)) : own
      const recheck = await report(sets.get(key) ?? set, now, failure, signal)
      if (error !== undefined) throw error
      return recheck === undefined ? done : after(recheck)
    },
  }
}

/** All sets under the same deployment. */
function peersOf(set: ReplicaSet, sets: Informer<ReplicaSet>): ReplicaSet[] {
  const owner = controllerOf(set)
  return owner ? sets.by(byOwner, owner.uid) : [set]
}
