// How controllers make, take over, let go and delete pods; all that keep pods running do it here.
//
// Expectations: what was written is in the informer's cache once the call resolves (`api/informer/observing.ts`),
// so the next `claim` of the same owner never counts a pod short that was made here, nor one that was deleted here.
// What the server accepted and failed to say is looked up before an error is given back.

import type { Client, New } from '#api/client/client.ts'
import { isNamespaceTerminating, isStatus, StatusError } from '#api/errors.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { byNamespace, byOwner } from '#api/informer/indexes.ts'
import type { Informer } from '#api/informer/informer.ts'
import type { Informers } from '#api/informer/informers.ts'
import { Pod } from '#api/kinds/index.ts'
import { type Kind, type KubeObject, keyOf } from '#api/kinds/kind.ts'
import { mapped, ownedBy, type Watch } from '#api/queue/reconciler.ts'
import type { Labels } from '#api/selector/label.ts'
import { claim, controllerOf, orphansByNamespace, refOf, settleClaims } from '../ownership.ts'
import { inBursts } from './burst.ts'

/** Whose pods they are. */
export type Owner<T extends KubeObject = KubeObject> = { readonly kind: Kind<T>; readonly object: T }

/** Whether pods of these labels are meant by the owner's selector. */
export type Matches = (labels: Labels | undefined) => boolean

/** What was done, and why not all of it. */
export type Outcome = { readonly pods: Pod[]; readonly error?: unknown }

export interface PodControl {
  /**
   * The pods of `owner`, in any state: those that it controls and that match, and those that match and nobody
   * controls, which it takes over while it lives. Those that no longer match are let go. All in the owner's namespace.
   * Others than those that `only` tells are passed over.
   */
  claim(owner: Owner, matches: Matches, signal: AbortSignal, options?: { only?: (pod: Pod) => boolean }): Promise<Pod[]>
  /**
   * Makes `pods`, in bursts that double while all goes well: what the server refuses costs one call, not hundreds.
   * In a namespace that is going away nothing is made, and nothing is wrong with that.
   */
  create(owner: Owner, pods: readonly New<Pod>[], signal: AbortSignal): Promise<Outcome>
  /** Deletes these very pods, of no matter which incarnation of their names; those that are gone already count as deleted. */
  delete(owner: Owner, pods: readonly Pod[], signal: AbortSignal): Promise<Outcome>
}

/** What events about the owner say, under the reasons SuccessfulCreate, FailedCreate, SuccessfulDelete and FailedDelete. */
export type Words = {
  created(owner: Owner, name: string): string
  notCreated(owner: Owner, name: string, why: string): string
  deleted(owner: Owner, name: string): string
  notDeleted(owner: Owner, name: string, why: string): string
}

export const plainWords: Words = {
  created: (_owner, name) => `Created pod: ${name}`,
  notCreated: (_owner, _name, why) => `Error creating: ${why}`,
  deleted: (_owner, name) => `Deleted pod: ${name}`,
  notDeleted: (_owner, _name, why) => `Error deleting: ${why}`,
}

export type PodControlDeps = { client: Client; informers: Informers; events: EventRecorder; words?: Words }

/** `client`'s writes are in the informers' caches once they are answered (`api/informer/observing.ts`). */
export function podControl({ client, informers, events, words = plainWords }: PodControlDeps): PodControl {
  const known = informers.of(Pod)

  async function make(owner: Owner, pod: New<Pod>, signal: AbortSignal): Promise<Pod> {
    try {
      const made = await client.create(Pod, pod, { signal })
      events.event(owner.object, 'Normal', 'SuccessfulCreate', words.created(owner, made.metadata.name))
      return made
    } catch (error) {
      if (!signal.aborted && !isNamespaceTerminating(error))
        events.event(owner.object, 'Warning', 'FailedCreate', words.notCreated(owner, nameOf(pod), textOf(error)))
      throw error
    }
  }

  async function remove(owner: Owner, pod: Pod, signal: AbortSignal): Promise<Pod> {
    try {
      await client.delete(Pod, refOf(pod), { preconditions: { uid: pod.metadata.uid }, signal })
      events.event(owner.object, 'Normal', 'SuccessfulDelete', words.deleted(owner, pod.metadata.name))
    } catch (error) {
      if (isStatus(error, 'NotFound') || (isStatus(error, 'Conflict') && (await isAnother(pod, signal)))) return pod
      if (!signal.aborted) events.event(owner.object, 'Warning', 'FailedDelete', words.notDeleted(owner, pod.metadata.name, textOf(error)))
      throw error
    }
    return pod
  }

  /** The name is another pod's by now: the one that was meant is gone. */
  const isAnother = async (pod: Pod, signal: AbortSignal): Promise<boolean> =>
    (await client.find(Pod, refOf(pod), { signal }))?.metadata.uid !== pod.metadata.uid

  return {
    async claim(owner, matches, signal, { only = () => true } = {}) {
      const { object, kind } = owner
      const orphans = known.by(orphansByNamespace, object.metadata.namespace ?? '')
      const claims = claim(object, [...known.by(byOwner, object.metadata.uid), ...orphans].filter(only), matches)
      return await settleClaims({ client, signal }, { owner: object, ownerKind: kind, kind: Pod }, claims)
    },
    async create(owner, pods, signal) {
      const { done, error } = await inBursts(pods, (pod) => make(owner, pod, signal))
      signal.throwIfAborted()
      if (error === undefined || isNamespaceTerminating(error)) return { pods: done }
      if (isUncertain(error)) await lookUp(owner)
      return { pods: done, error }
    },
    async delete(owner, pods, signal) {
      const results = await Promise.allSettled(pods.map((pod) => remove(owner, pod, signal)))
      signal.throwIfAborted()
      const failed = results.find((result) => result.status === 'rejected')
      const deleted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      return { pods: deleted, ...(failed && { error: failed.reason as unknown }) }
    },
  }

  /** Whether the server did what it could not say: its pods of this owner come into the cache. */
  async function lookUp({ object: { metadata } }: Owner): Promise<void> {
    const { items } = await client.list(Pod, { ...(metadata.namespace && { namespace: metadata.namespace }) })
    for (const pod of items) if (controllerOf(pod)?.uid === metadata.uid) known.observe(pod)
  }
}

/**
 * The watches that a controller of `kind` needs to hear of its pods, and of orphans that it may take over. `sizeOf`: how many
 * pods the owner has of which all are looked at whenever one of them changes.
 */
export function podWatches<T extends KubeObject>(
  kind: Kind<T>,
  owners: Informer<T>,
  matches: (owner: T) => Matches,
  sizeOf: (owner: T) => number,
): Watch[] {
  const mayClaim = (pod: Pod): string[] =>
    controllerOf(pod)
      ? []
      : owners
          .by(byNamespace, pod.metadata.namespace ?? '')
          .filter((owner) => matches(owner)(pod.metadata.labels ?? {}))
          .map((owner) => keyOf(owner.metadata))
  const gather = (key: string) => {
    const owner = owners.get(key)
    return owner ? gatherMs(sizeOf(owner)) : 0
  }
  return [{ ...ownedBy(kind, Pod), gather }, mapped(Pod, mayClaim)]
}

/** Whoever looks at all of an owner's pods whenever one of them changes does so less often where there are many. */
const many = 100
const msForEach = 0.2
const gatherMs = (pods: number): number => (pods < many ? 0 : Math.min(pods * msForEach, 500))

/** The write may have been made all the same. */
const isUncertain = (error: unknown): boolean =>
  !(error instanceof StatusError) || isStatus(error, 'ServiceUnavailable', 'Timeout', 'ServerTimeout', 'InternalError')

const nameOf = ({ metadata }: New<Pod>): string => metadata.name ?? metadata.generateName ?? ''
export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
