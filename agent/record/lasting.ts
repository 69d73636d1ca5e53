// What of an object is worth a write. A heartbeat is not.

import { Lease, Node } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'

/** What is kept of an object: of a node who and where it is, and whether it is Ready; of a lease who holds it. */
export function lasting<T extends KubeObject>(object: T): T {
  if (object.kind === Lease.kind) {
    const { spec, ...rest } = object as unknown as Lease
    const { renewTime: _, ...held } = spec ?? {}
    return { ...rest, spec: held } as unknown as T
  }
  if (object.kind !== Node.kind) return object
  const { apiVersion, kind, metadata, spec, status } = object as unknown as Node
  const conditions = status.conditions?.map(({ type, status }) => ({ type, status }))
  return { apiVersion, kind, metadata, spec, status: { addresses: status.addresses, ...(conditions && { conditions }) } } as unknown as T
}

/** The version is another after every write, also after one that changed nothing that is kept. */
export const withoutVersion = <T extends KubeObject>(object: T): T => {
  const { resourceVersion: _, ...metadata } = object.metadata
  return { ...object, metadata }
}
