// The API without HTTP: what every transport calls. Objects that go in are decoded and belong to the
// core from then on; what comes out is frozen and shared.

import { breather, gently } from '#api/breather.ts'
import { type Clock, timestamp } from '#api/clock.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { applyingPatch } from '#api/patch/apply/apply.ts'
import { decode, isObject, type JsonObject } from '#api/schema/decode.ts'
import { type Admission, admitRequest, type Operation } from '#control/admission/admission.ts'
import type { User } from '#control/auth/user.ts'
import type { Store } from '../../store/store.ts'
import { openFeed, type Sent, type WatchQuery } from '../cache/feed.ts'
import { clone, type Item } from '../cache/item.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import { type Dial, dialable } from '../routes/dial.ts'
import type { Target, WriteOptions } from './call.ts'
import { type DeleteOptions } from './call.ts'
import { type Deleted, Deleter } from './delete.ts'
import { type Patch, patched } from './patch.ts'
import { type Listed, type ListQuery, Reader } from './read.ts'
import { optionsAs, reviewOf, warnOfAll } from './request-review.ts'
import { checkKind, type Resource, type Resources } from './resource.ts'
import { type Stored } from './stored.ts'
import {
  checkStored,
  fromStorage,
  isServedAsStored,
  storageResource,
  storageTarget,
  toServed,
  toServedFeed,
  toServedList,
  toStorage,
} from './versions.ts'
import { Writer } from './write.ts'

export type CoreDeps = {
  store: Store
  cache: WatchCache
  resources: Resources
  admission: readonly Admission[]
  clock: Clock
  dial?: Dial | undefined
}

/** Deletions under way at once in a deletecollection: enough to share commits, few enough to leave room for others. */
const deletionsAtOnce = 64
/** Of an apply that finds an object gone and there by turns. */
const mostAttempts = 5

export class Core {
  readonly resources: Resources
  /** Where to connect to for what an object says. */
  readonly dial: Dial
  readonly #deps: CoreDeps
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #deleter: Deleter

  constructor(deps: CoreDeps) {
    this.#deps = deps
    this.resources = deps.resources
    this.dial = deps.dial ?? dialable
    this.#reader = new Reader(deps)
    this.#writer = new Writer(deps)
    this.#deleter = new Deleter(deps)
  }

  get revision(): number {
    return this.#deps.cache.revision
  }

  async get(target: Target, resourceVersion?: string): Promise<Item> {
    return await toServed(target.resource, await this.#reader.get(storageTarget(target), resourceVersion))
  }

  async list(query: ListQuery): Promise<Listed> {
    return await toServedList(query.resource, await this.listKept(query))
  }

  async watch(query: WatchQuery): Promise<AsyncGenerator<Sent[]>> {
    const feed = await this.watchKept(query)
    return isServedAsStored(query.resource) ? feed : toServedFeed(query.resource, feed)
  }

  /** As the store has it, whatever version was asked for: for who looks at metadata only. */
  listKept(query: ListQuery): Promise<Listed> {
    return this.#reader.list({ ...query, resource: storageResource(query.resource) })
  }

  watchKept(query: WatchQuery): Promise<AsyncGenerator<Sent[]>> {
    return openFeed(this.#deps, { ...query, resource: storageResource(query.resource) })
  }

  async create(resource: Resource, namespace: string | undefined, object: KubeObject, options: WriteOptions): Promise<Item> {
    return await toServed(
      resource,
      await this.#writer.create(storageResource(resource), namespace, await toStorage(resource, object), options),
    )
  }

  async update(target: Target, options: WriteOptions, change: (current: Stored) => Stored | Promise<Stored>): Promise<Item> {
    const { resource } = target
    if (!resource.stored) return await this.#writer.update(target, options, change)
    const item = await this.#writer.update(storageTarget(target), options, async (current) =>
      toStorage(resource, await change(await fromStorage(resource, current))),
    )
    return await toServed(resource, item)
  }

  patch(target: Target, patch: Patch, options: WriteOptions): Promise<Item> {
    return this.update(target, { ...options, patch: true }, async (current) => {
      const pinned = current.metadata.resourceVersion
      const result = await patched(target.resource, current, patch, options)
      // Only a patch that names a version is meant for that one alone.
      if (result.metadata.resourceVersion === pinned) delete (result.metadata as { resourceVersion?: string }).resourceVersion
      return result
    })
  }

  /** Server-side apply; makes the object where there is none. */
  async apply(target: Target, body: unknown, options: WriteOptions & { force?: boolean }): Promise<{ item: Item; created: boolean }> {
    const { namespace } = target
    const resource = storageResource(target.resource)
    const { converts } = target.resource.spec
    // A version of a custom resource applies in its own terms: only whole objects can be converted.
    const own = target.resource.view && target.resource.stored ? target.resource : undefined
    const given = configurationOf(target, body, options)
    const configuration = converts ? (converts.toStored(given as KubeObject & JsonObject) as KubeObject & JsonObject) : given
    const { fieldManager: manager = '', force = false, subresource } = options
    const breathe = breather()
    const managed = { ...options, managed: true, patch: true } as const
    const apply = async (current: Stored | undefined) => {
      const live = own && current ? await fromStorage(own, current) : current
      const now = timestamp(this.#deps.clock.now())
      await breathe()
      const steps = applyingPatch({
        schema: (own ?? resource).schema,
        live,
        patch: configuration,
        manager,
        force,
        subresource,
        statusIsPlain: !resource.spec.status,
        now,
      })
      const made = await gently(steps, breathe)
      await breathe()
      const object = own ? await toStorage(own, made as Stored) : (made as Stored)
      if (converts) checkStored(target.resource, object)
      // Only a configuration that names a version is meant for that one alone.
      if (live && !givenVersion(configuration)) delete (object.metadata as { resourceVersion?: string }).resourceVersion
      return object
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { item: await toServed(target.resource, await this.#writer.update(storageTarget(target), managed, apply)), created: false }
      } catch (error) {
        if (!isStatus(error, 'NotFound') || subresource) throw error
      }
      try {
        const item = await this.#writer.create(resource, namespace, clone(await apply(undefined)), managed)
        return { item: await toServed(target.resource, item), created: true }
      } catch (error) {
        if (!isStatus(error, 'AlreadyExists') || attempt === mostAttempts) throw error
      }
    }
  }

  async delete(target: Target, user: User, options: DeleteOptions = {}): Promise<Deleted> {
    const { gone, item } = await this.#deleter.delete(storageTarget(target), user, options)
    return { gone, item: await toServed(target.resource, item) }
  }

  /**
   * Asks admission about a request that stores nothing of its own: a connection (CONNECT), or what is
   * posted to a subresource (CREATE). `object` is what it brings, and may be changed in place.
   */
  async admit(operation: Operation, { resource, namespace, name }: Target, object: KubeObject, options: WriteOptions): Promise<void> {
    const asked = operation === 'CONNECT' ? {} : optionsAs('CreateOptions', { ...(options.dryRun && { dryRun: ['All'] }) })
    const said = { operation, namespace, name, object, previous: undefined, options: asked }
    await admitRequest(
      this.#deps.admission,
      reviewOf(resource, said, options, () => {}),
    )
  }

  /** What was selected, as it was. */
  async deleteCollection(query: ListQuery, user: User, options: DeleteOptions = {}): Promise<Listed> {
    const resource = storageResource(query.resource)
    const listed = await this.#reader.list({ ...query, resource })
    const queue = listed.items.values()
    const worker = async () => {
      for (const { object } of queue) {
        const { namespace, name } = object.metadata
        try {
          await this.#deleter.delete({ resource, namespace, name }, user, options)
        } catch (error) {
          // Somebody else was faster.
          if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(deletionsAtOnce, listed.items.length) }, worker))
    return await toServedList(query.resource, listed)
  }
}

/** Checked, but not decoded: what it does not name, it must not own. */
function configurationOf({ resource, name }: Target, body: unknown, options: WriteOptions): JsonObject {
  if (!isObject(body)) throw new StatusError('BadRequest', 'the applied configuration must be an object')
  if (!body.apiVersion || !body.kind) throw new StatusError('BadRequest', 'apiVersion and kind must be set in an applied configuration')
  checkKind(resource, body)
  const metadata = isObject(body.metadata) ? body.metadata : {}
  if (metadata.name !== undefined && metadata.name !== name) {
    throw new StatusError(
      'BadRequest',
      `the name of the object (${JSON.stringify(metadata.name)}) does not match the name on the URL (${name})`,
    )
  }
  const { warnings } = decode(resource.schema, body, { fieldValidation: options.fieldValidation ?? 'Ignore' })
  warnOfAll(options.warnings, warnings)
  return { ...body, metadata: { ...metadata, name } }
}

const givenVersion = ({ metadata }: JsonObject): boolean => isObject(metadata) && Boolean(metadata.resourceVersion)
