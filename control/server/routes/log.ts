// pods/NAME/log: the agent's answer, passed on as it comes.

import type { IncomingMessage } from 'node:http'
import { StatusError } from '#api/errors.ts'
import { Reply } from '#api/http/reply.ts'
import { readWithin } from '#api/streaming/bounded.ts'
import type { Route } from '../http/stages/resources.ts'
import type { Core } from '../objects/core.ts'
import { type AgentTls, callAgent, containerOf, placeOf } from './agent.ts'

/** PodLogOptions that go to the agent under the same names. */
const passed = ['follow', 'previous', 'sinceSeconds', 'sinceTime', 'timestamps', 'tailLines', 'limitBytes', 'stream']

export const logRoute =
  ({ core, tls }: { core: Core; tls: AgentTls }): Route =>
  async ({ info, url, request }, resource) => {
    if (resource?.kind.kind !== 'Pod' || info.subresource !== 'log') return undefined
    if (info.verb !== 'get' || !info.namespace || !info.name) {
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    }
    const answer = await openLog({ core, tls }, { namespace: info.namespace, name: info.name, params: url.searchParams }, request.signal)
    return new Reply(answer, {
      headers: { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' },
    })
  }

export type LogRequest = { namespace: string; name: string; params: URLSearchParams }

/** The log of a container, from its agent. Throws what the agent refused. */
export async function openLog(
  { core, tls }: { core: Core; tls: AgentTls },
  { namespace, name, params }: LogRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { pod, agent } = await placeOf(core, namespace, name)
  const container = containerOf(pod, params.get('container'))
  const query = new URLSearchParams()
  for (const option of passed) {
    const value = params.get(option)
    if (value !== null) query.set(option, value)
  }
  const path = `/containerLogs/${[namespace, name, container].map(encodeURIComponent).join('/')}?${query.toString()}`
  const answer = await callAgent(agent, path, { tls, signal })
  if (answer.statusCode !== 200) throw await refusalOf(answer)
  return answer
}

/** Nobody says no in more words. */
const mostRefusal = 64 * 1024

/** What an agent refused, as a Status: its own, or its words in one. */
export async function refusalOf(answer: IncomingMessage): Promise<StatusError> {
  const said = await readWithin(answer, mostRefusal).catch(() => '')
  const body = said.toString().trim()
  const reason = answer.statusCode === 404 ? 'NotFound' : answer.statusCode && answer.statusCode < 500 ? 'BadRequest' : 'InternalError'
  try {
    const status = JSON.parse(body) as { kind?: string; message?: string }
    if (status.kind === 'Status' && status.message) return new StatusError(reason, status.message)
  } catch {
    // Plain words, then.
  }
  return new StatusError(reason, body || `the node answered ${answer.statusCode}`)
}
