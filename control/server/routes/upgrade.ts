// Connections that are upgraded: exec, attach and port-forward by the agent, and whatever is behind a proxy.
// The server checks who asks and joins the two sides. Logs it puts on a WebSocket itself.

import type { IncomingMessage } from 'node:http'
import type { Hono } from 'hono/tiny'
import { StatusError } from '#api/errors.ts'
import { newUpgrades, taking, type Upgrade } from '#api/http/upgrades.ts'
import { isTerminal } from '#api/pods.ts'
import type { Backend } from '#api/streaming/backend.ts'
import { proxyUpgrade } from '#api/streaming/proxy.ts'
import { upgradeOf } from '#api/streaming/upgrade.ts'
import type { Aggregator } from '../aggregation/api-services.ts'
import type { ServerContext, ServerEnv, ServerStage } from '../http/env.ts'
import { isTrue, noSuchPath, type ResourceRequest } from '../http/request.ts'
import { requestInfo } from '../http/stages/request-info.ts'
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
  agentTls: AgentTls
  aggregator: Aggregator
  /** Who asks: the stage that requests pass, too. */
  authentication: ServerStage
  authorization: ServerStage
  signal: AbortSignal
}

export function connectApp(deps: UpgradeDeps): Hono<ServerEnv> {
  const app = newUpgrades<ServerEnv>((error) => statusOf(error).status)
  app.use(deps.authentication, requestInfo, resourcesOnly, deps.authorization)
  app.all(
    '*',
    taking<ServerEnv>(async (c, upgrade) => await connect(deps, c, upgrade)),
  )
  return app
}

const resourcesOnly: ServerStage = async (c, next) => {
  if (!c.get('info')) throw noSuchPath()
  await next()
}

async function connect(deps: UpgradeDeps, c: ServerContext, { incoming: request, socket, head }: Upgrade): Promise<void> {
  const to = await destination(deps, c, request)
  if ('log' in to) await serveLog({ core: deps.core, tls: deps.agentTls, signal: deps.signal }, { request, socket, head }, to.log)
  else await proxyUpgrade(request, socket, head, { ...to, signal: deps.signal })
}

async function destination(deps: UpgradeDeps, c: ServerContext, request: IncomingMessage): Promise<Backend | { log: LogRequest }> {
  const { core, agentTls: tls, aggregator } = deps
  const { url } = c.get('incoming')
  const [user, info] = [c.get('user'), c.get('info')!]
  const remote = info.group ? aggregator.at(info.apiVersion) : undefined
  if (remote) return await aggregator.backend(remote, user, `${url.pathname}${url.search}`)
  const resource = core.resources.at(info.apiVersion, info.plural)
  if (!resource || info.name === undefined || resource.kind.namespaced !== (info.namespace !== undefined)) throw noSuchPath()
  if (resource.kind.kind === 'Pod' && info.subresource === 'log' && info.verb === 'get' && upgradeOf(request) === 'websocket')
    return { log: { namespace: info.namespace ?? '', name: info.name, params: url.searchParams } }
  await admitConnection(core, resource, { info, params: url.searchParams }, { user })
  if (info.subresource === 'proxy' && resource.kind.group === '')
    return proxied(await destinationOf({ core, tls }, resource, info), info, url)
  if (resource.kind.kind !== 'Pod') throw noSuchPath()
  return await podDestination(deps, info, url.searchParams)
}

async function podDestination({ core, agentTls: tls }: UpgradeDeps, info: ResourceRequest, params: URLSearchParams): Promise<Backend> {
  const { namespace = '', name = '' } = info
  const { pod, agent } = await placeOf(core, namespace, name)
  if (isTerminal(pod)) {
    throw new StatusError('BadRequest', `cannot ${info.subresource} in a completed pod; current phase is ${pod.status?.phase}`)
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
