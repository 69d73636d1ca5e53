// A Deployment's history is its ReplicaSets, each with the number of the revision it stands for. The
// annotations are those that `kubectl rollout` reads and writes.

import type { New } from '#api/client/client.ts'
import { Deployment } from '#api/kinds/index.ts'
import type { ReplicaSet } from '#api/types/apps-v1.gen.ts'
import type { PodTemplateSpec } from '#api/types/core-v1.gen.ts'
import { controllerRef } from '../ownership.ts'
import { canonical, templateHash } from '../template.ts'
import { limitsOf } from './limits.ts'

export const revisionKey = 'deployment.kubernetes.io/revision'
const historyKey = 'deployment.kubernetes.io/revision-history'
export const desiredKey = 'deployment.kubernetes.io/desired-replicas'
export const maxKey = 'deployment.kubernetes.io/max-replicas'
const hashLabel = 'pod-template-hash'
/** Past revision numbers kept on a set that came back, in characters. */
const historyMax = 2000
/** Of the deployment alone. */
const notCopied = new Set(['kubectl.kubernetes.io/last-applied-configuration', revisionKey, historyKey, desiredKey, maxKey])

/** Of 64 bits, as anybody may have written it; 0 where it is none. */
export function revisionOf({ metadata }: ReplicaSet): bigint {
  const [digits] = /^[+-]?\d{1,19}$/.exec(metadata.annotations?.[revisionKey] ?? '') ?? ['0']
  const revision = BigInt(digits.replace('+', ''))
  return BigInt.asIntN(64, revision) === revision ? revision : 0n
}

export const byAge = (a: ReplicaSet, b: ReplicaSet): number =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') || a.metadata.name.localeCompare(b.metadata.name)

/** The set that runs the deployment's template as it is now; the oldest, should there be several. */
export const currentSet = (deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined =>
  sets.toSorted(byAge).find((set) => sameTemplate(set.spec.template, deployment.spec.template))

export function sameTemplate(a: PodTemplateSpec, b: PodTemplateSpec): boolean {
  return canonical(withoutHash(a)) === canonical(withoutHash(b))
}

function withoutHash(template: PodTemplateSpec): unknown {
  const { [hashLabel]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels, creationTimestamp: undefined } }
}

/** What the current set's annotations should be, given the other sets. */
export function annotationsFor(deployment: Deployment, set: ReplicaSet | undefined, others: readonly ReplicaSet[]): Record<string, string> {
  const { replicas, surge } = limitsOf(deployment)
  const copied = Object.entries(deployment.metadata.annotations ?? {}).filter(([key]) => !notCopied.has(key))
  const annotations = { ...set?.metadata.annotations, ...Object.fromEntries(copied) }
  const next = others.map(revisionOf).reduce((most, each) => (each > most ? each : most), 0n) + 1n
  const before = set ? revisionOf(set) : 0n
  if (before < next) {
    annotations[revisionKey] = String(next)
    if (before) annotations[historyKey] = [...(annotations[historyKey]?.split(',') ?? []), before].join(',').slice(-historyMax)
  }
  annotations[desiredKey] ??= String(replicas)
  annotations[maxKey] ??= String(replicas + surge)
  return annotations
}

export function newSet(deployment: Deployment, replicas: number, others: readonly ReplicaSet[]): New<ReplicaSet> {
  const { name, namespace } = deployment.metadata
  const { template, selector, minReadySeconds } = deployment.spec
  const hash = templateHash(template, deployment.status?.collisionCount)
  const labels = { ...template.metadata?.labels, [hashLabel]: hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace && { namespace }),
      labels,
      annotations: annotationsFor(deployment, undefined, others),
      ownerReferences: [controllerRef(Deployment, deployment)],
    },
    spec: {
      replicas,
      ...(minReadySeconds && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  }
}

/** Old sets beyond the history limit, oldest revisions first; never one with pods or with news not yet taken in. */
export function expired(deployment: Deployment, old: readonly ReplicaSet[]): ReplicaSet[] {
  const alive = old.filter(({ metadata }) => !metadata.deletionTimestamp).toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)))
  const surplus = alive.length - (deployment.spec.revisionHistoryLimit ?? 10)
  return alive
    .slice(0, Math.max(0, surplus))
    .filter(
      ({ spec, status, metadata }) =>
        !spec.replicas && !status?.replicas && (metadata.generation ?? 0) <= (status?.observedGeneration ?? 0),
    )
}
