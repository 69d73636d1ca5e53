// What the agent answers: the kubelet's pages, logs, and commands whose output is the answer.

import { Hono } from 'hono/tiny'
import { type Status, StatusError } from '#api/errors.ts'
import { replied } from '#api/http/env.ts'
import { replies } from '#api/http/replies.ts'
import { Reply } from '#api/http/reply.ts'
import { pathOf } from '#api/http/view.ts'
import { type AgentEnv, namesIn, ofContainer, ofPod, only, type Served } from './env.ts'
import { findRunning } from './find.ts'
import { logOf } from './logs.ts'
import { runCommand } from './run.ts'
import { Rates, readUsage, resourceMetrics, summary } from './usage.ts'

/** `closing` ends what runs for long. */
export function agentApp(served: Served, closing: AbortSignal): Hono<AgentEnv> {
  const { runtime, log, clock } = served
  const rates = new Rates(() => clock.monotonic())
  const app = new Hono<AgentEnv>({ getPath: pathOf })
  app.use(replies(), only(served.callers))
  app.all('/healthz', (c) => replied(c, text('ok')))
  app.all('/pods', (c) => replied(c, json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: served.pods() })))
  app.all('/metrics', async (c) => replied(c, prometheus((await served.metrics?.()) ?? '')))
  app.all('/metrics/resource', async (c) => replied(c, prometheus(resourceMetrics(await readUsage(runtime), clock.now()))))
  app.all('/stats/summary', async (c) => replied(c, json(summary(await readUsage(runtime), rates, served.nodeName, clock.now()))))
  app.on('ALL', ofContainer('containerLogs'), async (c) => replied(c, await logOf(served, namesIn(c), c.get('incoming'), closing)))
  app.on('ALL', ofContainer('run'), async (c) => {
    const { method, url } = c.get('incoming')
    if (method !== 'POST') throw new StatusError('MethodNotAllowed', 'only POST runs a command')
    const { id } = await findRunning(served, namesIn(c))
    return replied(c, text(await runCommand(runtime, id, url.searchParams, closing)))
  })
  app.on('ALL', [...ofContainer('exec'), ...ofContainer('attach'), ...ofPod('portForward')], () => {
    throw new StatusError('BadRequest', 'unable to upgrade: missing upgrade headers in request')
  })
  app.notFound((c) => replied(c, statusReply(new StatusError('NotFound', `the agent has no ${c.get('incoming').url.pathname}`))))
  app.onError((error, c) => {
    if (!(error instanceof StatusError)) log.error({ err: error, path: c.get('incoming').url.pathname }, 'a request to the agent failed')
    return replied(c, statusReply(error))
  })
  return app
}

const text = (body: string) => new Reply(body, { headers: { 'content-type': 'text/plain' } })
const prometheus = (body: string) => new Reply(body, { headers: { 'content-type': 'text/plain; version=0.0.4' } })
const json = (body: object) => new Reply(JSON.stringify(body), { headers: { 'content-type': 'application/json' } })

export function statusReply(error: unknown): Reply {
  const status = statusOf(error)
  return new Reply(JSON.stringify(status), { status: status.code, headers: { 'content-type': 'application/json' } })
}

export const statusOf = (error: unknown): Status =>
  (error instanceof StatusError
    ? error
    : new StatusError('InternalError', error instanceof Error ? error.message : String(error))
  ).toStatus()
