// Keeps the status of every PodDisruptionBudget: evictions are granted by it.

import { byNamespace } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import { Deployment, Pod, PodDisruptionBudget, ReplicaSet, ReplicationController, StatefulSet } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { after, done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'
import { Ages } from '../ages.ts'
import type { Deps } from '../deps.ts'
import { controllerOf } from '../ownership.ts'
import { canonical } from '../template.ts'
import { planBudget } from './budget.ts'

type Scaled = KubeObject & { spec: { replicas?: number } }

export function disruptionBudgets({ client, informers, clock }: Deps): Reconciler {
  const ages = new Ages(clock)
  const grantedFor = ({ metadata }: Pod, since: string) => ages.of(metadata.uid, since)
  const budgets = informers.of(PodDisruptionBudget)
  const pods = informers.of(Pod)
  const owners: Record<string, Pick<Informer<Scaled>, 'get'>> = {
    'apps/v1 Deployment': informers.of(Deployment),
    'apps/v1 ReplicaSet': informers.of(ReplicaSet),
    'apps/v1 StatefulSet': informers.of(StatefulSet),
    'v1 ReplicationController': informers.of(ReplicationController),
  }

  const budgetsFor = (namespace: string | undefined, matches: (budget: PodDisruptionBudget) => boolean): string[] =>
    budgets
      .by(byNamespace, namespace ?? '')
      .filter(matches)
      .map(({ metadata }) => keyOf(metadata))
  const selecting = (pod: Pod, old?: Pod): string[] =>
    budgetsFor(pod.metadata.namespace, ({ spec }) => {
      const matches = selectorMatcher(spec.selector)
      return matches(pod.metadata.labels ?? {}) || (old !== undefined && matches(old.metadata.labels ?? {}))
    })
  /** Only how many it wants matters; whose pods it has is not known here. */
  const scaledIn = (now: Scaled, old?: Scaled): string[] =>
    old && old.spec.replicas === now.spec.replicas ? [] : budgetsFor(now.metadata.namespace, () => true)

  return {
    name: 'disruption',
    watches: [
      of(PodDisruptionBudget),
      mapped(Pod, selecting),
      mapped<Scaled>(Deployment, scaledIn),
      mapped<Scaled>(ReplicaSet, scaledIn),
      mapped<Scaled>(StatefulSet, scaledIn),
      mapped<Scaled>(ReplicationController, scaledIn),
    ],
    async reconcile(key, signal) {
      const budget = budgets.get(key)
      if (!budget || budget.metadata.deletionTimestamp) return done
      const matches = selectorMatcher(budget.spec.selector)
      const own = pods.by(byNamespace, budget.metadata.namespace ?? '').filter(({ metadata }) => matches(metadata.labels ?? {}))
      const { status, recheck } = planBudget({ budget, pods: own, wanted: wantedBy(own), now: clock.now(), grantedFor })
      if (canonical(status) !== canonical(budget.status)) {
        await client.update(PodDisruptionBudget, { ...budget, status }, { subresource: 'status', signal })
      }
      return recheck === undefined ? done : after(recheck)
    },
  }

  /** Of all controllers of the pods together. A pod that nobody controls counts for nothing. */
  function wantedBy(own: readonly Pod[]): number | string {
    const replicas = new Map<string, number>()
    for (const pod of own) {
      const ref = controllerOf(pod)
      if (!ref) continue
      const top = topmost(pod.metadata.namespace ?? '', ref)
      if (!top) return `${ref.kind} ${JSON.stringify(ref.name)} does not tell how many pods it wants`
      replicas.set(top.metadata.uid, top.spec.replicas ?? 1)
    }
    return [...replicas.values()].reduce((sum, n) => sum + n, 0)
  }

  /** A deployment speaks for its replica sets. */
  function topmost(namespace: string, ref: OwnerReference): Scaled | undefined {
    const found = owners[`${ref.apiVersion} ${ref.kind}`]?.get(`${namespace}/${ref.name}`)
    if (found?.metadata.uid !== ref.uid) return undefined
    const above = controllerOf(found)
    return (above && topmost(namespace, above)) ?? found
  }
}
