// The shape of a controller: which events mean work on which keys, and how to bring one key from what is
// to what should be. It reads current state and never trusts the event that woke it.

import type { Kind, KubeObject } from '../kinds/kind.ts'
import { keyOf } from '../kinds/kind.ts'

export type Result = { readonly after?: number }

/** Nothing more to do until something changes. */
export const done: Result = Object.freeze({})

/** Come back after `ms` milliseconds even if nothing changes. */
export const after = (ms: number): Result => ({ after: ms })

/** Trying again cannot help until something changes: logged once, no backoff. */
export class TerminalError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TerminalError'
  }
}

export type Reconciler = {
  /** Appears in logs and metrics. */
  name: string
  watches: Watch[]
  /** Keys reconciled at a time. */
  workers?: number
  /** A throw is backoff; TerminalError is stop. */
  reconcile(key: string, signal: AbortSignal): Promise<Result>
}

/** `keys` is given the object as it is, and for an update also as it was. */
export type Watch = {
  kind: Kind
  namespace?: string
  fieldSelector?: string
  labelSelector?: string
  keys: (object: KubeObject, old?: KubeObject) => Iterable<string>
  /** Milliseconds for which more is waited for before `key` is work: where looking at it takes long, and changes come in hundreds. */
  gather?: (key: string) => number
}

type Select = Pick<Watch, 'namespace' | 'fieldSelector' | 'labelSelector'>

/** Every object of `kind` is work under its own key. */
export const of = <T extends KubeObject>(kind: Kind<T>, select: Select = {}): Watch => ({
  kind,
  ...select,
  keys: (object) => [keyOf(object.metadata)],
})

/** A child is work for the `parent` that controls it, and for the one that did before. */
export function ownedBy<P extends KubeObject, C extends KubeObject>(parent: Kind<P>, child: Kind<C>): Watch {
  const group = parent.group
  const keys = ({ metadata }: KubeObject): string[] => {
    const owner = metadata.ownerReferences?.find((ref) => ref.controller)
    if (owner?.kind !== parent.kind || owner.apiVersion.split('/').slice(0, -1).join('') !== group) return []
    return [keyOf({ name: owner.name, ...(parent.namespaced && metadata.namespace && { namespace: metadata.namespace }) })]
  }
  return { kind: child, keys: (object, old) => (old ? new Set([...keys(object), ...keys(old)]) : keys(object)) }
}

/** An object is work for whatever keys `keys` finds for it. */
export const mapped = <T extends KubeObject>(
  kind: Kind<T>,
  keys: (object: T, old?: T) => Iterable<string>,
  select: Select = {},
): Watch => ({
  kind,
  ...select,
  keys: (object, old) => keys(object as T, old as T | undefined),
})
