// The Client over HTTPS: one HTTP/2 connection, JSON bodies, watches as newline-delimited events.
// Does no I/O until first used; `close()` ends every call and watch in flight.

import { type Clock, systemClock } from '../clock.ts'
import { isStatus, type Status, StatusError } from '../errors.ts'
import { Pod } from '../kinds/index.ts'
import type { Kind, KubeObject } from '../kinds/kind.ts'
import { apiVersionOf } from '../kinds/kind.ts'
import type { GroupVersionKind } from '../kinds/spec.ts'
import type { Log } from '../log.ts'
import { parseExact } from '../schema/exact.ts'
import type { Client, List, LogOptions, PatchType, Ref, ServedKind, WatchEvent, WatchOptions } from './client.ts'
import { Connection, type Credentials, type Request, type Response } from './connection.ts'
import { discover } from './discovery.ts'
import { failureFrom, failureOf, lostConnection } from './failure.ts'
import { lines } from './lines.ts'
import { listQuery, logQuery, pathOf, watchQuery, writeQuery } from './path.ts'
import { formOf } from './subresource.ts'

export type HttpsClientOptions = {
  /** `https://host:port` */
  server: string
  /** A function is asked again for each connection, so that renewed certificates and tokens come into use. */
  credentials: Credentials | (() => Credentials)
  /** `coracle-agent/0.1.0`: the part before the slash is the field manager of what this client writes. */
  userAgent: string
  log: Log
  clock?: Clock
}

export type HttpsClient = Client & {
  /** Any path, e.g. `/version`: the parsed body, or its text where it is not JSON. */
  raw(method: string, path: string, body?: unknown, options?: { signal?: AbortSignal }): Promise<unknown>
  /** This host is at another address, so that the connection may be dead, which nobody would say: calls and watches under way fail at once, and those that follow connect anew. */
  reconnect(): void
  /** The credentials are others now: calls and watches that follow go over a new connection, those under way come to their own end. */
  renew(): void
  close(): void
}

/** A call that takes longer has lost its server, whatever the connection says. Watches have no limit. */
const answerWithin = 60_000

/** What to accept where only metadata is wanted. */
const partial = {
  list: 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  watch: 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
}

const patchTypes: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

export function httpsClient(options: HttpsClientOptions): HttpsClient {
  const connection = new Connection({ clock: systemClock, ...options })

  async function send(request: Request): Promise<Response> {
    try {
      return await connection.send(request)
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason
      throw lostConnection(`${request.method} ${request.path}`, error)
    }
  }

  type Extra = { signal?: AbortSignal; type?: string; metadataOnly?: boolean }

  async function call<T>(method: string, path: string, body?: unknown, extra: Extra = {}): Promise<T> {
    const what = `${method} ${path}`
    const response = await send({
      method,
      path,
      within: answerWithin,
      signal: extra.signal,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      headers: {
        ...(body !== undefined && { 'content-type': extra.type ?? 'application/json' }),
        ...(extra.metadataOnly && { accept: partial.list }),
      },
    })
    const text = await readAll(response, what, extra.signal)
    if (response.code >= 400) throw failureFrom(response.code, text, what)
    try {
      return (isJson(response) ? parseExact(text) : text) as T
    } catch (cause) {
      // A stream that was reset without an error code ends like a whole one.
      throw lostConnection(what, cause)
    }
  }

  async function* watch<T extends KubeObject>(kind: Kind<T>, options: WatchOptions = {}): AsyncGenerator<WatchEvent<T>> {
    const { signal } = options
    if (signal?.aborted) return
    const path = pathOf(kind, options) + watchQuery(options)
    const what = `watch ${path}`
    let response: Response | undefined
    try {
      response = await send({ method: 'GET', path, signal, ...(options.metadataOnly && { headers: { accept: partial.watch } }) })
      if (response.code >= 400) throw failureFrom(response.code, await readAll(response, what, signal), what)
      for await (const batch of lines(response.stream)) {
        for (const line of batch) {
          const event = parse(line, what) as WatchEvent<T> | { type: 'ERROR'; object: Status }
          if (event.type === 'ERROR') throw failureOf(event.object)
          if (signal?.aborted) return
          yield event
        }
      }
      const cause = response.broken()
      if (cause) throw cause
    } catch (error) {
      if (signal?.aborted) return
      throw isStatus(error) ? error : lostConnection(what, error)
    } finally {
      response?.stream.destroy()
    }
  }

  async function* log(pod: Ref, options: LogOptions = {}): AsyncGenerator<Uint8Array> {
    const { signal } = options
    if (signal?.aborted) return
    const path = pathOf(Pod, pod, 'log') + logQuery(options)
    const what = `GET ${path}`
    let response: Response | undefined
    try {
      response = await send({ method: 'GET', path, signal })
      if (response.code >= 400) throw failureFrom(response.code, await readAll(response, what, signal), what)
      yield* response.stream as AsyncIterable<Buffer>
      const cause = response.broken()
      if (cause) throw cause
    } catch (error) {
      if (signal?.aborted) return
      throw isStatus(error) ? error : lostConnection(what, error)
    } finally {
      response?.stream.destroy()
    }
  }

  const typed = (kind: GroupVersionKind, object: object): object => ({
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    ...object,
  })

  const client: HttpsClient = {
    raw: (method, path, body, options) => call(method, path, body, options),
    reconnect: () => connection.reconnect(),
    renew: () => connection.renew(),
    close: () => connection.close(),

    kinds: (options): Promise<ServedKind[]> => discover((path) => call('GET', path, undefined, options)),
    get: (kind, ref, options) => call('GET', pathOf(kind, ref, options?.subresource), undefined, options),
    async find(kind, ref, options) {
      try {
        return await client.get(kind, ref, options)
      } catch (error) {
        // Not where the whole kind is unknown: that answer names no object.
        if (isStatus(error, 'NotFound') && error.details?.name !== undefined) return undefined
        throw error
      }
    },
    async list<T extends KubeObject>(kind: Kind<T>, options: Parameters<Client['list']>[1] = {}) {
      const list = await call<List<T>>('GET', pathOf(kind, options) + listQuery(options), undefined, options)
      // Items of a list come without these two.
      return { metadata: list.metadata, items: (list.items ?? []).map((item) => typed(kind, item) as T) }
    },
    watch,
    create: (kind, object, options = {}) => {
      const { name, namespace } = object.metadata
      const { subresource } = options
      const path = pathOf(kind, subresource ? { namespace, name } : { namespace }, subresource)
      return call('POST', path + writeQuery(options), typed(formOf(kind, subresource), object), options)
    },
    update: (kind, object, options = {}) => {
      const path = pathOf(kind, object.metadata, options.subresource)
      return call('PUT', path + writeQuery(options), typed(formOf(kind, options.subresource), object), options)
    },
    patch: (kind, ref, type, patch, options = {}) =>
      call('PATCH', pathOf(kind, ref, options.subresource) + writeQuery(options), patch, { ...options, type: patchTypes[type] }),
    async delete(kind: Kind, ref: Ref, { signal, ...options } = {}) {
      const body = { kind: 'DeleteOptions', apiVersion: 'v1', ...options }
      await call('DELETE', pathOf(kind, ref), body, signal ? { signal } : {})
    },
    log,
  }
  return client
}

async function readAll(response: Response, what: string, signal: AbortSignal | undefined): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response.stream as AsyncIterable<Buffer>) chunks.push(chunk)
    const cause = response.broken()
    if (cause) throw cause
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw lostConnection(what, error)
  }
  return Buffer.concat(chunks).toString()
}

const isJson = (response: Response): boolean => (response.headers['content-type'] ?? '').includes('json')

function parse(text: string, what: string): unknown {
  try {
    return parseExact(text)
  } catch (cause) {
    throw new StatusError('InternalError', `${what}: the server's answer is not JSON`, undefined, { cause })
  }
}
