// pods/NAME/proxy, services/NAME/proxy and nodes/NAME/proxy: plain HTTP to what is behind the name.
// A name may be `scheme:name:port`; the port of a service may be given by its own name.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { StatusError } from '#api/errors.ts'
import { Endpoints, Pod, Service } from '#api/kinds/index.ts'
import type { Endpoints as EndpointsType, Pod as PodType, Service as ServiceType } from '#api/types/core-v1.gen.ts'
import type { Core } from '../core.ts'
import type { Route } from '../http/app.ts'
import { readBytes } from '../http/body.ts'
import { writeOptionsOf } from '../http/options.ts'
import type { Exchange } from '../http/request.ts'
import { type AgentTls, agentOf, callAgent } from './agent.ts'
import { admitConnection } from './connect.ts'

const answerWithinMs = 30_000
/** Ours or the connection's, and no business of what is behind. */
const dropped = ['authorization', 'connection', 'content-length', 'cookie', 'host', 'keep-alive', 'transfer-encoding', 'upgrade']

export const proxyRoute =
  ({ core, tls }: { core: Core; tls: AgentTls }): Route =>
  async (exchange, resource) => {
    const { info, url, request, signal } = exchange
    if (info.subresource !== 'proxy' || resource?.kind.group !== '' || info.name === undefined) return undefined
    await admitConnection(core, resource, { info, params: url.searchParams }, writeOptionsOf(exchange))
    const path = `${info.rest || '/'}${url.search}`
    const body = request.body ? await readBytes(request) : undefined
    const headers = Object.fromEntries([...request.headers].filter(([name]) => !dropped.includes(name)))
    const answer =
      resource.kind.kind === 'Node'
        ? await callAgent(await agentOf(core, info.name), path, { tls, signal, method: request.method, headers, ...(body && { body }) })
        : await call(await destination(core, exchange, resource.kind.kind), path, { method: request.method, headers, signal, body })
    const bodyless = request.method === 'HEAD' || [204, 304].includes(answer.statusCode ?? 0)
    return new Response(bodyless ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), {
      status: answer.statusCode ?? 502,
      headers: Object.entries(answer.headers).flatMap(([name, value]) =>
        value === undefined || dropped.includes(name) ? [] : [[name, String(value)] as [string, string]],
      ),
    })
  }

type Destination = { host: string; port: number }

async function destination(core: Core, { info }: Exchange, kind: string): Promise<Destination> {
  const parts = (info.name ?? '').split(':')
  if (parts.length > 3) throw new StatusError('BadRequest', `invalid ${info.plural} request ${JSON.stringify(info.name)}`)
  const [name = '', port = ''] = parts.length === 3 ? parts.slice(1) : parts
  if (parts.length === 3 && parts[0] && parts[0] !== 'http') {
    throw new StatusError('BadRequest', `the proxy speaks http only, not ${JSON.stringify(parts[0])}`)
  }
  if (kind !== 'Pod') return await serviceDestination(core, { namespace: info.namespace, name }, port)
  const { object } = await core.get({ resource: core.resources.of(Pod), namespace: info.namespace, name })
  return podDestination(object as PodType, port)
}

/** One of the addresses behind a service; `port`: its name or number, or '' for the first. Throws ServiceUnavailable. */
export async function serviceDestination(
  core: Core,
  { namespace, name }: { namespace: string | undefined; name: string },
  port: string,
): Promise<Destination> {
  const at = (of: typeof Service | typeof Endpoints) => core.get({ resource: core.resources.of(of), namespace, name })
  const service = (await at(Service)).object as ServiceType
  return behind(service, (await at(Endpoints)).object, port)
}

function podDestination({ metadata, spec, status }: PodType, port: string): Destination {
  const host = status.podIP
  const number = Number(port) || spec.containers.flatMap((c) => c.ports ?? [])[0]?.containerPort || 80
  if (!host) throw new StatusError('ServiceUnavailable', `pod ${JSON.stringify(metadata.name)} has no address`)
  return { host, port: number }
}

function behind({ metadata, spec }: ServiceType, endpoints: EndpointsType, port: string): Destination {
  const ports = spec.ports ?? []
  const wanted = port ? ports.find((p) => p.name === port || String(p.port) === port) : ports[0]
  if (!wanted)
    throw new StatusError(
      'ServiceUnavailable',
      `no service port ${JSON.stringify(port)} found for service ${JSON.stringify(metadata.name)}`,
    )
  const places = (endpoints.subsets ?? []).flatMap((subset) =>
    (subset.ports ?? [])
      .filter((p) => (p.name ?? '') === (wanted.name ?? ''))
      .flatMap((p) => (subset.addresses ?? []).map((a) => ({ host: a.ip, port: p.port }))),
  )
  const place = places[Math.floor(Math.random() * places.length)]
  if (!place) throw new StatusError('ServiceUnavailable', `no endpoints available for service ${JSON.stringify(metadata.name)}`)
  return place
}

function call(
  { host, port }: Destination,
  path: string,
  { method, headers, signal, body }: { method: string; headers: Record<string, string>; signal: AbortSignal; body: Uint8Array | undefined },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ host, port, path, method, headers, signal, agent: false, timeout: answerWithinMs }, (response) => {
      outgoing.setTimeout(0)
      resolve(response)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${answerWithinMs / 1000} seconds`)))
    outgoing.on('error', (cause) =>
      reject(new StatusError('ServiceUnavailable', `error trying to reach ${host}:${port}: ${cause.message}`, undefined, { cause })),
    )
    outgoing.end(body)
  })
}
