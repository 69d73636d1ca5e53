// pods/NAME/proxy, services/NAME/proxy and nodes/NAME/proxy: HTTP to what is behind the name. What comes
// back may point to its own root, which is below our path: places and links are made to.

import type { IncomingMessage } from 'node:http'
import { type Chunks, Reply } from '#api/http/reply.ts'
import type { Backend } from '#api/streaming/backend.ts'
import { writeOptionsOf } from '../http/options.ts'
import { type ResourceRequest, rootOf } from '../http/request.ts'
import type { Route } from '../http/stages/resources.ts'
import type { Core } from '../objects/core.ts'
import type { AgentTls } from './agent.ts'
import { admitConnection } from './connect.ts'
import { destinationOf } from './destination.ts'
import { answered, forward } from './forward.ts'

export const proxyRoute =
  (deps: { core: Core; tls: AgentTls }): Route =>
  async (exchange, resource) => {
    const { info, url, request } = exchange
    if (info.subresource !== 'proxy' || resource?.kind.group !== '' || info.name === undefined) return undefined
    await admitConnection(deps.core, resource, { info, params: url.searchParams }, writeOptionsOf(exchange))
    // As it is a folder, links in it are below it.
    if (info.rest === '' && ['GET', 'HEAD'].includes(request.method)) {
      return new Reply(undefined, { status: 301, headers: { location: `${url.pathname}/${url.search}` } })
    }
    const backend = proxied(await destinationOf(deps, resource, info), info, url)
    const answer = await forward(request, backend)
    const root = rootOf(url.pathname, info)
    const response = answered(request, answer, (name, value) => (name === 'location' ? placeBelow(root, value, backend) : value))
    return isPage(answer) && response.body ? await linkedBelow(root, response, answer) : response
  }

export function proxied(destination: Omit<Backend, 'path'>, info: ResourceRequest, url: URL): Backend {
  return {
    ...destination,
    path: `${info.rest || '/'}${url.search}`,
    headers: { 'x-forwarded-uri': url.pathname, 'x-forwarded-host': url.host, 'x-forwarded-proto': 'https' },
  }
}

/** A place of the server behind, as it is reached through us; others stay. */
function placeBelow(root: string, location: string, { host, port }: Backend): string {
  if (location.startsWith('/') && !location.startsWith('//')) return root + location
  const url = URL.parse(location)
  const own = url && [url.hostname.replace(/^\[|\]$/g, ''), url.port || (url.protocol === 'https:' ? '443' : '80')].join(' ')
  return own === `${host} ${port}` ? `${root}${url?.pathname}${url?.search}${url?.hash}` : location
}

/** Nothing that people read is larger; what is goes through as it is. */
const mostPage = 4 * 1024 * 1024

const isPage = ({ headers }: IncomingMessage): boolean =>
  /^text\/html\b/i.test(headers['content-type'] ?? '') && !headers['content-encoding'] && Number(headers['content-length'] ?? 0) <= mostPage

/** Where a tag is not closed the next one begins: no character is looked at for more than one. */
const links = /(<[^<>]*?\s(?:action|background|cite|data|formaction|href|poster|src)\s*=\s*["']?)(\/(?!\/)[^"'\s<>]*)/gi

async function linkedBelow(root: string, reply: Reply, body: Chunks): Promise<Reply> {
  const { status, headers } = reply
  const { 'content-length': _, ...rest } = headers.values
  const source = body[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  for (let size = 0; size <= mostPage; ) {
    const { done, value } = await source.next()
    if (done) return new Reply(linked(root, Buffer.concat(chunks)), { status, headers: rest })
    chunks.push(value)
    size += value.length
  }
  // It did not say how long it is, and is longer than what people read.
  return new Reply(both(chunks, source), { status, headers: rest })
}

const linked = (root: string, page: Buffer): Buffer =>
  Buffer.from(
    page.toString('latin1').replace(links, (_, before: string, link: string) => before + root + link),
    'latin1',
  )

async function* both(first: Uint8Array[], rest: AsyncIterator<Uint8Array>): Chunks & AsyncGenerator<Uint8Array> {
  try {
    yield* first
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}
