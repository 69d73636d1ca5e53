// Subresources that take another kind by POST and act: binding, eviction, token. One table for HTTP
// and for the in-process client.

import { StatusError } from '#api/errors.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { schemaOf } from '#api/schema/compile.ts'
import { decode, isObject, type JsonObject } from '#api/schema/decode.ts'
import type { Form } from '#control/admission/admission.ts'
import { clone } from '../cache/item.ts'
import { viewOf } from '../http/accept.ts'
import { answerJson } from '../http/answer.ts'
import { objectIn, readBody, typed } from '../http/body.ts'
import { targetOf } from '../http/handler.ts'
import { checkedDeleteOptions, writeOptionsOf } from '../http/options.ts'
import type { Route } from '../http/stages/resources.ts'
import type { DeleteOptions, Target, WriteOptions } from '../objects/call.ts'
import type { Core } from '../objects/core.ts'

/** Returns the answer. */
export type Creator = (target: Target, body: Record<string, unknown>, options: WriteOptions) => Promise<object>
/** By `pods/binding`. */
export type Creators = Readonly<Record<string, Creator>>

export const success = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 } as const

/** Each asks admission about what is posted first. What it then writes was asked about by that. */
export function admitted(creators: Creators, core: Core): Creators {
  const entries = Object.entries(creators).map(([name, create]): [string, Creator] => [
    name,
    async (target, body, options) => {
      const { resource, namespace, name: owner } = target
      const subresource = name.slice(name.indexOf('/') + 1)
      const kind = resource.spec.subresources?.find((each) => each.name === subresource)?.kind
      if (!kind) return await create(target, body, options)
      const asked = { ...options, dryRun: options.dryRun || deletionIn(body).dryRun || false }
      const metadata = { name: owner, namespace, ...(isObject(body.metadata) && body.metadata) }
      const posted = { ...body, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata } as KubeObject & JsonObject
      await core.admit('CREATE', target, posted, { ...asked, subresource, form: formOf(kind) })
      return await create(target, posted, { ...asked, settled: true })
    },
  ])
  return Object.fromEntries(entries)
}

/** What is posted may say how something is to be deleted, and that it is only to be tried, as an Eviction does. */
export function deletionIn({ deleteOptions }: Record<string, unknown>): DeleteOptions {
  return isObject(deleteOptions) ? checkedDeleteOptions((name) => deleteOptions[name]) : {}
}

function formOf(kind: Form['kind']): Form {
  const schema = schemaOf(kind)
  return {
    kind,
    show: (object) => clone(object),
    take(shown, object) {
      for (const key of Object.keys(object)) delete object[key as keyof KubeObject]
      Object.assign(object, schema ? decode(schema, shown).object : shown)
    },
  }
}

export const creatorRoute =
  (creators: Creators): Route =>
  async (exchange, resource) => {
    const { info, request } = exchange
    const create = resource?.kind.group === '' ? creators[`${info.plural}/${info.subresource}`] : undefined
    if (!resource || !create) return undefined
    if (info.verb !== 'create') throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    const target = targetOf(resource, info)
    const view = viewOf(request.headers.get('accept') ?? undefined, { whole: true })
    const read = await readBody(request, { floats: true })
    const body = objectIn(read)
    const kind = resource.spec.subresources?.find(({ name }) => name === info.subresource)?.kind
    const schema = kind && schemaOf(kind)
    if (schema) typed(schema, read)
    const answer = await create(target, body, writeOptionsOf(exchange))
    return await answerJson(answer, { view, acceptEncoding: undefined, warnings: exchange.remarks.warnings }, 201)
  }
