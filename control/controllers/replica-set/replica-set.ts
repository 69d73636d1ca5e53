// Keeps as many pods as each ReplicaSet asks for.

import { isStatus } from '#api/errors.ts'
import { byNamespace, byOwner } from '#api/informer/indexes.ts'
import { Pod, ReplicaSet } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { after, done, mapped, of, ownedBy, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { Ages } from '../ages.ts'
import type { Deps } from '../deps.ts'
import { claim, controllerOf, orphansByNamespace, refOf, settleClaims } from '../ownership.ts'
import { readyCondition } from '../pods.ts'
import { canonical, podFrom } from '../template.ts'
import { type Failure, planScaling, planStatus } from './plan.ts'

export function replicaSets({ client, informers, recorderFor, clock }: Deps): Reconciler {
  const ages = new Ages(clock)
  const sets = informers.of(ReplicaSet)
  const pods = informers.of(Pod)
  const events = recorderFor('replicaset-controller')
  /** Pods we deleted whose end the watch has not told yet: to us they are gone already. */
  const leaving = new Set<string>()
  pods.on({
    update: (pod) => pod.metadata.deletionTimestamp && leaving.delete(pod.metadata.uid),
    delete: (pod) => leaving.delete(pod.metadata.uid),
  })

  /** A pod that nobody controls may be one that some sets are waiting for. */
  const waitingFor = (pod: Pod): string[] =>
    controllerOf(pod)
      ? []
      : sets
          .by(byNamespace, pod.metadata.namespace ?? '')
          .filter((set) => selectorMatcher(set.spec.selector)(pod.metadata.labels ?? {}))
          .map((set) => keyOf(set.metadata))

  async function create(set: ReplicaSet, count: number, signal: AbortSignal): Promise<Pod[]> {
    const made: Pod[] = []
    // Batches that double while all goes well: a template that the server refuses costs one call, not hundreds.
    for (let batch = 1; made.length < count; batch *= 2) {
      const size = Math.min(batch, count - made.length)
      const results = await Promise.allSettled(
        Array.from({ length: size }, () => client.create(Pod, podFrom(set.spec.template, set, ReplicaSet), { signal })),
      )
      for (const result of results) {
        if (result.status !== 'fulfilled') continue
        made.push(result.value)
        events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${result.value.metadata.name}`)
      }
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    }
    return made
  }

  async function remove(set: ReplicaSet, doomed: Pod[], signal: AbortSignal): Promise<void> {
    const results = await Promise.allSettled(
      doomed.map(async (pod) => {
        await client.delete(Pod, refOf(pod), { preconditions: { uid: pod.metadata.uid }, signal })
        if (pods.get(keyOf(pod.metadata))?.metadata.uid === pod.metadata.uid) leaving.add(pod.metadata.uid)
        events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
      }),
    )
    const failed = results.find((result) => result.status === 'rejected' && !isStatus(result.reason, 'NotFound'))
    if (failed?.status === 'rejected') throw failed.reason
  }

  const readyFor = (pod: Pod) => ages.of(pod.metadata.uid, readyCondition(pod)?.lastTransitionTime)

  async function report(set: ReplicaSet, own: Pod[], failure: Failure, signal: AbortSignal): Promise<number | undefined> {
    const { status, recheck } = planStatus(set, own, failure, clock.now(), readyFor)
    if (canonical(status) !== canonical(set.status)) await client.update(ReplicaSet, { ...set, status }, { subresource: 'status', signal })
    return recheck
  }

  return {
    name: 'replicaset',
    watches: [of(ReplicaSet), ownedBy(ReplicaSet, Pod), mapped(Pod, waitingFor)],
    async reconcile(key, signal) {
      const set = sets.get(key)
      if (!set) return done
      const namespace = set.metadata.namespace ?? ''
      const candidates = [...pods.by(byOwner, set.metadata.uid), ...pods.by(orphansByNamespace, namespace)]
      const claims = claim(set, candidates, selectorMatcher(set.spec.selector))
      const own = (await settleClaims({ client, signal }, { owner: set, ownerKind: ReplicaSet, kind: Pod }, claims)).filter(
        ({ metadata }) => !leaving.has(metadata.uid),
      )

      const { create: missing, remove: surplus } = planScaling(set, own, surplusPeers(set))
      try {
        if (missing) own.push(...(await create(set, missing, signal)))
        if (surplus.length) await remove(set, surplus, signal)
      } catch (error) {
        if (signal.aborted || isTerminating(error)) return done
        const message = error instanceof Error ? error.message : String(error)
        const reason = missing ? 'FailedCreate' : 'FailedDelete'
        events.event(set, 'Warning', reason, `Error ${missing ? 'creating' : 'deleting'}: ${message}`)
        await report(set, current(set), { reason, message }, signal)
        throw error
      }
      const recheck = await report(
        sets.get(key) ?? set,
        own.filter((pod) => !leaving.has(pod.metadata.uid)),
        undefined,
        signal,
      )
      return recheck === undefined ? done : after(recheck)
    },
  }

  function current(set: ReplicaSet): Pod[] {
    return pods.by(byOwner, set.metadata.uid).filter(({ metadata }) => !leaving.has(metadata.uid))
  }

  /** Pods of all sets under the same deployment. */
  function surplusPeers(set: ReplicaSet): Pod[] {
    const owner = controllerOf(set)
    const peers = owner ? sets.by(byOwner, owner.uid) : [set]
    return peers.flatMap((peer) => pods.by(byOwner, peer.metadata.uid))
  }
}

/** The namespace is going away: nothing will ever come of it. */
const isTerminating = (error: unknown): boolean =>
  isStatus(error, 'Forbidden') && (error.details?.causes?.some((cause) => (cause.reason as string) === 'NamespaceTerminating') ?? false)
