// The client of the server's own components, with the kinds that servers behind APIServices serve: found,
// listed and deleted there, so that a namespace's end and who else cleans up reach them too.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Client, List, ReadOptions, Ref } from '#api/client/client.ts'
import { failureFrom } from '#api/client/failure.ts'
import { listQuery, pathOf } from '#api/client/path.ts'
import type { AnswerOf, PartSubresource } from '#api/client/subresource.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import { availabilityOf } from '#api/kinds/api-service.ts'
import { apiVersionOf, type Kind, type KubeObject } from '#api/kinds/kind.ts'
import { readWithin } from '#api/streaming/bounded.ts'
import type { APIService } from '#api/types/apiregistration-v1.gen.ts'
import type { User } from '#control/auth/user.ts'
import type { Aggregator } from './api-services.ts'

const answerWithinMs = 30_000
/** A whole list of objects, without their content where the server behind knows that form. */
const mostBytes = 64 * 1024 * 1024
/** Metadata alone from who can give it; not every server behind knows the form. */
const bareAccept = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json'

export function aggregating(own: Client, aggregator: Aggregator, user: User): Client {
  const behind = (kind: Kind): APIService | undefined => (kind.group ? aggregator.at(apiVersionOf(kind)) : undefined)

  async function call(service: APIService, method: string, path: string, { accept = 'application/json', body, signal }: Asked = {}) {
    const { host, port, tls, headers } = await aggregator.backend(service, user, path)
    const what = `${method} ${path}`
    const within = AbortSignal.timeout(answerWithinMs)
    const sent = body === undefined ? undefined : JSON.stringify(body)
    const type = sent === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }
    const outgoing = httpsRequest({
      host,
      port,
      path,
      method,
      headers: { ...headers, accept, ...type },
      ...tls,
      agent: false,
      signal: signal ? AbortSignal.any([signal, within]) : within,
    })
    outgoing.end(sent)
    try {
      const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
      const text = (await readWithin(answer, mostBytes)).toString()
      if ((answer.statusCode ?? 500) >= 400) throw failureFrom(answer.statusCode ?? 500, text, what)
      return JSON.parse(text) as unknown
    } catch (cause) {
      signal?.throwIfAborted()
      if (isStatus(cause)) throw cause
      throw new StatusError('ServiceUnavailable', `${what}: ${(cause as Error).message}`, undefined, { cause })
    }
  }

  const client: Client = {
    ...own,
    async kinds(options) {
      const kinds = await own.kinds(options)
      for (const service of aggregator.all) {
        const { group = '', version = '' } = service.spec
        const learned = availabilityOf(service)?.status === 'True' ? aggregator.learned(service) : undefined
        if (!learned) options?.unreachable?.(`${group}/${version}`)
        for (const { name, kind, namespaced = false, verbs } of learned?.resources ?? [])
          if (!name.includes('/')) kinds.push({ group, version, kind, plural: name, namespaced, verbs: verbs.filter(offered) })
      }
      return kinds
    },
    async get<T extends KubeObject, S extends PartSubresource | undefined = undefined>(
      kind: Kind<T>,
      ref: Ref,
      { subresource, signal }: ReadOptions<S> = {},
    ): Promise<AnswerOf<T, S>> {
      const service = behind(kind)
      if (!service) return await own.get(kind, ref, { subresource, signal })
      return (await call(service, 'GET', pathOf(kind, ref, subresource), { signal })) as AnswerOf<T, S>
    },
    async find(kind, ref, options) {
      if (!behind(kind)) return await own.find(kind, ref, options)
      try {
        return await client.get(kind, ref, options)
      } catch (error) {
        if (isStatus(error, 'NotFound')) return undefined
        throw error
      }
    },
    async list<T extends KubeObject>(kind: Kind<T>, options: Parameters<Client['list']>[1] = {}) {
      const service = behind(kind)
      if (!service) return await own.list(kind, options)
      const asked = { ...(options.metadataOnly && { accept: bareAccept }), ...(options.signal && { signal: options.signal }) }
      const { items, metadata } = (await call(service, 'GET', pathOf(kind, options) + listQuery(options), asked)) as Partial<List<T>>
      return { items: items ?? [], metadata: metadata ?? { resourceVersion: '' } }
    },
    async delete(kind, ref, options = {}) {
      const service = behind(kind)
      if (!service) return await own.delete(kind, ref, options)
      const { signal, ...body } = options
      const asked = { body: { kind: 'DeleteOptions', apiVersion: 'v1', ...body }, ...(signal && { signal }) }
      await call(service, 'DELETE', pathOf(kind, ref), asked)
    },
  }
  return client
}

type Asked = { accept?: string; body?: object; signal?: AbortSignal }

/** What this client can do there: whoever wants to watch, too, must look elsewhere. */
const offered = (verb: string): boolean => ['get', 'list', 'delete'].includes(verb)
