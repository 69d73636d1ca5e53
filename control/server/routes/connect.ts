// Connections (exec, attach, port-forward, proxy) as admission sees them: what the query asks for, as an
// object such as PodExecOptions.

import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import { clone } from '../cache/item.ts'
import { targetOf } from '../http/handler.ts'
import { isTrue, type ResourceRequest } from '../http/request.ts'
import type { WriteOptions } from '../objects/call.ts'
import type { Core } from '../objects/core.ts'
import type { Resource } from '../objects/resource.ts'

type Asked = { info: ResourceRequest; params: URLSearchParams }

/** Throws where somebody is against it. */
export async function admitConnection(core: Core, resource: Resource, { info, params }: Asked, options: WriteOptions): Promise<void> {
  const kind = resource.spec.subresources?.find(({ name }) => name === info.subresource)?.kind
  if (!kind) return
  const object = { kind: kind.kind, apiVersion: apiVersionOf(kind), ...optionsOf(info, params) } as unknown as KubeObject
  const form = { kind, show: (each: KubeObject) => clone(each) }
  await core.admit('CONNECT', targetOf(resource, info), object, { ...options, subresource: info.subresource, form })
}

function optionsOf({ subresource, rest }: ResourceRequest, params: URLSearchParams): JsonObject {
  if (subresource === 'proxy') return { path: rest || '/' }
  if (subresource === 'portforward') {
    const ports = params.getAll('ports').flatMap((list) => list.split(',').map(Number))
    return ports.length > 0 ? { ports } : {}
  }
  const streams = ['stdin', 'stdout', 'stderr', 'tty'].filter((name) => isTrue(params.get(name))).map((name) => [name, true])
  const container = params.get('container')
  const command = params.getAll('command')
  return { ...Object.fromEntries(streams), ...(container && { container }), ...(command.length > 0 && { command }) }
}
