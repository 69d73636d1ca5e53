// Who owns whom, over all kinds, as the informers tell it.

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'

/** `metadata` only is looked at. */
export type Thing = {
  uid: string
  kind: Kind
  name: string
  namespace: string | undefined
  resourceVersion: string
  owners: readonly OwnerReference[]
  finalizers: readonly string[]
  deleting: boolean
}

export const foreground = 'foregroundDeletion'
export const orphan = 'orphan'

export class Graph {
  readonly #things = new Map<string, Thing>()
  /** By the owner's uid, whether or not the owner has been seen. */
  readonly #dependents = new Map<string, Set<string>>()

  get(uid: string): Thing | undefined {
    return this.#things.get(uid)
  }

  dependentsOf(uid: string): Thing[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((each) => this.#things.get(each) ?? [])
  }

  set(kind: Kind, { metadata }: KubeObject): Thing {
    const thing: Thing = {
      uid: metadata.uid,
      kind,
      name: metadata.name,
      namespace: metadata.namespace,
      resourceVersion: metadata.resourceVersion,
      owners: metadata.ownerReferences ?? [],
      finalizers: metadata.finalizers ?? [],
      deleting: metadata.deletionTimestamp !== undefined,
    }
    this.#unlink(this.#things.get(thing.uid))
    this.#things.set(thing.uid, thing)
    for (const { uid } of thing.owners) {
      const known = this.#dependents.get(uid)
      if (known) known.add(thing.uid)
      else this.#dependents.set(uid, new Set([thing.uid]))
    }
    return thing
  }

  delete(uid: string): void {
    this.#unlink(this.#things.get(uid))
    this.#things.delete(uid)
  }

  #unlink(thing: Thing | undefined): void {
    if (!thing) return
    for (const { uid } of thing.owners) {
      const known = this.#dependents.get(uid)
      known?.delete(thing.uid)
      if (known?.size === 0) this.#dependents.delete(uid)
    }
  }
}

/** Waits in the foreground for what it owns to go first. */
export const awaitsDependents = (thing: Thing): boolean => thing.deleting && thing.finalizers.includes(foreground)
export const orphansDependents = (thing: Thing): boolean => thing.deleting && thing.finalizers.includes(orphan)
