// Requests whose group version is served by another server: passed on as they are, answers too.

import type { APIService } from '#api/types/apiregistration-v1.gen.ts'
import type { User } from '#control/auth/user.ts'
import type { Route } from '../http/app.ts'
import type { Incoming } from '../http/incoming.ts'
import type { Reply } from '../http/reply.ts'
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

/** A page that is theirs: the discovery document or the OpenAPI of their group version. */
export async function aggregatedPage(aggregator: Aggregator, request: Incoming, url: URL, user: User): Promise<Reply | undefined> {
  const groupVersion = /^(?:\/openapi\/v3)?\/apis\/([^/]+\/[^/]+)\/?$/.exec(url.pathname)?.[1]
  const service = groupVersion && aggregator.at(groupVersion)
  return service ? await aggregatedAnswer(aggregator, service, { request, url, user }) : undefined
}
