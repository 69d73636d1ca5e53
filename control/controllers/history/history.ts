// The templates that a StatefulSet or DaemonSet has had, each a ControllerRevision, as `kubectl rollout history` and
// `undo` read them: `data` is a strategic merge patch that brings the template back. No two have the same number; the
// one with the highest is the template as it is now, also when that one is as it once was before.

import type { Client } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { byOwner } from '#api/informer/indexes.ts'
import type { Informers } from '#api/informer/informers.ts'
import { ControllerRevision } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { selectorMatcher } from '#api/selector/label.ts'
import type { PodTemplateSpec } from '#api/types/core-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import { claim, controllerOf, controllerRef, orphansByNamespace, refOf, settleClaims } from '../ownership.ts'
import { canonical, templateHash } from '../template.ts'

/** On a revision and on the pods made of it: what tells the templates apart. */
export const revisionLabel = 'controller-revision-hash'

export type Templated = KubeObject & {
  spec: { template: PodTemplateSpec; selector?: LabelSelector; revisionHistoryLimit?: number }
  status?: { collisionCount?: number }
}

export type Record = {
  /** Oldest first; the last is `update`. */
  revisions: ControllerRevision[]
  /** That of the template as it is now. */
  update: ControllerRevision
  /** As the owner's status should have it. */
  collisionCount: number
}

export type History<T extends Templated> = {
  /** Writes down the template as it is now, unless that is done. */
  record(owner: T, signal: AbortSignal): Promise<Record>
  /** Deletes what is beyond the owner's limit, oldest first, except those whose names `live` has. */
  truncate(owner: T, revisions: readonly ControllerRevision[], live: ReadonlySet<string>, signal: AbortSignal): Promise<void>
}

/** `client`'s writes are in the informers' caches once they are answered. */
export function revisionHistory<T extends Templated>(
  { client, informers }: { client: Client; informers: Informers },
  kind: Kind<T>,
): History<T> {
  const known = informers.of(ControllerRevision)

  async function own(owner: T, signal: AbortSignal): Promise<ControllerRevision[]> {
    const candidates = [...known.by(byOwner, owner.metadata.uid), ...known.by(orphansByNamespace, owner.metadata.namespace ?? '')]
    const { kept, adopt, release } = claim(owner, candidates, selectorMatcher(owner.spec.selector))
    // Its labels may have been edited: the template in it is the owner's all the same.
    const claims = { kept: [...kept, ...release], adopt, release: [] }
    const mine = await settleClaims({ client, signal }, { owner, ownerKind: kind, kind: ControllerRevision }, claims)
    return mine.filter(({ metadata }) => !metadata.deletionTimestamp).sort(inOrder)
  }

  async function create(owner: T, revision: number, signal: AbortSignal): Promise<{ made: ControllerRevision; collisionCount: number }> {
    const { name, namespace = '', annotations } = owner.metadata
    for (let collisionCount = owner.status?.collisionCount ?? 0; ; collisionCount++) {
      const hash = templateHash(owner.spec.template, collisionCount)
      const wanted = {
        metadata: {
          name: `${name}-${hash}`,
          namespace,
          labels: { ...owner.spec.template.metadata?.labels, [revisionLabel]: hash },
          ...(annotations && { annotations: withoutApplied(annotations) }),
          ownerReferences: [controllerRef(kind, owner)],
        },
        data: dataOf(owner.spec.template),
        revision,
      }
      try {
        return { made: await client.create(ControllerRevision, wanted, { signal }), collisionCount }
      } catch (error) {
        if (!isStatus(error, 'AlreadyExists')) throw error
        const there = await client.find(ControllerRevision, { namespace, name: wanted.metadata.name }, { signal })
        if (!there || (controllerOf(there)?.uid === owner.metadata.uid && sameTemplate(there, owner.spec.template))) throw error
      }
    }
  }

  return {
    async record(owner, signal) {
      const revisions = await own(owner, signal)
      const collisionCount = owner.status?.collisionCount ?? 0
      const found = revisions.findLast((revision) => sameTemplate(revision, owner.spec.template))
      const others = revisions.filter((revision) => revision !== found)
      const next = others.reduce((most, { revision }) => Math.max(most, revision), 0) + 1
      if (!found) {
        const { made, collisionCount: count } = await create(owner, next, signal)
        return { revisions: [...others, made], update: made, collisionCount: count }
      }
      // Back from the past, or numbered like another by whoever made it.
      const update =
        found.revision >= next ? found : await client.patch(ControllerRevision, refOf(found), 'merge', { revision: next }, { signal })
      return { revisions: [...others, update], update, collisionCount }
    },
    async truncate({ spec }, revisions, live, signal) {
      const limit = spec.revisionHistoryLimit ?? 10
      const old = revisions.filter(({ metadata }) => !live.has(metadata.name))
      if (limit < 0) return
      for (const revision of old.slice(0, Math.max(0, old.length - limit))) {
        const { uid } = revision.metadata
        await client.delete(ControllerRevision, refOf(revision), { preconditions: { uid }, signal }).catch((error: unknown) => {
          if (!isStatus(error, 'NotFound', 'Conflict')) throw error
        })
      }
    },
  }
}

/** The pods' template that the revision stands for. */
export function templateOf({ data }: ControllerRevision): PodTemplateSpec {
  const { $patch: _, ...template } = (data as { spec: { template: PodTemplateSpec & { $patch?: string } } }).spec.template
  return template
}

const dataOf = (template: PodTemplateSpec) => ({ spec: { template: { ...template, $patch: 'replace' } } })

const sameTemplate = ({ data }: ControllerRevision, template: PodTemplateSpec): boolean => canonical(data) === canonical(dataOf(template))

const inOrder = (a: ControllerRevision, b: ControllerRevision): number =>
  a.revision - b.revision ||
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  a.metadata.name.localeCompare(b.metadata.name)

const withoutApplied = (annotations: { [key: string]: string }) =>
  Object.fromEntries(Object.entries(annotations).filter(([key]) => key !== 'kubectl.kubernetes.io/last-applied-configuration'))
