// What the agent answers: the kubelet's pages, logs, and commands whose output is the answer.

import type { Hono } from 'hono/tiny'
import { StatusError } from '#api/errors.ts'
import { replied } from '#api/http/env.ts'
import { json, newApp, podList, prometheus, text } from './answers.ts'
import { type AgentEnv, namesIn, ofContainer, ofPod, only, type Served } from './env.ts'
import { findRunning } from './find.ts'
import { logOf } from './logs.ts'
import { runCommand } from './run.ts'
import { Rates, readUsage, resourceMetrics, summary } from './usage.ts'

/** `closing` ends what runs for long. */
export function agentApp(served: Served, closing: AbortSignal): Hono<AgentEnv> {
  const { runtime, log, clock } = served
  const rates = new Rates(() => clock.monotonic())
  const app = newApp(log, only(served.callers))
  app.all('/healthz', (c) => replied(c, text('ok')))
  app.all('/pods', (c) => replied(c, podList(served.pods())))
  app.all('/metrics', async (c) => replied(c, prometheus((await served.metrics?.()) ?? '')))
  app.all('/metrics/resource', async (c) => replied(c, prometheus(resourceMetrics(await readUsage(runtime), clock.now()))))
  app.all('/stats/summary', async (c) => replied(c, json(summary(await readUsage(runtime), rates, served.nodeName, clock.now()))))
  app.on('ALL', ofContainer('containerLogs'), async (c) =>
    replied(c, await logOf({ ...served, now: () => clock.now() }, namesIn(c), c.get('incoming'), closing)),
  )
  app.on('ALL', ofContainer('run'), async (c) => {
    const { method, url } = c.get('incoming')
    if (method !== 'POST') throw new StatusError('MethodNotAllowed', 'only POST runs a command')
    const { id } = await findRunning(served, namesIn(c))
    return replied(c, text(await runCommand(runtime, id, url.searchParams, closing)))
  })
  app.on('ALL', [...ofContainer('exec'), ...ofContainer('attach'), ...ofPod('portForward')], () => {
    throw new StatusError('BadRequest', 'unable to upgrade: missing upgrade headers in request')
  })
  return app
}
