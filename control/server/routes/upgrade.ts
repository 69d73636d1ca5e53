// Connections that are upgraded: exec, attach and port-forward by the agent, and whatever is behind a proxy.
// The server checks who asks and joins the two sides. Logs it puts on a WebSocket itself.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { StatusError } from '#api/errors.ts'
import { NodeHeaders } from '#api/http/incoming.ts'
import type { Backend } from '#api/streaming/backend.ts'
import { proxyUpgrade } from '#api/streaming/proxy.ts'
import { upgradeOf } from '#api/streaming/upgrade.ts'
import { type Authorizer, authorize } from '#control/auth/authorizer.ts'
import { impersonated } from '#control/auth/impersonation.ts'
import type { User } from '#control/auth/user.ts'
import type { Aggregator } from '../aggregation/api-services.ts'
import { isTrue, noSuchPath, parseResourceRequest, type ResourceRequest } from '../http/request.ts'
import { statusOf } from '../http/status.ts'
import type { Core } from '../objects/core.ts'
import { type AgentTls, backendOf, containerOf, placeOf } from './agent.ts'
import { admitConnection } from './connect.ts'
import { destinationOf } from './destination.ts'
import type { LogRequest } from './log.ts'
import { serveLog } from './log-socket.ts'
import { proxied } from './proxy.ts'

export type UpgradeDeps = {
  core: Core
  tls: AgentTls
  aggregator: Aggregator
  authorizers: readonly Authorizer[]
  authenticate(request: IncomingMessage): Promise<User>
  signal: AbortSignal
}

/** For the `upgrade` event of the HTTP server. Never rejects. */
export async function handleUpgrade(deps: UpgradeDeps, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
  socket.on('error', () => socket.destroy())
  try {
    const caller = await deps.authenticate(request)
    const user = await impersonated(deps.authorizers, caller, new NodeHeaders(request))
    const to = await destination(deps, user, request)
    if ('log' in to) await serveLog(deps, { request, socket, head }, to.log)
    else await proxyUpgrade(request, socket, head, { ...to, signal: deps.signal })
  } catch (error) {
    const { status } = statusOf(error)
    const body = JSON.stringify(status)
    socket.end(
      `HTTP/1.1 ${status.code} ${status.reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
}

async function destination(deps: UpgradeDeps, user: User, request: IncomingMessage): Promise<Backend | { log: LogRequest }> {
  const { core, authorizers } = deps
  const url = new URL(request.url ?? '/', `https://${request.headers.host ?? 'server'}`)
  const info = /^\/apis?\//.test(url.pathname) ? parseResourceRequest(request.method ?? 'GET', url.pathname, url.searchParams) : undefined
  const resource = info && core.resources.at(info.apiVersion, info.plural)
  if (!info) throw noSuchPath()
  await authorize(authorizers, { ...info, user, resource: info.plural })
  const remote = info.group ? deps.aggregator.at(info.apiVersion) : undefined
  if (remote) return await deps.aggregator.backend(remote, user, `${url.pathname}${url.search}`)
  if (!resource || info.name === undefined || resource.kind.namespaced !== (info.namespace !== undefined)) throw noSuchPath()
  if (resource.kind.kind === 'Pod' && info.subresource === 'log' && info.verb === 'get' && upgradeOf(request) === 'websocket')
    return { log: { namespace: info.namespace ?? '', name: info.name, params: url.searchParams } }
  await admitConnection(core, resource, { info, params: url.searchParams }, { user })
  if (info.subresource === 'proxy' && resource.kind.group === '') return proxied(await destinationOf(deps, resource, info), info, url)
  if (resource.kind.kind !== 'Pod') throw noSuchPath()
  return await podDestination(deps, info, url.searchParams)
}

async function podDestination({ core, tls }: UpgradeDeps, info: ResourceRequest, params: URLSearchParams): Promise<Backend> {
  const { namespace = '', name = '' } = info
  const { pod, agent } = await placeOf(core, namespace, name)
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
    throw new StatusError('BadRequest', `cannot ${info.subresource} in a completed pod; current phase is ${pod.status.phase}`)
  }
  const names = [namespace, name].map(encodeURIComponent).join('/')
  if (info.subresource === 'portforward') {
    const ports = params.getAll('ports').map((port) => `port=${encodeURIComponent(port)}`)
    return { ...backendOf(agent, tls), path: `/portForward/${names}${ports.length > 0 ? `?${ports.join('&')}` : ''}` }
  }
  if (info.subresource !== 'exec' && info.subresource !== 'attach') throw noSuchPath()
  const container = encodeURIComponent(containerOf(pod, params.get('container')))
  return { ...backendOf(agent, tls), path: `/${info.subresource}/${names}/${container}?${streamsQuery(params)}` }
}

/** The agent names the streams as the kubelet does. */
function streamsQuery(params: URLSearchParams): string {
  const query = new URLSearchParams()
  for (const [api, agent] of [
    ['stdin', 'input'],
    ['stdout', 'output'],
    ['stderr', 'error'],
    ['tty', 'tty'],
  ] as const) {
    if (isTrue(params.get(api))) query.set(agent, '1')
  }
  for (const part of params.getAll('command')) query.append('command', part)
  return query.toString()
}
