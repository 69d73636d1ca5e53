// The API over HTTP: the stages that every request passes, and what is served at their end. Everything that goes
// wrong on the way is a Status.

import { StatusError } from '#api/errors.ts'
import { replied } from '#api/http/env.ts'
import { replies } from '#api/http/replies.ts'
import type { Log } from '#api/log.ts'
import { failureFormatOf } from './accept.ts'
import { warningHeader } from './answer.ts'
import { newPages, type Pages, type ServerContext, type ServerEnv, type ServerStage } from './env.ts'
import { noSuchPath } from './request.ts'
import { audit } from './stages/audit.ts'
import { seats } from './stages/fairness.ts'
import { requestInfo } from './stages/request-info.ts'
import { answerStatus, statusOf } from './status.ts'

export type App = Pages

export type AppDeps = Parameters<typeof audit>[0] & {
  log: Log
  /** Before authentication: what brings its own credentials. */
  open: Pages
  authentication: ServerStage
  /** After the request is known for what it is. */
  fairness: ServerStage
  authorization: ServerStage
  /** Resources, and pages that another server has; what is left are pages of ours. */
  resources: ServerStage
  aggregated: ServerStage
  /** Paths that are no resources, e.g. health, metrics, OpenAPI. They authorize as paths. */
  pages: readonly Pages[]
}

export function createApp(deps: AppDeps): App {
  const app = newPages()
  app.use(replies<ServerEnv>(), audit(deps), seats)
  app.route('/', deps.open)
  app.use(deps.authentication, requestInfo, deps.fairness, deps.authorization)
  app.use(deps.resources, deps.aggregated, readOnly)
  for (const pages of deps.pages) app.route('/', pages)
  app.notFound((c) => fail(deps.log, noSuchPath(), c))
  app.onError((error, c) => fail(deps.log, error, c))
  return app
}

function fail(log: Log, error: unknown, c: ServerContext): Response {
  const { method, url, headers } = c.get('incoming')
  const { status, unexpected } = statusOf(error)
  if (unexpected) log.error({ err: error, method, path: url.pathname }, 'a request failed unexpectedly')
  const reply = answerStatus(status, failureFormatOf(headers.get('accept') ?? undefined))
  for (const warning of c.get('remarks').warnings) reply.headers.append('warning', warningHeader(warning))
  return replied(c, reply)
}

/** Pages are read. */
const readOnly: ServerStage = async (c, next) => {
  const { method } = c.get('incoming')
  if (method !== 'GET' && method !== 'HEAD') {
    throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
  }
  await next()
}
