// What identifies a kind to clients and server alike. A descriptor is plain data; `T` is carried for
// the type checker only, so that `client.get(Pod, …)` returns a Pod.

import type { ObjectMeta } from '../types/meta-v1.gen.ts'

/** Any stored object. */
export type KubeObject = { apiVersion: string; kind: string; metadata: ObjectMeta }

export type Kind<T extends KubeObject = KubeObject> = {
  readonly group: string
  readonly version: string
  readonly kind: string
  /** The lower-case plural of the URL, e.g. `endpointslices`. */
  readonly plural: string
  readonly namespaced: boolean
  /** Never set; ties the descriptor to its TypeScript type. */
  readonly example?: T
}

export const apiVersionOf = (kind: Pick<Kind, 'group' | 'version'>): string => (kind.group ? `${kind.group}/${kind.version}` : kind.version)

/** `namespace/name`, or `name` alone where there is no namespace: the key of work queues and indexes. */
export const keyOf = (ref: { namespace?: string; name: string }): string => (ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name)
