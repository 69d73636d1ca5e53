// The API for the server's own components: the same core, without a socket and without encoding.
// Objects that come out are frozen and shared.

import { type Breathe, turnstile } from '#api/breather.ts'
import type {
  Client,
  DeleteOptions,
  List,
  ListOptions,
  LogOptions,
  New,
  PatchType,
  ReadOptions,
  Ref,
  ServedKind,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '#api/client/client.ts'
import { logQuery } from '#api/client/path.ts'
import type { ActionSubresource, AnswerOf, BodyOf, PartSubresource, Subresource } from '#api/client/subresource.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import { PodMetrics } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { hasSubresource } from '#api/kinds/spec.ts'
import { decode } from '#api/schema/decode.ts'
import type { User } from '#control/auth/user.ts'
import { clone } from './cache/item.ts'
import { bookmarkOf, partial } from './http/table.ts'
import type { WriteOptions as CoreWriteOptions, Target } from './objects/call.ts'
import type { Core } from './objects/core.ts'
import type { Resource } from './objects/resource.ts'
import { readScale, writeScale } from './objects/scale.ts'
import type { AgentTls } from './routes/agent.ts'
import type { Creators } from './routes/creators.ts'
import { openLog } from './routes/log.ts'
import { podMetrics } from './routes/metrics.ts'
import type { Usage } from './views/usage.ts'

/** Writes that begin in one turn of the event loop: a controller that makes hundreds of pods lets requests come between. */
const writesATurn = 8
/** What lets writes through; all clients of a server share one. */
export const turnsOfWrites = (): Breathe => turnstile(writesATurn)

export type InProcessDeps = { core: Core; user: User; creators: Creators; agentTls: AgentTls; usage: Usage; turn?: Breathe }

export function inProcessClient({ core, user, creators, agentTls, usage, turn = turnsOfWrites() }: InProcessDeps): Client {
  const resourceOf = (kind: Kind) => core.resources.of(kind)
  const targetOf = (kind: Kind, { namespace, name }: Ref, subresource?: Subresource): Target => {
    const resource = resourceOf(kind)
    if (subresource && !hasSubresource(resource.spec, subresource)) throw unknown()
    if (resource.kind.namespaced && !namespace)
      throw new StatusError('BadRequest', `${resource.name} ${JSON.stringify(name)}: a namespace is required`)
    return { resource, namespace: resource.kind.namespaced ? namespace : undefined, name }
  }
  const optionsOf = ({ subresource, fieldManager, dryRun }: WriteOptions): CoreWriteOptions => ({
    user,
    subresource: subresource ?? '',
    fieldManager: fieldManager ?? user.name,
    dryRun: dryRun ?? false,
    fieldValidation: 'Ignore',
  })
  const begin = async (signal: AbortSignal | undefined) => {
    signal?.throwIfAborted()
    await turn()
    signal?.throwIfAborted()
  }
  return {
    async kinds() {
      return core.resources.kept().map(({ kind, verbs }): ServedKind => ({ ...kind, verbs }))
    },
    async get<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      ref: Ref,
      { subresource, signal }: ReadOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      signal?.throwIfAborted()
      const target = targetOf(kind, ref, subresource)
      return (subresource === 'scale' ? await readScale(core, target) : (await core.get(target)).object) as AnswerOf<T, S>
    },
    async find<T extends KubeObject>(kind: Kind<T>, ref: Ref, { signal }: { signal?: AbortSignal } = {}): Promise<T | undefined> {
      signal?.throwIfAborted()
      try {
        return (await core.get(targetOf(kind, ref))).object as T
      } catch (error) {
        if (isStatus(error, 'NotFound')) return undefined
        throw error
      }
    },
    async list<T extends KubeObject>(kind: Kind<T>, { signal, metadataOnly, ...options }: ListOptions = {}): Promise<List<T>> {
      signal?.throwIfAborted()
      // Nothing of it is stored: the nodes are asked.
      if (kind.group === PodMetrics.group && kind.kind === PodMetrics.kind)
        return { items: (await podMetrics({ core, usage }, options)) as T[], metadata: { resourceVersion: String(core.revision) } }
      const query = { resource: resourceOf(kind), ...options }
      const listed = metadataOnly ? await core.listKept(query) : await core.list(query)
      return {
        items: listed.items.map((item) => (metadataOnly ? partial(item, 'v1') : item.object) as T),
        metadata: {
          resourceVersion: String(listed.revision),
          ...(listed.continue && { continue: listed.continue }),
          ...(listed.remaining !== undefined && { remainingItemCount: listed.remaining }),
        },
      }
    },
    watch: (kind, options = {}) => watch(core, kind, options),
    async create<T extends KubeObject, S extends ActionSubresource | undefined = undefined>(
      kind: Kind<T>,
      object: New<BodyOf<T, S>>,
      options: WriteOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      const { subresource, signal } = options
      await begin(signal)
      if (subresource) {
        const target = targetOf(kind, object.metadata as Ref, subresource)
        const create = target.resource.kind.group === '' ? creators[`${target.resource.kind.plural}/${subresource}`] : undefined
        if (!create) throw unknown()
        return (await create(target, object as unknown as Record<string, unknown>, optionsOf(options))) as AnswerOf<T, S>
      }
      const resource = resourceOf(kind)
      const item = await core.create(resource, object.metadata.namespace, decoded(resource, object), optionsOf(options))
      return item.object as AnswerOf<T, S>
    },
    async update<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      object: BodyOf<T, S>,
      options: WriteOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      await begin(options.signal)
      const { metadata } = object
      const target = targetOf(kind, metadata, options.subresource)
      if (options.subresource === 'scale') return (await writeScale(core, target, optionsOf(options), { object })) as AnswerOf<T, S>
      // Decoding copies: what comes in may be frozen, and is still the caller's.
      const item = await core.update(target, optionsOf(options), () => decoded(target.resource, object))
      return item.object as AnswerOf<T, S>
    },
    async patch<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      ref: Ref,
      type: PatchType,
      body: unknown,
      options: WriteOptions<S> & { force?: boolean } = {},
    ): Promise<AnswerOf<T, S>> {
      await begin(options.signal)
      const target = targetOf(kind, ref, options.subresource)
      const coreOptions = { ...optionsOf(options), force: options.force ?? false }
      if (options.subresource === 'scale') return (await writeScale(core, target, coreOptions, { type, body })) as AnswerOf<T, S>
      const item =
        type === 'apply' ? (await core.apply(target, body, coreOptions)).item : await core.patch(target, { type, body }, coreOptions)
      return item.object as AnswerOf<T, S>
    },
    async delete(kind: Kind, ref: Ref, { signal, ...options }: DeleteOptions = {}) {
      await begin(signal)
      await core.delete(targetOf(kind, ref), user, options)
    },
    log: (pod, options = {}) => log({ core, tls: agentTls }, pod, options),
  }
}

const unknown = () => new StatusError('NotFound', 'the server could not find the requested resource')

async function* log(deps: { core: Core; tls: AgentTls }, { namespace = '', name }: Ref, options: LogOptions): AsyncGenerator<Uint8Array> {
  const { signal } = options
  if (signal?.aborted) return
  const stop = new AbortController()
  const params = new URLSearchParams(logQuery(options))
  const ended = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  try {
    yield* (await openLog(deps, { namespace, name, params }, ended)) as AsyncIterable<Buffer>
  } catch (cause) {
    if (signal?.aborted) return
    if (isStatus(cause)) throw cause
    throw new StatusError('ServiceUnavailable', `the log of pod ${name}: ${(cause as Error).message}`, undefined, { cause })
  } finally {
    stop.abort()
  }
}

function decoded(resource: Resource, object: object): KubeObject {
  const { object: copy } = decode(resource.schema, clone(object))
  return { ...copy, kind: resource.kind.kind, apiVersion: resource.apiVersion } as KubeObject
}

async function* watch<T extends KubeObject>(core: Core, kind: Kind<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
  const stop = new AbortController()
  const { signal, metadataOnly, ...asked } = options
  if (signal?.aborted) return
  const resource = core.resources.of(kind)
  const query = {
    resource,
    ...asked,
    ...(asked.sendInitialEvents !== undefined && { resourceVersionMatch: 'NotOlderThan' }),
    signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
  }
  const feed = metadataOnly ? await core.watchKept(query) : await core.watch(query)
  try {
    for await (const batch of feed) {
      for (const sent of batch) {
        if (signal?.aborted) return
        yield sent.type === 'BOOKMARK'
          ? { type: 'BOOKMARK', object: bookmarkOf(resource.spec, sent.revision, sent.initial) as T }
          : { type: sent.type, object: (metadataOnly ? partial(sent.item, 'v1') : sent.item.object) as T }
      }
    }
  } finally {
    stop.abort()
  }
}
