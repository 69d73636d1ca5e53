// What informers knew before this process began. Where the server does not answer, they work with it until
// the server does.

import type { Kind, KubeObject } from '../kinds/kind.ts'

/** Of the objects of a kind those that an informer is about. */
export type Select = { namespace?: string; labelSelector?: string; fieldSelector?: string }

export interface Memory {
  /** Of one kind and selection: its own part, which one informer reads and writes. */
  shelf<T extends KubeObject>(kind: Kind<T>, select: Select): Shelf<T>
}

export interface Shelf<T extends KubeObject> {
  /** All objects of the selection as last known; undefined where it was never listed. To be asked once. */
  recall(): readonly T[] | undefined
  /** Milliseconds that the server has to answer before what is recalled counts. */
  patience(): number
  /** The server has listed the selection, which `objects` gives from now on whenever it is called. */
  listed(objects: () => Iterable<T>): void
  /** One object is another, is new, or (undefined) is gone. */
  changed(key: string, object: T | undefined): void
}
