// Requests for resources: of those that serve one subresource or virtual resource the first that knows it, then the
// handler of all. Which resources there are is data, and changes while the server runs; so one stage serves their paths.

import { replied } from '#api/http/env.ts'
import type { Reply } from '#api/http/reply.ts'
import type { Core } from '../../objects/core.ts'
import type { Resource } from '../../objects/resource.ts'
import { warningHeader } from '../answer.ts'
import type { ServerStage } from '../env.ts'
import type { ResourceHandler } from '../handler.ts'
import { type Exchange, noSuchPath } from '../request.ts'

/** Serves one subresource or virtual resource; undefined: not this one. */
export type Route = (exchange: Exchange, resource: Resource | undefined) => Promise<Reply | undefined>

type Deps = {
  core: Core
  handler: ResourceHandler
  /** To other servers, whatever the path holds below the subresource. */
  proxies: readonly Route[]
  routes: readonly Route[]
}

export const resources =
  ({ core, handler, proxies, routes }: Deps): ServerStage =>
  async (c, next) => {
    const info = c.get('info')
    if (!info) return await next()
    const request = c.get('incoming')
    const exchange: Exchange = { request, url: request.url, user: c.get('user'), info, remarks: c.get('remarks') }
    const resource = core.resources.at(info.apiVersion, info.plural)
    const first = async (all: readonly Route[]): Promise<Reply | undefined> => {
      for (const route of all) {
        const reply = await route(exchange, resource)
        if (reply) return reply
      }
      return undefined
    }
    const passedOn = await first(proxies)
    if (passedOn) return replied(c, passedOn)
    if (info.rest.length > 1) throw noSuchPath()
    const special = await first(routes)
    if (special) return replied(c, special)
    if (!resource) throw noSuchPath()
    if (info.subresource !== '' && !isPartOf(resource, info.subresource)) throw noSuchPath()
    if (!resource.kind.namespaced && info.namespace !== undefined) throw noSuchPath()
    const reply = await handler.handle(resource, exchange)
    if (resource.spec.warning) reply.headers.append('warning', warningHeader(resource.spec.warning))
    return replied(c, reply)
  }

/** Whether a subresource is the object itself, seen from one side: its status, or another that takes its own kind. */
function isPartOf({ spec, kind }: Resource, subresource: string): boolean {
  if (subresource === 'status') return spec.status ?? false
  const found = spec.subresources?.find((s) => s.name === subresource)
  return found !== undefined && found.verbs.includes('update') && found.kind.kind === kind.kind && found.kind.group === kind.group
}
