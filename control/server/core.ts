// The API without HTTP: what every transport calls. Objects that go in are decoded and belong to the
// core from then on; what comes out is frozen and shared.

import { type Clock, timestamp } from '#api/clock.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { applyPatch } from '#api/patch/apply/apply.ts'
import { decode, isObject, type JsonObject } from '#api/schema/decode.ts'
import type { Admission } from '#control/admission/admission.ts'
import type { User } from '#control/auth/user.ts'
import type { Store } from '../store/store.ts'
import type { Target, WriteOptions } from './call.ts'
import { type Deleted, type DeleteOptions, Deleter } from './delete.ts'
import { openFeed, type Sent, type WatchQuery } from './feed.ts'
import { clone, type Item } from './item.ts'
import { type Patch, patched } from './patch.ts'
import { type Listed, type ListQuery, Reader } from './read.ts'
import { checkKind, type Resource, type Resources } from './resource.ts'
import type { WatchCache } from './watch-cache.ts'
import { type Stored, Writer } from './write.ts'

export type CoreDeps = { store: Store; cache: WatchCache; resources: Resources; admission: readonly Admission[]; clock: Clock }

/** Deletions under way at once in a deletecollection: enough to share commits, few enough to leave room for others. */
const deletionsAtOnce = 64
/** Of an apply that finds an object gone and there by turns. */
const mostAttempts = 5

export class Core {
  readonly resources: Resources
  readonly #deps: CoreDeps
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #deleter: Deleter

  constructor(deps: CoreDeps) {
    this.#deps = deps
    this.resources = deps.resources
    this.#reader = new Reader(deps)
    this.#writer = new Writer(deps)
    this.#deleter = new Deleter(deps)
  }

  get revision(): number {
    return this.#deps.cache.revision
  }

  get(target: Target, resourceVersion?: string): Promise<Item> {
    return this.#reader.get(target, resourceVersion)
  }

  /** From the cache as it is; a moment old at worst. */
  cached(target: Target): Item | undefined {
    return this.#reader.cached(target)
  }

  list(query: ListQuery): Promise<Listed> {
    return this.#reader.list(query)
  }

  watch(query: WatchQuery): Promise<AsyncGenerator<Sent[]>> {
    return openFeed(this.#deps, query)
  }

  create(resource: Resource, namespace: string | undefined, object: KubeObject, options: WriteOptions): Promise<Item> {
    return this.#writer.create(resource, namespace, object, options)
  }

  update(target: Target, options: WriteOptions, change: (current: Stored) => Stored | Promise<Stored>): Promise<Item> {
    return this.#writer.update(target, options, change)
  }

  patch(target: Target, patch: Patch, options: WriteOptions): Promise<Item> {
    return this.#writer.update(target, options, (current) => {
      const pinned = current.metadata.resourceVersion
      const result = patched(target.resource, current, patch, options)
      // Only a patch that names a version is meant for that one alone.
      if (result.metadata.resourceVersion === pinned) delete (result.metadata as { resourceVersion?: string }).resourceVersion
      return result
    })
  }

  /** Server-side apply; makes the object where there is none. */
  async apply(target: Target, body: unknown, options: WriteOptions & { force?: boolean }): Promise<{ item: Item; created: boolean }> {
    const { resource, namespace } = target
    const configuration = configurationOf(target, body, options)
    const { fieldManager: manager = '', force = false, subresource } = options
    const managed = { ...options, managed: true }
    const apply = (live: Stored | undefined) => {
      const now = timestamp(this.#deps.clock.now())
      const made = applyPatch({
        schema: resource.schema,
        live,
        patch: configuration,
        manager,
        force,
        subresource,
        now,
      })
      const object = made as Stored
      // Only a configuration that names a version is meant for that one alone.
      if (live && !givenVersion(configuration)) delete (object.metadata as { resourceVersion?: string }).resourceVersion
      return object
    }
    for (let attempt = 1; ; attempt += 1) {
      try {
        return { item: await this.#writer.update(target, managed, apply), created: false }
      } catch (error) {
        if (!isStatus(error, 'NotFound') || subresource) throw error
      }
      try {
        return { item: await this.#writer.create(resource, namespace, clone(apply(undefined)), managed), created: true }
      } catch (error) {
        if (!isStatus(error, 'AlreadyExists') || attempt === mostAttempts) throw error
      }
    }
  }

  delete(target: Target, user: User, options: DeleteOptions = {}): Promise<Deleted> {
    return this.#deleter.delete(target, user, options)
  }

  /** What was selected, as it was. */
  async deleteCollection(query: ListQuery, user: User, options: DeleteOptions = {}): Promise<Listed> {
    const listed = await this.#reader.list(query)
    const queue = listed.items.values()
    const worker = async () => {
      for (const { object } of queue) {
        const { namespace, name } = object.metadata
        try {
          await this.#deleter.delete({ resource: query.resource, namespace, name }, user, options)
        } catch (error) {
          // Somebody else was faster.
          if (!(error instanceof StatusError && error.reason === 'NotFound')) throw error
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(deletionsAtOnce, listed.items.length) }, worker))
    return listed
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
  options.warnings?.push(...warnings)
  return { ...body, metadata: { ...metadata, name } }
}

const givenVersion = ({ metadata }: JsonObject): boolean => isObject(metadata) && Boolean(metadata.resourceVersion)
