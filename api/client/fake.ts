// A whole API server in memory, for tests: the parts of its contract that our components lean on, and
// levers to make it misbehave. It passes the same suite as the real transports (conformance.ts).

import { randomUUID } from 'node:crypto'
import { type Clock, systemClock, timestamp } from '../clock.ts'
import { type Reason, StatusError } from '../errors.ts'
import { freeze } from '../informer/cache.ts'
import * as known from '../kinds/index.ts'
import { type Kind, type KubeObject, keyOf } from '../kinds/kind.ts'
import { hasSubresource } from '../kinds/spec.ts'
import { jsonPatch } from '../patch/json.ts'
import { mergePatch } from '../patch/merge.ts'
import { strategicMergePatch } from '../patch/strategic.ts'
import { schemaOf } from '../schema/compile.ts'
import type { JsonObject } from '../schema/decode.ts'
import { fieldMatcher } from '../selector/field.ts'
import { labelMatcher } from '../selector/label.ts'
import type { Scale } from '../types/autoscaling-v1.gen.ts'
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
} from './client.ts'
import { type Change, eventOf, fill, hasFinalizers, merge, running, same, scaled, shownAs, specOf } from './fake-object.ts'
import type { ActionSubresource, AnswerOf, BodyOf, PartSubresource, Subresource } from './subresource.ts'

type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete'
type Call = { verb: Verb; kind: Kind; ref?: Ref; subresource?: Subresource; body?: unknown }

export type FakeClient = Client & {
  /** Every write so far, as `create Pod default/web-1` or `update Pod/status default/web-1`. */
  readonly writes: string[]
  /** Sees every call first; what it throws is the call's failure. Replaces the one before; undefined: none. */
  intercept(look: ((call: Call) => void | Promise<void>) | undefined): void
  /** Forgets history: watches from earlier versions get 410. */
  compact(): void
  /** Breaks every watch, as a server does that restarts. */
  disconnect(): void
  /** Puts an object in place as it is, status and all, creating or replacing. */
  put<T extends KubeObject>(kind: Kind<T>, object: New<T>): T
  /** Removes an object, whatever its finalizers. */
  drop(kind: Kind, ref: Ref): void
  /** What the pod's container has said so far, whichever is asked for. */
  say(pod: Ref, text: string): void
  /** The watches open now: a test that leaves some has a leak. */
  readonly watching: number
}

const verbs = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch']

export function fakeClient({
  clock = systemClock,
  kinds = Object.values(known) as Kind[],
}: {
  clock?: Clock
  kinds?: Kind[]
} = {}): FakeClient {
  const tables = new Map<string, Map<string, KubeObject>>()
  const listeners = new Set<{ wake(): void; cut(): void }>()
  const writes: string[] = []
  const said = new Map<string, string>()
  let history: Change[] = []
  let revision = 1
  let compacted = 0
  let names = 0
  let look: ((call: Call) => void | Promise<void>) | undefined

  const tableId = (kind: Kind) => `${kind.group}/${kind.plural}`
  const tableOf = (kind: Kind) => {
    const id = tableId(kind)
    const table = tables.get(id) ?? new Map<string, KubeObject>()
    tables.set(id, table)
    return table
  }
  const fail = (reason: Reason, kind: Kind, name: string, text: string) =>
    new StatusError(reason, `${kind.plural}${kind.group && `.${kind.group}`} ${JSON.stringify(name)} ${text}`, {
      name,
      group: kind.group,
      kind: kind.plural,
    })

  async function enter(call: Call, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    // Never in the caller's own turn, as with any server.
    await Promise.resolve()
    await look?.(call)
    if (!kinds.some((kind) => tableId(kind) === tableId(call.kind))) throw unknown()
    if (call.subresource && !hasSubresource(specOf(call.kind), call.subresource)) throw unknown()
    if (call.verb === 'get' || call.verb === 'list' || call.verb === 'watch') return
    const what = `${call.kind.kind}${call.subresource ? `/${call.subresource}` : ''}`
    writes.push(`${call.verb} ${what} ${call.ref ? keyOf(call.ref) : ''}`.trim())
  }

  function commit(kind: Kind, key: string, object: KubeObject | undefined): KubeObject | undefined {
    const table = tableOf(kind)
    const previous = table.get(key)
    revision += 1
    const written = object && freeze({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } })
    if (written) table.set(key, written)
    else table.delete(key)
    const gone =
      !written && previous ? freeze({ ...previous, metadata: { ...previous.metadata, resourceVersion: String(revision) } }) : previous
    history.push({ revision, table: tableId(kind), object: written, previous: gone })
    for (const listener of listeners) listener.wake()
    return written
  }

  function read<T extends KubeObject>(kind: Kind<T>, ref: Ref): T {
    const found = tableOf(kind).get(keyOf(kind.namespaced ? ref : { name: ref.name }))
    if (!found) throw fail('NotFound', kind, ref.name, 'not found')
    return found as T
  }

  function replace<T extends KubeObject>(kind: Kind<T>, current: T, next: T, subresource: string | undefined): T {
    const expected = next.metadata.resourceVersion
    if (expected && expected !== current.metadata.resourceVersion)
      throw fail(
        'Conflict',
        kind,
        current.metadata.name,
        'the object has been modified; please apply your changes to the latest version and try again',
      )
    if (next.metadata.uid && next.metadata.uid !== current.metadata.uid) throw fail('Conflict', kind, current.metadata.name, 'uid mismatch')
    const merged = merge(current, next, subresource)
    if (merged.metadata.deletionTimestamp && !hasFinalizers(kind, merged) && !running(merged)) {
      commit(kind, keyOf(merged.metadata), undefined)
      return merged
    }
    if (same(merged, current)) return current
    return commit(kind, keyOf(merged.metadata), merged) as T
  }

  function remove(kind: Kind, ref: Ref, options: DeleteOptions): void {
    const current = read(kind, ref)
    const { metadata } = current
    const { uid, resourceVersion } = options.preconditions ?? {}
    if ((uid && uid !== metadata.uid) || (resourceVersion && resourceVersion !== metadata.resourceVersion))
      throw fail('Conflict', kind, ref.name, 'the precondition does not hold')
    const finalizers = new Set(metadata.finalizers)
    if (options.propagationPolicy) for (const name of ['foregroundDeletion', 'orphan']) finalizers.delete(name)
    if (options.propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion')
    if (options.propagationPolicy === 'Orphan') finalizers.add('orphan')
    const spec = (current as { spec?: { terminationGracePeriodSeconds?: number } }).spec
    const grace = kind.kind === 'Pod' && running(current) ? (options.gracePeriodSeconds ?? spec?.terminationGracePeriodSeconds ?? 30) : 0
    const next = { ...current, metadata: { ...metadata, ...((metadata.finalizers ?? finalizers.size) && { finalizers: [...finalizers] }) } }
    if (grace === 0 && !hasFinalizers(kind, next)) return void commit(kind, keyOf(metadata), undefined)
    if (metadata.deletionTimestamp && grace >= (metadata.deletionGracePeriodSeconds ?? 0) && same(next, current)) return
    const marked = { ...next.metadata, deletionTimestamp: timestamp(clock.now() + grace * 1000), deletionGracePeriodSeconds: grace }
    const status = kind.kind === 'Namespace' ? { status: { phase: 'Terminating' } } : {}
    commit(kind, keyOf(metadata), { ...next, ...status, metadata: marked })
  }

  function select(options: Pick<ListOptions, 'namespace' | 'labelSelector' | 'fieldSelector'>) {
    const labels = labelMatcher(options.labelSelector ?? '')
    const fields = fieldMatcher(options.fieldSelector ?? '')
    return (object: KubeObject) =>
      (!options.namespace || object.metadata.namespace === options.namespace) && labels(object.metadata.labels) && fields(object)
  }

  const client: FakeClient = {
    writes,
    intercept: (f) => void (look = f),
    compact: () => {
      history = []
      compacted = revision
    },
    disconnect: () => {
      for (const listener of listeners) listener.cut()
    },
    get watching() {
      return listeners.size
    },
    put<T extends KubeObject>(kind: Kind<T>, object: New<T>): T {
      const current = tableOf(kind).get(keyOf(object.metadata as Ref))
      return commit(kind, keyOf(object.metadata as Ref), fill(kind, object, clock, current?.metadata.uid ?? randomUUID())) as T
    },
    drop: (kind, ref) => void commit(kind, keyOf(ref), undefined),
    say: (pod, text) => void said.set(keyOf(pod), text),

    async kinds(): Promise<ServedKind[]> {
      return kinds.map((kind) => ({ ...kind, verbs }))
    },
    async get<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      ref: Ref,
      { subresource, signal }: ReadOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      await enter({ verb: 'get', kind, ref, subresource }, signal)
      return shownAs(kind, read(kind, ref), subresource) as AnswerOf<T, S>
    },
    async find(kind, ref, options) {
      await enter({ verb: 'get', kind, ref }, options?.signal)
      return tableOf(kind).get(keyOf(ref)) as never
    },
    async list<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}): Promise<List<T>> {
      await enter({ verb: 'list', kind }, options.signal)
      const [from, at] = options.continue ? options.continue.split('@') : ['', String(revision)]
      const matches = select(options)
      const items = [...tableOf(kind)].filter(([key, object]) => key > from! && matches(object)).sort(([a], [b]) => (a < b ? -1 : 1))
      const page = options.limit ? items.slice(0, options.limit) : items
      const more = items.length > page.length && { continue: `${page.at(-1)?.[0]}@${at}`, remainingItemCount: items.length - page.length }
      return { items: page.map(([, object]) => shown(object, options) as T), metadata: { resourceVersion: at!, ...more } }
    },
    async *watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>> {
      if (options.signal?.aborted) return
      await enter({ verb: 'watch', kind })
      const matches = select(options)
      let position = options.resourceVersion ? Number(options.resourceVersion) : revision
      if (!options.resourceVersion) {
        for (const object of tableOf(kind).values()) if (matches(object)) yield { type: 'ADDED', object: shown(object, options) as T }
      }
      if (position < compacted) throw new StatusError('Expired', `too old resource version: ${position} (${compacted})`)
      let wake = () => {}
      let cut = false
      const listener = { wake: () => wake(), cut: () => ((cut = true), wake()) }
      const stop = () => wake()
      listeners.add(listener)
      options.signal?.addEventListener('abort', stop)
      try {
        while (!options.signal?.aborted) {
          const next = history.find((change) => change.revision > position)
          if (next) {
            position = next.revision
            const event = next.table === tableId(kind) ? eventOf(next, matches) : undefined
            if (event) yield { ...event, object: shown(event.object, options) } as WatchEvent<T>
            continue
          }
          if (cut) throw new StatusError('ServiceUnavailable', 'the connection was lost')
          await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        listeners.delete(listener)
        options.signal?.removeEventListener('abort', stop)
      }
    },
    async create<T extends KubeObject, S extends ActionSubresource | undefined = undefined>(
      kind: Kind<T>,
      object: New<BodyOf<T, S>>,
      options: WriteOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      const { generateName, namespace } = object.metadata
      const name = object.metadata.name || `${generateName}${(names += 1).toString(36).padStart(5, 'x')}`
      const ref = { name, ...(namespace && { namespace }) }
      await enter({ verb: 'create', kind, ref, body: object, ...options }, options.signal)
      if (kind.namespaced && !namespace) throw new StatusError('BadRequest', 'a namespace is required')
      if (options.subresource) return act(kind, ref, options.subresource, object) as AnswerOf<T, S>
      const filled = fill(kind, object as unknown as New<KubeObject>, clock, randomUUID(), name)
      const key = keyOf(filled.metadata)
      if (tableOf(kind).has(key)) throw fail('AlreadyExists', kind, name, 'already exists')
      if (kind.kind === 'Namespace') Object.assign(filled, { spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } })
      return (options.dryRun ? filled : commit(kind, key, filled)) as AnswerOf<T, S>
    },
    async update<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      object: BodyOf<T, S>,
      options: WriteOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      const { subresource, signal } = options
      const { metadata } = object
      await enter({ verb: 'update', kind, ref: metadata, body: object, ...options }, signal)
      const current = read(kind, metadata)
      const next = subresource === 'scale' ? scaled(kind, current, object as Scale) : object
      return shownAs(kind, replace(kind, current, next, subresource), subresource) as AnswerOf<T, S>
    },
    async patch<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      ref: Ref,
      type: PatchType,
      patch: unknown,
      options: WriteOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      const { subresource, signal } = options
      await enter({ verb: 'patch', kind, ref, body: patch, ...options }, signal)
      if (type === 'apply') throw new StatusError('UnsupportedMediaType', 'the fake knows no apply patch')
      const current = read(kind, ref)
      const next = patched(kind, shownAs(kind, current, subresource), type, patch)
      const wanted = subresource === 'scale' ? scaled(kind, current, next as Scale) : (next as KubeObject)
      const asked = (patch as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion
      const written = replace(kind, current, { ...wanted, metadata: { ...wanted.metadata, resourceVersion: asked ?? '' } }, subresource)
      return shownAs(kind, written, subresource) as AnswerOf<T, S>
    },
    async delete(kind, ref, options = {}) {
      await enter({ verb: 'delete', kind, ref, body: options }, options.signal)
      remove(kind, ref, options)
    },
    async *log(ref: Ref, { signal }: LogOptions = {}): AsyncGenerator<Uint8Array> {
      if (signal?.aborted) return
      await enter({ verb: 'get', kind: known.Pod, ref }, signal)
      if (!read(known.Pod, ref).spec.nodeName) throw new StatusError('BadRequest', `pod ${ref.name} does not have a host assigned`)
      yield Buffer.from(said.get(keyOf(ref)) ?? '')
    },
  }

  function act(kind: Kind, ref: Ref, subresource: ActionSubresource, body: object): object {
    const current = read(kind, ref)
    if (subresource === 'token') {
      const status = { token: `token-${randomUUID()}`, expirationTimestamp: timestamp(clock.now() + 3_600_000) }
      return { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', ...body, status }
    }
    if (subresource === 'eviction') remove(kind, ref, {})
    else bind(current as never, body as { target: { name: string } })
    return { kind: 'Status', apiVersion: 'v1', status: 'Success' }
  }

  function bind(
    pod: KubeObject & { spec: { nodeName?: string }; status?: { conditions?: unknown[] } },
    body: { target: { name: string } },
  ): void {
    if (pod.spec.nodeName) throw fail('Conflict', known.Pod, pod.metadata.name, `is already assigned to node "${pod.spec.nodeName}"`)
    const conditions = [{ type: 'PodScheduled', status: 'True', lastTransitionTime: timestamp(clock.now()) }]
    commit(known.Pod, keyOf(pod.metadata), {
      ...pod,
      spec: { ...pod.spec, nodeName: body.target.name },
      status: { ...pod.status, conditions },
    } as never)
  }

  return client
}

const unknown = () => new StatusError('NotFound', 'the server could not find the requested resource')

const shown = (object: KubeObject, { metadataOnly }: Pick<ListOptions, 'metadataOnly'>): KubeObject =>
  metadataOnly ? freeze({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }) : object

function patched(kind: Kind, object: object, type: PatchType, patch: unknown): unknown {
  const current = object as JsonObject
  if (type === 'json') return jsonPatch(current, patch)
  const schema = type === 'strategic' ? schemaOf(kind) : undefined
  return schema ? strategicMergePatch(schema, structuredClone(current), patch as JsonObject) : mergePatch(current, patch as JsonObject)
}
