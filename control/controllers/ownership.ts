// Who controls whom: owner references, and the adopting and releasing by selector that goes with them.

import type { Client, Ref } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import type { Index } from '#api/informer/indexes.ts'
import { apiVersionOf, type Kind, type KubeObject } from '#api/kinds/kind.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'

/** As the API server expects it of a controller's children. */
export const controllerRef = (kind: Kind, owner: KubeObject): OwnerReference => ({
  apiVersion: apiVersionOf(kind),
  kind: kind.kind,
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
})

export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((ref) => ref.controller)

export const isControlledBy = (object: KubeObject, owner: KubeObject): boolean => controllerOf(object)?.uid === owner.metadata.uid

/** Objects that nobody controls, by namespace. */
export const orphansByNamespace: Index<KubeObject> = (object) => (controllerOf(object) ? [] : [object.metadata.namespace ?? ''])

export const refOf = ({ metadata }: KubeObject): Ref => ({
  name: metadata.name,
  ...(metadata.namespace && { namespace: metadata.namespace }),
})

export type Claims<T> = { kept: T[]; adopt: T[]; release: T[] }

/** Which of `candidates` belong to `owner`: its own that still match, orphans that match, and its own that no longer do. */
export function claim<T extends KubeObject>(
  owner: KubeObject,
  candidates: Iterable<T>,
  matches: (labels: Record<string, string>) => boolean,
): Claims<T> {
  const claims: Claims<T> = { kept: [], adopt: [], release: [] }
  for (const object of candidates) {
    const controller = controllerOf(object)
    const match = matches(object.metadata.labels ?? {})
    if (controller?.uid === owner.metadata.uid) (match ? claims.kept : claims.release).push(object)
    else if (!controller && match && !object.metadata.deletionTimestamp && !owner.metadata.deletionTimestamp) claims.adopt.push(object)
  }
  return claims
}

/** Carries claims out; returns what is the owner's afterwards. Adopts only for an owner that the server confirms alive. */
export async function settleClaims<T extends KubeObject>(
  { client, signal }: { client: Client; signal: AbortSignal },
  { owner, ownerKind, kind }: { owner: KubeObject; ownerKind: Kind; kind: Kind<T> },
  claims: Claims<T>,
): Promise<T[]> {
  const mine = [...claims.kept]
  for (const object of claims.release) {
    // Being deleted together with us: leave the reference to the garbage collector.
    if (owner.metadata.deletionTimestamp) continue
    const ownerReferences = object.metadata.ownerReferences?.filter((ref) => ref.uid !== owner.metadata.uid) ?? []
    await rewrite(client, kind, object, ownerReferences, signal)
  }
  if (claims.adopt.length) {
    const live = await client.find(ownerKind, refOf(owner), { signal })
    if (!live || live.metadata.uid !== owner.metadata.uid || live.metadata.deletionTimestamp) return mine
    for (const object of claims.adopt) {
      const ownerReferences = [...(object.metadata.ownerReferences ?? []), controllerRef(ownerKind, owner)]
      const adopted = await rewrite(client, kind, object, ownerReferences, signal)
      if (adopted) mine.push(adopted)
    }
  }
  return mine
}

async function rewrite<T extends KubeObject>(
  client: Client,
  kind: Kind<T>,
  object: T,
  ownerReferences: OwnerReference[],
  signal: AbortSignal,
) {
  const { uid, resourceVersion } = object.metadata
  try {
    return await client.patch(kind, refOf(object), 'merge', { metadata: { uid, resourceVersion, ownerReferences } }, { signal })
  } catch (error) {
    if (isStatus(error, 'NotFound')) return undefined
    throw error
  }
}
