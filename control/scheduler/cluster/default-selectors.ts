// Whom a pod is one of: those that the same services choose, or the same ReplicaSet, ReplicationController or
// StatefulSet made. Pods that say nothing of spreading are spread among these.

import { byNamespace } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { Informers } from '#api/informer/informers.ts'
import { ReplicaSet, ReplicationController, Service, StatefulSet } from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'

export type DefaultSelectors = {
  /** undefined: it is nobody's. */
  of(pod: Pod): LabelSelector | undefined
  readonly synced: Promise<unknown>
}

type Owner = ReplicaSet | ReplicationController | StatefulSet

/** Answers that are remembered; replicas of one workload ask the same. */
const most = 10_000

export function defaultSelectors(informers: Informers): DefaultSelectors {
  const services = informers.of(Service)
  /** By kind: who writes a pod says what that is. */
  const owners = new Map<string, Informer<Owner>>(
    [ReplicaSet, ReplicationController, StatefulSet].map((kind) => [kind.kind, informers.of(kind as unknown as Kind<Owner>)]),
  )
  const known = new Map<string, LabelSelector | undefined>()
  const forget = () => known.clear()
  for (const informer of [services as unknown as Informer<Owner>, ...owners.values()]) {
    informer.on({
      add: forget,
      delete: forget,
      update: (object, old) => {
        if (!same(object.spec?.selector, old.spec?.selector)) forget()
      },
    })
  }

  function find({ metadata: { namespace = '', labels = {}, ownerReferences = [] } }: Pod): LabelSelector | undefined {
    const matchLabels: Record<string, string> = {}
    for (const { spec } of services.by(byNamespace, namespace)) {
      const wanted = Object.entries(spec.selector ?? {})
      if (wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)) Object.assign(matchLabels, spec.selector)
    }
    const made = ownerReferences.find(({ controller }) => controller)
    const owner = made && owners.get(made.kind)?.get({ namespace, name: made.name })
    const matchExpressions = []
    if (owner && owner.metadata.uid === made.uid) {
      const { selector } = owner.spec ?? {}
      if (made.kind === 'ReplicationController') Object.assign(matchLabels, selector)
      else {
        const { matchLabels: more = {}, matchExpressions: expressions = [] } = (selector ?? {}) as LabelSelector
        Object.assign(matchLabels, more)
        matchExpressions.push(...expressions)
      }
    }
    return Object.keys(matchLabels).length + matchExpressions.length > 0 ? { matchLabels, matchExpressions } : undefined
  }

  return {
    synced: Promise.all([services, ...owners.values()].map(({ synced }) => synced)),
    of(pod) {
      const { namespace, labels, ownerReferences } = pod.metadata
      const owner = ownerReferences?.find(({ controller }) => controller)?.uid
      const key = JSON.stringify([namespace, owner, labels])
      if (known.has(key)) return known.get(key)
      if (known.size >= most) known.clear()
      const found = find(pod)
      known.set(key, found)
      return found
    },
  }
}
