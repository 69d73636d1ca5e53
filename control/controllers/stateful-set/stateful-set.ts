// Keeps the pods of each StatefulSet, with their claims, one by one in order or all at once, as it asks for.

import { isNamespaceTerminating } from '#api/errors.ts'
import { byNamespace, byOwner } from '#api/informer/indexes.ts'
import { ControllerRevision, PersistentVolumeClaim, Pod, StatefulSet } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { readyCondition } from '#api/pods.ts'
import { after, done, mapped, of, ownedBy, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { Ages } from '../ages.ts'
import type { WorkloadDeps } from '../deps.ts'
import { HeldBack } from '../held-back.ts'
import { revisionHistory } from '../history/history.ts'
import { isControlledBy, refOf } from '../ownership.ts'
import { podWatches, textOf, type Words } from '../pod-control/pod-control.ts'
import { untilAvailable } from '../pods.ts'
import { canonical } from '../template.ts'
import { type ClaimMove, planClaims } from './claims.ts'
import { firstOrdinal, identityLabels, ordinalOf, podName, podOf, revisionOf } from './identity.ts'
import { type Move, planPods } from './plan.ts'
import { planStatus } from './status.ts'

const words: Words = {
  created: ({ object }, name) => `create Pod ${name} in StatefulSet ${object.metadata.name} successful`,
  notCreated: ({ object }, name, why) => `create Pod ${name} in StatefulSet ${object.metadata.name} failed error: ${why}`,
  deleted: ({ object }, name) => `delete Pod ${name} in StatefulSet ${object.metadata.name} successful`,
  notDeleted: ({ object }, name, why) => `delete Pod ${name} in StatefulSet ${object.metadata.name} failed error: ${why}`,
}

export function statefulSets({ client, informers, recorderFor, podControlFor, clock }: WorkloadDeps): Reconciler {
  const ages = new Ages(clock)
  const heldBack = new HeldBack(clock)
  const sets = informers.of(StatefulSet)
  const pods = informers.of(Pod)
  const claims = informers.of(PersistentVolumeClaim)
  const events = recorderFor('statefulset-controller')
  const control = podControlFor('statefulset-controller', words)
  const history = revisionHistory({ client, informers }, StatefulSet)
  sets.on({ delete: ({ metadata }) => heldBack.forget(metadata.uid) })
  const matches = ({ spec }: StatefulSet) => selectorMatcher(spec.selector)

  /** The sets whose pods have a claim of this name. */
  const claimedBy = ({ metadata }: PersistentVolumeClaim): string[] =>
    sets
      .by(byNamespace, metadata.namespace ?? '')
      .filter((set) =>
        set.spec.volumeClaimTemplates?.some((template) => metadata.name.startsWith(`${template.metadata.name}-${set.metadata.name}-`)),
      )
      .map((set) => keyOf(set.metadata))

  const waitOf = (set: StatefulSet) => (pod: Pod) =>
    pod.status?.phase === 'Running'
      ? untilAvailable(pod, set.spec.minReadySeconds ?? 0, (ready) =>
          ages.of(ready.metadata.uid, readyCondition(ready)?.lastTransitionTime),
        )
      : Number.POSITIVE_INFINITY

  return {
    name: 'statefulset',
    watches: [
      of(StatefulSet),
      ...podWatches(StatefulSet, sets, matches, ({ spec }) => spec.replicas ?? 0),
      ownedBy(StatefulSet, ControllerRevision),
      mapped(PersistentVolumeClaim, claimedBy),
    ],
    async reconcile(key, signal) {
      const set = sets.get(key)
      // What it would make now, its revision too, would only hold up its end.
      if (!set || set.metadata.deletionTimestamp) return done
      const owner = { kind: StatefulSet, object: set }
      const { revisions, update, collisionCount } = await history.record(set, signal)
      const current = revisions.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update
      const own = await control.claim(owner, matches(set), signal, { only: (pod) => ordinalOf(set, pod) !== undefined })
      const wait = waitOf(set)
      const { moves, recheck } = planPods({
        set,
        current,
        update,
        pods: own,
        wait,
        heldBack: ({ metadata }) => heldBack.of(set.metadata.uid, metadata.name, metadata.uid),
        claimable: (ordinal) => claimsOf(set, ordinal, undefined).blockedBy === undefined,
      })
      const failures = await settle(set, own, moves, signal)

      const now = pods.by(byOwner, set.metadata.uid).filter((pod) => isControlledBy(pod, set) && ordinalOf(set, pod) !== undefined)
      const known = sets.get(key) ?? set
      const status = planStatus({ set: known, current, update, collisionCount, pods: now, wait })
      if (canonical(status) !== canonical(known.status))
        await client.update(StatefulSet, { ...known, status }, { subresource: 'status', signal })
      if (failures.length) throw failures[0]
      const live = new Set([update.metadata.name, status.currentRevision, ...now.map(revisionOf)].filter((name) => name !== undefined))
      await history.truncate(known, revisions, live, signal)
      return recheck === undefined ? done : after(recheck)
    },
  }

  /** Does all that is to be done now; returns why some of it was not. */
  async function settle(set: StatefulSet, own: readonly Pod[], moves: readonly Move[], signal: AbortSignal): Promise<unknown[]> {
    const owner = { kind: StatefulSet, object: set }
    const failures: unknown[] = []
    for (const pod of own) failures.push(...(await keep(set, pod, signal)))
    const wanted = []
    for (const move of moves) {
      if (move.do !== 'create') continue
      const failed = await runClaims(set, podName(set, move.ordinal), claimsOf(set, move.ordinal, undefined).moves, signal)
      failures.push(...failed)
      if (!failed.length) wanted.push(podOf(set, move.revision, move.ordinal))
    }
    const created = await control.create(owner, wanted, signal)
    const doomed = moves.flatMap((move) => (move.do === 'delete' ? [move] : []))
    for (const { pod, why } of doomed) {
      if (why !== 'failed') continue
      const name = `${set.metadata.namespace}/${set.metadata.name}`
      events.event(set, 'Warning', 'RecreatingFailedPod', `StatefulSet ${name} is recreating failed Pod ${pod.metadata.name}`)
    }
    const deleted = await control.delete(
      owner,
      doomed.map(({ pod }) => pod),
      signal,
    )
    return [...failures, ...[created.error, deleted.error].filter((error) => error !== undefined)]
  }

  /** A pod that is there has its labels and its claims, and the claims their owners. */
  async function keep(set: StatefulSet, pod: Pod, signal: AbortSignal): Promise<unknown[]> {
    const ordinal = ordinalOf(set, pod)!
    const labels = identityLabels(set, ordinal)
    const { labels: present = {}, uid, name, deletionTimestamp } = pod.metadata
    const failures = await runClaims(set, name, claimsOf(set, ordinal, pod).moves, signal)
    if (!deletionTimestamp && Object.entries(labels).some(([label, value]) => present[label] !== value)) {
      await client
        .patch(Pod, refOf(pod), 'merge', { metadata: { uid, labels } }, { signal })
        .catch((error: unknown) => failures.push(error))
    }
    return failures
  }

  function claimsOf(set: StatefulSet, ordinal: number, pod: Pod | undefined) {
    const first = firstOrdinal(set)
    const condemned = ordinal < first || ordinal >= first + (set.spec.replicas ?? 1)
    const find = (name: string) => claims.get({ namespace: set.metadata.namespace ?? '', name })
    return planClaims({ set, ordinal, pod, condemned, find })
  }

  async function runClaims(set: StatefulSet, pod: string, moves: readonly ClaimMove[], signal: AbortSignal): Promise<unknown[]> {
    const failures: unknown[] = []
    for (const move of moves) {
      const { name, resourceVersion } = move.claim.metadata
      const what = `create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name}`
      try {
        if (move.do === 'create') {
          await client.create(PersistentVolumeClaim, move.claim, { signal })
          events.event(set, 'Normal', 'SuccessfulCreate', `${what} success`)
        } else {
          const metadata = { resourceVersion, ownerReferences: move.ownerReferences }
          await client.patch(PersistentVolumeClaim, refOf(move.claim), 'merge', { metadata }, { signal })
        }
      } catch (error) {
        signal.throwIfAborted()
        if (move.do === 'create' && !isNamespaceTerminating(error))
          events.event(set, 'Warning', 'FailedCreate', `${what} failed error: ${textOf(error)}`)
        failures.push(error)
      }
    }
    return failures
  }
}
