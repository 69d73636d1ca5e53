// Requests whose group version is served by another server: passed on as they are, answers too.

import { replied } from '#api/http/env.ts'
import type { Incoming } from '#api/http/incoming.ts'
import type { Reply } from '#api/http/reply.ts'
import type { APIService } from '#api/types/apiregistration-v1.gen.ts'
import type { User } from '#control/auth/user.ts'
import type { ServerStage } from '../http/env.ts'
import type { Route } from '../http/stages/resources.ts'
import { answered, forward } from '../routes/forward.ts'
import type { Aggregator } from './api-services.ts'

export const aggregatedRoute =
  (aggregator: Aggregator): Route =>
  async ({ info, request, url, user }) => {
    const service = info.group ? aggregator.at(info.apiVersion) : undefined
    return service && (await aggregatedAnswer(aggregator, service, { request, url, user }))
  }

export async function aggregatedAnswer(
  aggregator: Aggregator,
  service: APIService,
  { request, url, user }: { request: Incoming; url: URL; user: User },
): Promise<Reply> {
  const backend = await aggregator.backend(service, user, `${url.pathname}${url.search}`)
  return answered(request, await forward(request, backend))
}

/** Pages that are theirs: the discovery document and the OpenAPI of their group version. */
export const aggregatedPages =
  (aggregator: Aggregator): ServerStage =>
  async (c, next) => {
    const request = c.get('incoming')
    const { url } = request
    const groupVersion = /^(?:\/openapi\/v3)?\/apis\/([^/]+\/[^/]+)\/?$/.exec(url.pathname)?.[1]
    const service = groupVersion && aggregator.at(groupVersion)
    if (!service) return await next()
    return replied(c, await aggregatedAnswer(aggregator, service, { request, url, user: c.get('user') }))
  }
