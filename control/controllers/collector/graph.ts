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

/** Shared: most things have neither owners nor finalizers. */
const none: readonly never[] = Object.freeze([])

export class Graph {
  readonly #things = new Map<string, Thing>()
  /** By the owner's uid, whether or not the owner has been seen. */
  readonly #dependents = new Map<string, Set<string>>()

  get(uid: string): Thing | undefined {
    return this.#things.get(uid)
  }

  hasDependents(uid: string): boolean {
    return this.#dependents.has(uid)
  }

  dependentsOf(uid: string): Thing[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((each) => this.#things.get(each) ?? [])
  }

  /** Those that keep a deletion in the foreground from ending. */
  blockersOf(uid: string): Thing[] {
    return this.dependentsOf(uid).filter((each) => blocks(each, uid))
  }

  /**
   * Whether `thing` waits for nobody but those who wait for it: all that blocks it, and what blocks that,
   * is waiting in the foreground too, and all of it comes round to `thing`. Nobody else can break such a circle.
   */
  isInClosedCircle(thing: Thing): boolean {
    const reached = new Map<string, Thing>()
    const ahead = [thing]
    for (let next = ahead.pop(); next; next = ahead.pop()) {
      for (const blocker of this.blockersOf(next.uid)) {
        if (!awaitsDependents(blocker)) return false
        if (reached.has(blocker.uid)) continue
        reached.set(blocker.uid, blocker)
        ahead.push(blocker)
      }
    }
    if (!reached.has(thing.uid)) return false
    const returned = new Set([thing.uid])
    const behind = [thing.uid]
    for (let uid = behind.pop(); uid !== undefined; uid = behind.pop()) {
      for (const ref of reached.get(uid)?.owners ?? none) {
        if (!ref.blockOwnerDeletion || !reached.has(ref.uid) || returned.has(ref.uid)) continue
        returned.add(ref.uid)
        behind.push(ref.uid)
      }
    }
    return reached.size === returned.size
  }

  /** Returns the thing as it is now, and as it was. */
  set(kind: Kind, { metadata }: Pick<KubeObject, 'metadata'>): { thing: Thing; before: Thing | undefined } {
    const thing: Thing = {
      uid: metadata.uid,
      kind,
      name: metadata.name,
      namespace: metadata.namespace,
      resourceVersion: metadata.resourceVersion,
      owners: metadata.ownerReferences ?? none,
      finalizers: metadata.finalizers ?? none,
      deleting: metadata.deletionTimestamp !== undefined,
    }
    const before = this.#things.get(thing.uid)
    this.#unlink(before)
    this.#things.set(thing.uid, thing)
    for (const { uid } of thing.owners) {
      const known = this.#dependents.get(uid)
      if (known) known.add(thing.uid)
      else this.#dependents.set(uid, new Set([thing.uid]))
    }
    return { thing, before }
  }

  /** Returns what was there. */
  delete(uid: string): Thing | undefined {
    const thing = this.#things.get(uid)
    this.#unlink(thing)
    this.#things.delete(uid)
    return thing
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

/** Nearly all have one or two owners, and are looked through faster. */
const few = 8
const blockedBy = new WeakMap<Thing, ReadonlySet<string>>()

/** Whoever has thousands of owners is asked about each of them. */
function blocks(thing: Thing, uid: string): boolean {
  const { owners } = thing
  if (owners.length <= few) return owners.some((ref) => ref.uid === uid && ref.blockOwnerDeletion)
  let blocked = blockedBy.get(thing)
  if (!blocked) {
    blocked = new Set(owners.flatMap((ref) => (ref.blockOwnerDeletion ? [ref.uid] : [])))
    blockedBy.set(thing, blocked)
  }
  return blocked.has(uid)
}

/** Owners that `before` held back and `thing` holds back no more. */
export function letGo(thing: Thing, before: Thing | undefined): readonly OwnerReference[] {
  if (!before?.owners.length) return none
  /** The owners that it has, and whether it holds them back. */
  const held = new Map<string, boolean>()
  for (const { uid, blockOwnerDeletion } of thing.owners) held.set(uid, held.get(uid) === true || blockOwnerDeletion === true)
  return before.owners.filter(({ uid, blockOwnerDeletion }) => !held.has(uid) || (!held.get(uid) && blockOwnerDeletion))
}
