// The one way to the API for controllers, scheduler, agent and command line. Two transports implement
// it: in-process (server side; objects are frozen and shared, never mutate them) and HTTPS.
// Every failure is a StatusError; a lost connection is `ServiceUnavailable` with the cause attached.
// Only an abort is not one: calls reject with the signal's own reason, a watch just ends.

import type { Kind, KubeObject } from '../kinds/kind.ts'
import type { ObjectMeta } from '../types/meta-v1.gen.ts'

export type Ref = { namespace?: string; name: string }

/** What a client sends to create a T: the server fills in the rest. */
export type New<T extends KubeObject> = Loose<Omit<T, 'metadata' | 'apiVersion' | 'kind'>> & {
  apiVersion?: string
  kind?: string
  metadata: Partial<ObjectMeta>
}
type Loose<T> = T extends (infer E)[] ? Loose<E>[] : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T

export type List<T> = { items: T[]; metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number } }

/** `BOOKMARK` carries only a resource version; `ERROR` never arrives: it is thrown as a StatusError (410 `Expired`: list again). */
export type WatchEvent<T> = { type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'; object: T }

export type ListOptions = {
  namespace?: string
  /** Selector text as in a query: `app=web,tier in (a,b)`. */
  labelSelector?: string
  fieldSelector?: string
  resourceVersion?: string
  resourceVersionMatch?: 'Exact' | 'NotOlderThan'
  limit?: number
  continue?: string
  /** Objects come as PartialObjectMetadata: nothing but their metadata is read, sent or kept. */
  metadataOnly?: boolean
  signal?: AbortSignal
}

export type WatchOptions = Pick<
  ListOptions,
  'namespace' | 'labelSelector' | 'fieldSelector' | 'resourceVersion' | 'metadataOnly' | 'signal'
> & {
  timeoutSeconds?: number
  allowWatchBookmarks?: boolean
  sendInitialEvents?: boolean
}

export type WriteOptions = { subresource?: string; fieldManager?: string; dryRun?: boolean; signal?: AbortSignal }
export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'
export type DeleteOptions = {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  signal?: AbortSignal
}

/** A kind as the server offers it, e.g. with verbs `get list watch create update patch delete deletecollection`. */
export type ServedKind = Kind & { readonly verbs: readonly string[] }

export type KindsOptions = {
  signal?: AbortSignal
  /** Told of each group and version, as `group/version`, whose server cannot say what it serves, where the rest can be told without it. */
  unreachable?: (groupVersion: string) => void
}

export interface Client {
  /** Every kind that can be addressed by itself (no subresources), each in its group's preferred version; custom ones too. */
  kinds(options?: KindsOptions): Promise<ServedKind[]>
  get<T extends KubeObject>(kind: Kind<T>, ref: Ref, options?: { signal?: AbortSignal }): Promise<T>
  /** As `get`, but undefined where there is no such object. */
  find<T extends KubeObject>(kind: Kind<T>, ref: Ref, options?: { signal?: AbortSignal }): Promise<T | undefined>
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<List<T>>
  /** Ends quietly when the server closes the watch or the signal aborts; resume from the last resource version seen. */
  watch<T extends KubeObject>(kind: Kind<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>
  create<T extends KubeObject>(kind: Kind<T>, object: New<T>, options?: WriteOptions): Promise<T>
  /** A subresource that takes another kind (binding, eviction, token), by POST. Returns the server's answer. */
  createSubresource(kind: Kind, ref: Ref, subresource: string, body: Record<string, unknown>, options?: WriteOptions): Promise<unknown>
  /** Replaces; with `metadata.resourceVersion` set, only if it still is the current one (else `Conflict`). */
  update<T extends KubeObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<T>
  patch<T extends KubeObject>(
    kind: Kind<T>,
    ref: Ref,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions & { force?: boolean },
  ): Promise<T>
  /** Resolves when the deletion is accepted; the object may live on with a deletionTimestamp. */
  delete(kind: Kind, ref: Ref, options?: DeleteOptions): Promise<void>
}
