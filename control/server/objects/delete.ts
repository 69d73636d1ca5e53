// Deleting: at once, or by marking the object and leaving the rest to whom it belongs (the node that
// runs a pod, the holders of finalizers, the garbage collector).

import { breather } from '#api/breather.ts'
import { type Clock, timestamp } from '#api/clock.ts'
import { rounded } from '#api/schema/exact.ts'
import { type Admission, mutateAll, validateAll } from '#control/admission/admission.ts'
import type { User } from '#control/auth/user.ts'
import { RevisionMismatch, type Store } from '../../store/store.ts'
import { clone, encode, Item } from '../cache/item.ts'
import type { DeleteOptions, Target } from './call.ts'
import { isHeld } from './deletion.ts'
import { deleteOptionsAs, reviewOf } from './request-review.ts'
import { conflict, isEphemeral, keyFor, notFound, staleMessage } from './resource.ts'
import type { Stored } from './stored.ts'

/** `gone` if nothing is left of the object; its last state otherwise. */
export type Deleted = { gone: boolean; item: Item }

const foreground = 'foregroundDeletion'
const orphan = 'orphan'
const mostAttempts = 32
/** The last moment that a time can say. */
const latest = Date.UTC(9999, 11, 31, 23, 59, 59)

export class Deleter {
  readonly #deps: { store: Store; admission: readonly Admission[]; clock: Clock }

  constructor(deps: { store: Store; admission: readonly Admission[]; clock: Clock }) {
    this.#deps = deps
  }

  async delete(target: Target, user: User, options: DeleteOptions): Promise<Deleted> {
    const { resource, namespace, name } = target
    const key = keyFor(resource, namespace, name)
    let entry = await this.#deps.store.get(key)
    for (let attempt = 1; ; attempt += 1) {
      if (!entry) throw notFound(resource, name)
      try {
        return await this.#deleteOnce(target, user, new Item(entry), options)
      } catch (error) {
        if (!(error instanceof RevisionMismatch)) throw error
        if (attempt === mostAttempts) throw conflict(resource, name, staleMessage)
        await this.#deps.store.committed(error.revision)
        entry = await this.#deps.store.get(key)
      }
    }
  }

  async #deleteOnce(target: Target, user: User, item: Item, options: DeleteOptions): Promise<Deleted> {
    const { resource } = target
    const breathe = breather()
    const there = item.object
    await breathe()
    const object = clone(there) as Stored
    await breathe()
    this.#checkPreconditions(target, object, options)
    await this.#admit(target, user, object, options)
    const meta = object.metadata
    const before = { finalizers: meta.finalizers ?? [], grace: meta.deletionGracePeriodSeconds }
    meta.finalizers = finalizersFor(before.finalizers, options.propagationPolicy)
    resource.spec.prepareDelete?.(object)
    const grace = resource.spec.gracePeriod?.(object, options.gracePeriodSeconds) ?? 0
    const deleting = meta.deletionTimestamp !== undefined
    if (grace === 0 && !isHeld(object)) {
      if (!options.dryRun) await this.#deps.store.delete(item.key, { expected: item.revision })
      return { gone: true, item }
    }
    const shorter = before.grace !== undefined && grace < before.grace
    if (deleting && !shorter && sameNames(meta.finalizers, before.finalizers)) return { gone: false, item }
    if (!deleting || shorter) {
      meta.deletionTimestamp = timestamp(Math.min(this.#deps.clock.now() + rounded(grace) * 1000, latest))
      meta.deletionGracePeriodSeconds = grace
      if (resource.spec.generation) meta.generation = (meta.generation ?? 0) + 1
    }
    if (meta.finalizers.length === 0) delete meta.finalizers
    if (object.kind === 'Namespace') object.status = { ...(object.status as object), phase: 'Terminating' }
    await breathe()
    if (options.dryRun) return { gone: false, item: withRevision(item, object) }
    const entry = await this.#deps.store.put(item.key, (revision) => encode(object, revision), {
      expected: item.revision,
      ephemeral: isEphemeral(resource, object.metadata.namespace),
      deletes: true,
    })
    return { gone: false, item: new Item(entry) }
  }

  #checkPreconditions({ resource, name }: Target, { metadata }: Stored, { preconditions }: DeleteOptions): void {
    const { uid, resourceVersion } = preconditions ?? {}
    if (uid && uid !== metadata.uid) {
      throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`)
    }
    if (resourceVersion && resourceVersion !== metadata.resourceVersion) {
      throw conflict(
        resource,
        name,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
      )
    }
  }

  async #admit({ resource, namespace, name }: Target, user: User, object: Stored, options: DeleteOptions): Promise<void> {
    const { dryRun = false, warnings = [], annotate = () => {}, settled = false } = options
    const said = { operation: 'DELETE', namespace, name, object, previous: undefined, options: deleteOptionsAs(options) } as const
    const review = reviewOf(resource, said, { user, dryRun, warnings, annotate, settled }, () => {})
    await mutateAll(this.#deps.admission, review)
    await validateAll(this.#deps.admission, review)
  }
}

/** The garbage collector reads the propagation policy from these two finalizers. */
function finalizersFor(current: string[], policy: DeleteOptions['propagationPolicy']): string[] {
  if (!policy) return current
  const others = current.filter((f) => f !== foreground && f !== orphan)
  if (policy === 'Foreground') return [...others, foreground]
  return policy === 'Orphan' ? [...others, orphan] : others
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every(within(b))
const within = (names: readonly string[]) => {
  const known = new Set(names)
  return (name: string) => known.has(name)
}

const withRevision = (item: Item, object: Stored): Item =>
  new Item({ key: item.key, value: encode(object, item.revision), createRevision: item.createRevision, modRevision: item.revision })
