// What stands behind a pod, a service or a node by name. A name may be `scheme:name:port`; the port of a
// service may be given by its own name.

import { StatusError } from '#api/errors.ts'
import { Endpoints, Pod, Service } from '#api/kinds/index.ts'
import type { Backend } from '#api/streaming/backend.ts'
import type { ResourceRequest } from '../http/request.ts'
import type { Core } from '../objects/core.ts'
import type { Resource } from '../objects/resource.ts'
import { type AgentTls, agentOf, backendOf } from './agent.ts'

export type Destination = { host: string; port: number }
type Deps = { core: Core; tls: AgentTls }

/** Pods and services show certificates of their own, which nobody here could check: as in Kubernetes they are taken as they are. */
const unchecked = { rejectUnauthorized: false }

export async function destinationOf(
  { core, tls }: Deps,
  resource: Resource,
  { namespace, ...info }: ResourceRequest,
): Promise<Omit<Backend, 'path'>> {
  const { scheme, name, port } = partsOf(info)
  const secure = scheme === 'https' ? { tls: unchecked } : {}
  if (resource.kind.kind === 'Service') return { ...(await serviceDestination(core, { namespace, name }, port)), ...secure }
  if (resource.kind.kind === 'Node') {
    const agent = await agentOf(core, name)
    if (port === '' || Number(port) === agent.port) return backendOf(agent, tls)
    return { host: agent.host, port: portOf(port), ...secure }
  }
  const { object } = await core.get({ resource: core.resources.of(Pod), namespace, name })
  return { ...podDestination(core, object as Pod, port), ...secure }
}

function partsOf({ name = '', plural }: Pick<ResourceRequest, 'name' | 'plural'>) {
  const parts = name.split(':')
  const [scheme = '', ...rest] = parts.length === 3 ? parts : ['', ...parts]
  const [only = '', port = ''] = rest
  if (parts.length > 3 || !only || !['', 'http', 'https'].includes(scheme))
    throw new StatusError('BadRequest', `invalid ${plural} request ${JSON.stringify(name)}`)
  return { scheme, name: only, port }
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new StatusError('BadRequest', `invalid port ${JSON.stringify(text)}`)
}

/** One of the addresses behind a service; `port`: its name or number, or '' for the first. Throws ServiceUnavailable, and BadRequest for an address where nobody is sent. */
export async function serviceDestination(
  core: Core,
  { namespace, name }: { namespace: string | undefined; name: string },
  port: string,
): Promise<Destination> {
  const at = (of: typeof Service | typeof Endpoints) => core.get({ resource: core.resources.of(of), namespace, name })
  const service = (await at(Service)).object as Service
  const { host, port: number } = behind(service, (await at(Endpoints)).object, port)
  return { host: core.dial(host), port: number }
}

function podDestination(core: Core, { metadata, spec, status }: Pod, port: string): Destination {
  const host = status.podIP
  const first = spec.containers.flatMap((c) => c.ports ?? [])[0]?.containerPort ?? 80
  if (!host) throw new StatusError('ServiceUnavailable', `pod ${JSON.stringify(metadata.name)} has no address`)
  return { host: core.dial(host), port: port ? portOf(port) : first }
}

function behind({ metadata, spec }: Service, endpoints: Endpoints, port: string): Destination {
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
