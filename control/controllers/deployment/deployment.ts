// Rolls Deployments out: one ReplicaSet per template, the current one up, the others down.

import { isNamespaceTerminating, isStatus } from '#api/errors.ts'
import { byNamespace, byOwner } from '#api/informer/indexes.ts'
import { Deployment, Pod, ReplicaSet } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { isTerminal } from '#api/pods.ts'
import { after, done, mapped, of, ownedBy, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import { Ages } from '../ages.ts'
import type { Deps } from '../deps.ts'
import { claim, controllerOf, isControlledBy, orphansByNamespace, refOf, settleClaims } from '../ownership.ts'
import { textOf } from '../pod-control/pod-control.ts'
import { canonical } from '../template.ts'
import { planRollout } from './plan.ts'
import { currentSet, revisionKey, sameTemplate } from './revisions.ts'
import { type Step, scaleAnnotations, size } from './sets.ts'
import { planStatus } from './status.ts'

export function deployments({ client, informers, recorderFor, clock }: Deps): Reconciler {
  const ages = new Ages(clock)
  const all = informers.of(Deployment)
  const sets = informers.of(ReplicaSet)
  const pods = informers.of(Pod)
  const events = recorderFor('deployment-controller')

  /** Only Recreate waits for pods to be gone; of others nobody asks. */
  const recreating = (pod: Parameters<typeof controllerOf>[0]): string[] => {
    const owner = controllerOf(pod)
    const set = owner && sets.get({ namespace: pod.metadata.namespace ?? '', name: owner.name })
    const parent = set && controllerOf(set)
    const key = parent && keyOf({ namespace: pod.metadata.namespace ?? '', name: parent.name })
    return key && all.get(key)?.spec.strategy?.type === 'Recreate' ? [key] : []
  }

  const orphan = (set: ReplicaSet): string[] =>
    controllerOf(set)
      ? []
      : all
          .by(byNamespace, set.metadata.namespace ?? '')
          .filter((deployment) => selectorMatcher(deployment.spec.selector)(set.metadata.labels ?? {}))
          .map((deployment) => keyOf(deployment.metadata))

  async function run(deployment: Deployment, step: Step, signal: AbortSignal): Promise<ReplicaSet | undefined> {
    if (step.do === 'create') {
      const made = await createSet(deployment, step, signal)
      if (size(made)) tellScaling(deployment, made, 0)
      return made
    }
    const { uid, resourceVersion } = step.set.metadata
    if (step.do === 'delete') {
      await client.delete(ReplicaSet, refOf(step.set), { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background', signal })
      return undefined
    }
    const patch =
      step.do === 'scale'
        ? { metadata: { resourceVersion, annotations: scaleAnnotations(deployment) }, spec: { replicas: step.replicas } }
        : {
            metadata: { resourceVersion, annotations: step.annotations },
            spec: { minReadySeconds: deployment.spec.minReadySeconds ?? null },
          }
    const next = await client.patch(ReplicaSet, refOf(step.set), 'merge', patch, { signal })
    if (size(next) !== size(step.set)) tellScaling(deployment, next, size(step.set))
    return next
  }

  function tellScaling(deployment: Deployment, set: ReplicaSet, from: number): void {
    const direction = size(set) > from ? 'up' : 'down'
    events.event(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled ${direction} replica set ${set.metadata.name} from ${from} to ${size(set)}`,
    )
  }

  /** A set of this name that is not ours or runs another template: count the collision, and the next try hashes to another name. */
  async function createSet(deployment: Deployment, { set }: Extract<Step, { do: 'create' }>, signal: AbortSignal) {
    try {
      return await client.create(ReplicaSet, set, { signal })
    } catch (error) {
      if (!isStatus(error, 'AlreadyExists')) throw error
      const there = await client.find(ReplicaSet, { namespace: set.metadata.namespace ?? '', name: set.metadata.name ?? '' }, { signal })
      if (there && isControlledBy(there, deployment) && sameTemplate(there.spec.template, deployment.spec.template)) return there
      const status = { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 }
      await client.update(Deployment, { ...deployment, status }, { subresource: 'status', signal })
      throw error
    }
  }

  /** The deployment carries the revision of its current set, for `kubectl rollout`. */
  async function numberRevision(deployment: Deployment, current: ReplicaSet | undefined, signal: AbortSignal) {
    const revision = current?.metadata.annotations?.[revisionKey]
    if (!revision || deployment.metadata.annotations?.[revisionKey] === revision) return deployment
    return await client.patch(
      Deployment,
      refOf(deployment),
      'merge',
      { metadata: { annotations: { [revisionKey]: revision } } },
      { signal },
    )
  }

  return {
    name: 'deployment',
    watches: [of(Deployment), ownedBy(Deployment, ReplicaSet), mapped(ReplicaSet, orphan), mapped(Pod, recreating)],
    async reconcile(key, signal) {
      let deployment = all.get(key)
      // Without a selector it would take every set in its namespace for its own.
      if (!deployment || !deployment.spec.selector || canonical(deployment.spec.selector) === '{}') return done
      const namespace = deployment.metadata.namespace ?? ''
      const candidates = [...sets.by(byOwner, deployment.metadata.uid), ...sets.by(orphansByNamespace, namespace)]
      const claims = claim(deployment, candidates, selectorMatcher(deployment.spec.selector))
      const own = new Map(
        (await settleClaims({ client, signal }, { owner: deployment, ownerKind: Deployment, kind: ReplicaSet }, claims)).map((set) => [
          set.metadata.name,
          set,
        ]),
      )

      let failure: { error: unknown; message: string } | undefined
      if (!deployment.metadata.deletionTimestamp) {
        const steps = planRollout(deployment, [...own.values()], oldPodsLeft(deployment, [...own.values()]))
        for (const step of steps) {
          // An earlier step may have given this set a new version.
          const known = step.do === 'create' ? undefined : own.get(step.set.metadata.name)
          let changed: ReplicaSet | undefined
          try {
            changed = await run(deployment, known && step.do !== 'create' ? { ...step, set: known } : step, signal)
          } catch (error) {
            if (step.do !== 'create' || signal.aborted || isNamespaceTerminating(error) || isStatus(error, 'AlreadyExists')) throw error
            const message = `Failed to create new replica set ${JSON.stringify(step.set.metadata.name)}: ${textOf(error)}`
            events.event(deployment, 'Warning', 'ReplicaSetCreateError', message)
            failure = { error, message }
            break
          }
          if (changed) own.set(changed.metadata.name, changed)
          else if (step.do === 'delete') own.delete(step.set.metadata.name)
        }
        deployment = await numberRevision(deployment, currentSet(deployment, [...own.values()]), signal)
      }

      const current = currentSet(deployment, [...own.values()])
      const old = [...own.values()].filter((set) => set !== current)
      const { uid } = deployment.metadata
      const { status, recheck } = planStatus(deployment, current, old, clock.now(), (time) => ages.of(uid, time), failure?.message)
      if (canonical(status) !== canonical(deployment.status))
        await client.update(Deployment, { ...deployment, status }, { subresource: 'status', signal })
      if (failure) throw failure.error
      // A second more: conditions tell time in whole seconds.
      return recheck === undefined ? done : after(recheck + 1000)
    },
  }

  function oldPodsLeft(deployment: Deployment, own: ReplicaSet[]): boolean {
    if (deployment.spec.strategy?.type !== 'Recreate') return false
    const current = currentSet(deployment, own)
    return own.some((set) => set !== current && pods.by(byOwner, set.metadata.uid).some((pod) => !isTerminal(pod)))
  }
}
