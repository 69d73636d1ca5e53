// Subresources that take another kind by POST and act: binding, eviction, token. One table for HTTP
// and for the in-process client.

import { StatusError } from '#api/errors.ts'
import type { Target, WriteOptions } from '../call.ts'
import { viewOf } from '../http/accept.ts'
import { answerJson } from '../http/answer.ts'
import type { Route } from '../http/app.ts'
import { objectIn, readBody } from '../http/body.ts'
import { targetOf } from '../http/handler.ts'
import { writeOptionsOf } from '../http/options.ts'

/** Returns the answer. */
export type Creator = (target: Target, body: Record<string, unknown>, options: WriteOptions) => Promise<object>
/** By `pods/binding`. */
export type Creators = Readonly<Record<string, Creator>>

export const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } as const

export const creatorRoute =
  (creators: Creators): Route =>
  async (exchange, resource) => {
    const { info, request } = exchange
    const create = resource?.kind.group === '' ? creators[`${info.plural}/${info.subresource}`] : undefined
    if (!resource || !create) return undefined
    if (info.verb !== 'create') throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    const target = targetOf(resource, info)
    const view = viewOf(request.headers.get('accept') ?? undefined)
    const answer = await create(target, objectIn(await readBody(request)), writeOptionsOf(exchange))
    return await answerJson(answer, { view, acceptEncoding: undefined, warnings: [] }, 201)
  }
