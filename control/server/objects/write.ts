// Creating and changing objects: metadata, defaults, admission, rules, and the compare-and-swap on the
// store. Every write of the API ends here or in delete.ts.

import { randomInt, randomUUID } from 'node:crypto'
import { type Breathe, breather, gently } from '#api/breather.ts'
import { type Clock, timestamp } from '#api/clock.ts'
import { invalid, isStatus, StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { Faults, same } from '#api/kinds/rules/faults.ts'
import { validateMeta, validateMetaUpdate } from '#api/kinds/rules/meta.ts'
import { trackingUpdate } from '#api/patch/apply/track.ts'
import { boundUpdate } from '#api/schema/bounds.ts'
import { type Admission, mutateAll, validateAll } from '#control/admission/admission.ts'
import { CommitFailed, type Entry, RevisionMismatch, type Store } from '../../store/store.ts'
import { clone, encode, Item } from '../cache/item.ts'
import type { Target, WriteOptions } from './call.ts'
import { isDone } from './deletion.ts'
import { applyDefaults, confine, desired, prepareMeta, prepareNamespace, sameButBookkeeping } from './prepare.ts'
import { reviewOf, warn, writeOptionsAs } from './request-review.ts'
import { conflict, isEphemeral, keyFor, notFound, type Resource, staleMessage } from './resource.ts'
import type { Stored } from './stored.ts'
import { Turns } from './turns.ts'
import { toServed } from './versions.ts'

/** What is stored, and what its kept version makes of it: the same, but for custom resources. */
type There = {
  raw: Item
  item: Item
  /** Called once nobody who writes now can come before this write. */
  handedIn: () => void
}
export type WriteDeps = { store: Store; admission: readonly Admission[]; clock: Clock }

/** Without vowels and what looks alike, so that no word comes out. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'
const longestName = 63
/** Of an object: as much as a request may bring. */
const mostBytes = 3 * 1024 * 1024
const mostAttempts = 32

export class Writer {
  readonly #deps: WriteDeps
  readonly #turns = new Turns()

  constructor(deps: WriteDeps) {
    this.#deps = deps
  }

  /** `input` is decoded, and becomes the stored object: it must belong to the caller. */
  async create(resource: Resource, namespace: string | undefined, input: KubeObject, options: WriteOptions): Promise<Item> {
    const { kind, spec } = resource
    const meta = input.metadata
    if (meta.resourceVersion) throw new StatusError('BadRequest', 'resourceVersion should not be set on objects to be created')
    prepareNamespace(resource, input, namespace)
    // Whoever judges the object finds a name, if a wrong one.
    meta.name ??= ''
    const generated = !meta.name && meta.generateName
    for (let attempt = 1; ; attempt += 1) {
      const object = generated ? clone(input) : input
      if (generated) object.metadata.name = generateName(generated)
      try {
        return await this.#createOnce(resource, object, options)
      } catch (error) {
        if (!(error instanceof RevisionMismatch)) throw error
        if (generated && attempt < mostAttempts) continue
        const { name } = object.metadata
        const { store } = this.#deps
        await store.committed(error.revision)
        // What stood in the way was itself being written, and may be lost with its commit.
        if (!(await store.latest(keyFor(resource, object.metadata.namespace, name)))) {
          const why = store.trouble ?? 'another of that name was there a moment ago, and is no more; try again'
          throw new StatusError('ServiceUnavailable', `${resource.name} ${JSON.stringify(name)} cannot be written: ${why}`)
        }
        throw new StatusError('AlreadyExists', `${resource.name} ${JSON.stringify(name)} already exists`, {
          name,
          group: kind.group,
          kind: spec.kind.plural,
        })
      }
    }
  }

  async #createOnce(resource: Resource, object: Stored, options: WriteOptions): Promise<Item> {
    const { spec, kind } = resource
    const meta = object.metadata
    meta.uid = randomUUID()
    meta.creationTimestamp = timestamp(this.#deps.clock.now())
    delete meta.deletionTimestamp
    delete meta.deletionGracePeriodSeconds
    delete meta.selfLink
    if (spec.generation) meta.generation = 1
    else delete meta.generation
    const breathe = breather()
    applyDefaults(resource, object)
    const { namespace } = meta
    await this.#track(resource, undefined, object, options, breathe)
    await breathe()
    return await this.#admitted({ operation: 'CREATE', resource, object, previous: undefined, options }, async (changed) => {
      if (changed) boundUpdate(object, undefined)
      // Admission may have put other metadata into its place.
      const { metadata: meta } = object
      prepareNamespace(resource, object, namespace)
      applyDefaults(resource, object)
      spec.prepareCreate?.(object)
      await breathe()
      const faults = new Faults()
      validateMeta(meta, metaRule(spec), faults)
      await breathe()
      spec.validate?.(object, faults)
      spec.validateCreate?.(object, faults)
      if (faults.list.length === 0) await spec.examine?.(object, undefined, faults)
      if (faults.list.length > 0) throw invalid(kind.group, kind.kind, meta.name || meta.generateName || '', faults.list)
      tellOf(resource, object, undefined, options)
      await breathe()
      return async () => {
        const key = keyFor(resource, meta.namespace, meta.name)
        if (options.dryRun) {
          const there = await this.#deps.store.get(key)
          if (there) throw new RevisionMismatch(key, there)
          return unsaved(key, storable(object, 0))
        }
        const entry = await this.#deps.store.put(key, (revision) => storable(object, revision), {
          expected: 0,
          ephemeral: isEphemeral(resource, object.metadata.namespace),
        })
        return new Item(entry)
      }
    })
  }

  /**
   * Replaces what is at `target` with what `change` makes of it, again and again while others write in
   * between, unless the result names a resource version: then a newer one there is a Conflict.
   * A change that changes nothing is not written. `change` gets a copy it may keep.
   */
  async update(target: Target, options: WriteOptions, change: (current: Stored) => Stored | Promise<Stored>): Promise<Item> {
    const key = keyFor(target.resource, target.namespace, target.name)
    const { store } = this.#deps
    const attempt = async (entry: Entry | undefined, handedIn = () => {}): Promise<Item> => {
      if (!entry) throw await this.#missing(target, key)
      const raw = new Item(entry)
      try {
        return await this.#updateOnce(target, { raw, item: await toServed(target.resource, raw), handedIn }, options, change)
      } catch (error) {
        // What was refused because of a write under way is told once that can be read.
        if (!(error instanceof RevisionMismatch)) await store.committed(entry.modRevision)
        throw error
      }
    }
    try {
      return await attempt(await store.latest(key))
    } catch (error) {
      if (!(error instanceof RevisionMismatch)) throw error
    }
    // Of all who write here at a time only one can be the next: the others need not all try.
    for (let attempts = 2; ; attempts += 1) {
      const done = await this.#turns.take(key)
      try {
        return await attempt(await store.latest(key), done)
      } catch (error) {
        if (!(error instanceof RevisionMismatch)) throw error
        if (attempts === mostAttempts) throw conflict(target.resource, target.name, staleMessage)
      } finally {
        done()
      }
    }
  }

  /** What there is not, or is about to be deleted: then it is gone only once that is sure. */
  async #missing({ resource, name }: Target, key: string): Promise<Error> {
    await this.#deps.store.committed()
    const there = await this.#deps.store.get(key)
    return there ? new RevisionMismatch(key, there) : notFound(resource, name)
  }

  async #updateOnce(
    target: Target,
    there: There,
    options: WriteOptions,
    change: (current: Stored) => Stored | Promise<Stored>,
  ): Promise<Item> {
    const { resource } = target
    const { spec, kind } = resource
    const breathe = breather()
    const previous = there.item.object as Stored
    await breathe()
    const copy = there.item.copy()
    await breathe()
    const object = await change(copy)
    await breathe()
    if (options.patch) boundUpdate(object, previous)
    await breathe()
    const subresource = options.subresource ?? ''
    const pinned = prepareMeta(target, object, previous)
    confine(resource, object, previous, subresource)
    await breathe()
    await this.#track(resource, previous, object, options, breathe)
    await breathe()
    try {
      return await this.#admitted({ operation: 'UPDATE', resource, object, previous, options }, async (changed) => {
        // A webhook may do no more than the request that it was asked about.
        if (changed) {
          confine(resource, object, previous, subresource)
          boundUpdate(object, previous)
        } else applyDefaults(resource, object)
        if (spec.generation && !same(desired(spec, object), desired(spec, previous)))
          object.metadata.generation = (previous.metadata.generation ?? 0) + 1
        await breathe()
        const faults = new Faults()
        validateMeta(object.metadata, metaRule(spec), faults)
        spec.validate?.(object, faults)
        await breathe()
        if (faults.list.length > 0) forgive(faults, resource, previous)
        validateMetaUpdate(object.metadata, previous.metadata, faults)
        spec.validateUpdate?.(object, previous, faults, subresource)
        if (faults.list.length === 0) await spec.examine?.(object, previous, faults)
        if (faults.list.length > 0) throw invalid(kind.group, kind.kind, target.name, faults.list)
        tellOf(resource, object, previous, options)
        await breathe()
        return () => this.#replace(target, there, object, options)
      })
    } catch (error) {
      if (error instanceof RevisionMismatch && pinned) throw conflict(resource, target.name, staleMessage)
      throw error
    }
  }

  /**
   * Brings the managedFields of `after` up to date. What admission and the kind's own preparations add
   * later is nobody's: whoever applies the object again must not be held to it.
   */
  async #track(resource: Resource, before: Stored | undefined, after: Stored, options: WriteOptions, breathe: Breathe): Promise<void> {
    if (options.managed) return
    const now = timestamp(this.#deps.clock.now())
    const subresource = options.subresource || undefined
    const { status, ...asked } = after
    const object = before || !resource.spec.status ? { ...asked, status } : asked
    const steps = trackingUpdate({
      schema: resource.schema,
      before,
      after: object,
      manager: options.fieldManager ?? 'unknown',
      subresource,
      now,
    })
    const { metadata } = await gently(steps, breathe)
    if (metadata.managedFields) after.metadata.managedFields = metadata.managedFields
    else delete after.metadata.managedFields
  }

  async #replace(target: Target, { raw, item, handedIn }: There, object: Stored, options: WriteOptions): Promise<Item> {
    const { resource } = target
    const { store } = this.#deps
    // Against what is kept, not what is shown of it: what was written in another version or under another
    // schema is brought up to date.
    if (sameButBookkeeping(object, raw.object)) return await this.#acknowledged(item)
    if (options.dryRun) return unsaved(item.key, storable(object, item.revision), item.revision)
    if (isDone(object)) {
      const deleted = store.delete(item.key, { expected: item.revision })
      handedIn()
      await deleted
      return unsaved(item.key, encode(object, item.revision), item.revision)
    }
    const put = store.put(item.key, (revision) => storable(object, revision), {
      expected: item.revision,
      ephemeral: isEphemeral(resource, object.metadata.namespace),
      deletes: object.metadata.deletionTimestamp !== undefined,
    })
    handedIn()
    return new Item(await put)
  }

  /** `item`, once it is sure that it was written. */
  async #acknowledged(item: Item): Promise<Item> {
    const { store } = this.#deps
    await store.committed(item.revision)
    const there = await store.get(item.key)
    if ((there?.modRevision ?? 0) < item.revision) throw new RevisionMismatch(item.key, there)
    return item
  }

  /** Mutating admission, `check`, validating admission, then the write that `check` returned. */
  async #admitted(
    about: { operation: 'CREATE' | 'UPDATE'; resource: Resource; object: Stored; previous: Stored | undefined; options: WriteOptions },
    check: (changed: boolean) => Promise<() => Promise<Item>>,
  ): Promise<Item> {
    const undo: (() => void)[] = []
    const giveBack = () => {
      for (const step of undo.toReversed()) step()
    }
    const { operation, object, previous, options, resource } = about
    const { namespace, name } = object.metadata
    const asked = writeOptionsAs(operation === 'CREATE' ? 'Create' : 'Update', options)
    const said = { operation, namespace, name, object, previous, options: asked }
    const review = reviewOf(resource, said, options, (step) => undo.push(step))
    let written = false
    try {
      await mutateAll(this.#deps.admission, review)
      const write = await check(review.changed ?? false)
      await validateAll(this.#deps.admission, review)
      const item = await write()
      written = !about.options.dryRun
      return item
    } catch (error) {
      // Without an answer from the store nobody knows whether the write exists: keep what it reserved.
      written = !isStatus(error) && !(error instanceof RevisionMismatch)
      if (error instanceof CommitFailed) void error.landed.then((landed) => landed || giveBack())
      throw error
    } finally {
      if (!written) giveBack()
    }
  }
}

/** What the kind has to say of an object that is sound; nothing of an update that leaves what is asked for as it was. */
function tellOf({ spec }: Resource, object: Stored, previous: Stored | undefined, { warnings, subresource = '' }: WriteOptions): void {
  if (!warnings || !spec.warnings || subresource !== '') return
  if (previous && spec.generation && object.metadata.generation === previous.metadata.generation) return
  for (const text of spec.warnings(object, previous)) if (!warn(warnings, text)) break
}

const metaRule = ({ nameRule, kind, anyFinalizer }: Resource['spec']) => ({ name: nameRule, namespaced: kind.namespaced, anyFinalizer })

/**
 * Takes back what was wrong with the object before: nobody could mend the labels of what an older version
 * of the rules let in, nor write its status.
 */
function forgive(faults: Faults, { spec }: Resource, previous: Stored): void {
  const before = new Faults()
  validateMeta(previous.metadata, metaRule(spec), before)
  spec.validate?.(previous, before)
  const known = new Set(before.list.map(({ field, message }) => `${field}: ${message}`))
  faults.keep(({ field, message }) => !known.has(`${field}: ${message}`))
}

export function generateName(base: string): string {
  let name = base.slice(0, longestName - 5)
  for (let i = 0; i < 5; i += 1) name += suffixAlphabet[randomInt(suffixAlphabet.length)]
  return name
}

/** What a dry run answers: nothing has this revision. */
const unsaved = (key: string, value: Uint8Array, revision = 0): Item =>
  new Item({ key, value, createRevision: revision, modRevision: revision })

/** As `encode`, for what is to be kept: neither patch after patch nor a webhook makes more of it than a body may bring. */
function storable(object: KubeObject, revision: number): Uint8Array {
  return encode(object, revision, (bytes) => {
    if (bytes <= mostBytes) return
    const what = `${object.kind} ${JSON.stringify(object.metadata.name)} would take ${bytes} bytes`
    throw new StatusError('RequestEntityTooLarge', `Request entity too large: ${what}, limit is ${mostBytes}`)
  })
}
