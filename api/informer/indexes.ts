// Ways to find objects in an informer's cache without walking it. An index is the function itself: the
// cache keeps one table per function, built when first asked for. So pass these, never a fresh closure.

import type { KubeObject } from '../kinds/kind.ts'
import type { Pod } from '../types/core-v1.gen.ts'

/** The values under which an object is found. */
export type Index<T> = (object: T) => readonly string[]

export const byNamespace: Index<KubeObject> = ({ metadata }) => [metadata.namespace ?? '']

/** By the uid of every owner. */
export const byOwner: Index<KubeObject> = ({ metadata }) => metadata.ownerReferences?.map((ref) => ref.uid) ?? []

/** By the node a pod is bound to; unbound pods are under ''. */
export const byNode: Index<Pod> = (pod) => [pod.spec.nodeName ?? '']

const labels = new Map<string, Index<KubeObject>>()

/** By the value of a label, as `namespace/value`, or `value` where there is no namespace. */
export function byLabel(label: string): Index<KubeObject> {
  const made = labels.get(label)
  if (made) return made
  const index: Index<KubeObject> = ({ metadata }) => {
    const value = metadata.labels?.[label]
    return value === undefined ? [] : [metadata.namespace ? `${metadata.namespace}/${value}` : value]
  }
  labels.set(label, index)
  return index
}
