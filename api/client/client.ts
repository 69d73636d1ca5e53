// The one way to the API for controllers, scheduler, agent and command line. Two transports implement
// it: in-process (server side; objects are frozen and shared, never mutate them) and HTTPS.
// Every failure is a StatusError; a lost connection is `ServiceUnavailable` with the cause attached.
// Only an abort is not one: calls reject with the signal's own reason, a watch just ends.

import type { Kind, KubeObject } from '../kinds/kind.ts'
import type { ObjectMeta } from '../types/meta-v1.gen.ts'
import type { ActionSubresource, AnswerOf, BodyOf, PartSubresource, Subresource } from './subresource.ts'

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

type Sub = Subresource | undefined
export type ReadOptions<S extends Sub = Sub> = { subresource?: S; signal?: AbortSignal }
export type WriteOptions<S extends Sub = Sub> = { subresource?: S; fieldManager?: string; dryRun?: boolean; signal?: AbortSignal }
export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'
export type DeleteOptions = {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  signal?: AbortSignal
}

/** What of a container's log, as PodLogOptions of Kubernetes. */
export type LogOptions = {
  /** May be left out of a pod with one. */
  container?: string
  /** Goes on with what is written from now, until the container ends or the signal aborts. */
  follow?: boolean
  previous?: boolean
  sinceSeconds?: number
  sinceTime?: string
  timestamps?: boolean
  tailLines?: number
  limitBytes?: number
  stream?: 'All' | 'Stdout' | 'Stderr'
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
  get<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
    kind: Kind<T>,
    ref: Ref,
    options?: ReadOptions<S>,
  ): Promise<AnswerOf<T, S>>
  /** As `get`, but undefined where there is no such object. */
  find<T extends KubeObject>(kind: Kind<T>, ref: Ref, options?: { signal?: AbortSignal }): Promise<T | undefined>
  list<T extends KubeObject>(kind: Kind<T>, options?: ListOptions): Promise<List<T>>
  /** Ends quietly when the server closes the watch or the signal aborts; resume from the last resource version seen. */
  watch<T extends KubeObject>(kind: Kind<T>, options?: WatchOptions): AsyncIterable<WatchEvent<T>>
  /** With a subresource, it is that of the object which `object.metadata` names: a binding, an eviction, a request for a token. */
  create<T extends KubeObject, S extends ActionSubresource | undefined = undefined>(
    kind: Kind<T>,
    object: New<BodyOf<T, S>>,
    options?: WriteOptions<S>,
  ): Promise<AnswerOf<T, S>>
  /** Replaces; with `metadata.resourceVersion` set, only if it still is the current one (else `Conflict`). */
  update<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
    kind: Kind<T>,
    object: BodyOf<T, S>,
    options?: WriteOptions<S>,
  ): Promise<AnswerOf<T, S>>
  patch<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
    kind: Kind<T>,
    ref: Ref,
    type: PatchType,
    patch: unknown,
    options?: WriteOptions<S> & { force?: boolean },
  ): Promise<AnswerOf<T, S>>
  /** Resolves when the deletion is accepted; the object may live on with a deletionTimestamp. */
  delete(kind: Kind, ref: Ref, options?: DeleteOptions): Promise<void>
  /** A container's log in pieces as they come. Ends quietly with the log, or when the signal aborts. */
  log(pod: Ref, options?: LogOptions): AsyncIterable<Uint8Array>
}
