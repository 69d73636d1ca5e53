// In which forms the agent answers, whoever asks it: over HTTPS or on its own machine.

import { Hono } from 'hono/tiny'
import { type Status, StatusError } from '#api/errors.ts'
import { replied, type Stage } from '#api/http/env.ts'
import { replies } from '#api/http/replies.ts'
import { Reply } from '#api/http/reply.ts'
import { pathOf } from '#api/http/view.ts'
import type { Log } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { AgentEnv } from './env.ts'

/** An app that answers with a Status what it has not and what fails. */
export function newApp(log: Log, ...stages: Stage<AgentEnv>[]): Hono<AgentEnv> {
  const app = new Hono<AgentEnv>({ getPath: pathOf })
  app.notFound((c) => replied(c, statusReply(new StatusError('NotFound', `the agent has no ${c.get('incoming').url.pathname}`))))
  app.onError((error, c) => {
    if (!(error instanceof StatusError)) log.error({ err: error, path: c.get('incoming').url.pathname }, 'a request to the agent failed')
    return replied(c, statusReply(error))
  })
  app.use(replies())
  for (const stage of stages) app.use(stage)
  return app
}

export const podList = (items: readonly Pod[]) => json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items })
export const text = (body: string) => new Reply(body, { headers: { 'content-type': 'text/plain' } })
export const prometheus = (body: string) => new Reply(body, { headers: { 'content-type': 'text/plain; version=0.0.4' } })
export const json = (body: object) => new Reply(JSON.stringify(body), { headers: { 'content-type': 'application/json' } })

export function statusReply(error: unknown): Reply {
  const status = statusOf(error)
  return new Reply(JSON.stringify(status), { status: status.code, headers: { 'content-type': 'application/json' } })
}

export const statusOf = (error: unknown): Status =>
  (error instanceof StatusError
    ? error
    : new StatusError('InternalError', error instanceof Error ? error.message : String(error))
  ).toStatus()
