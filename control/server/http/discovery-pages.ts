// The documents of discovery over HTTP, `/version` and the list of paths.

import { createHash } from 'node:crypto'
import { replied } from '#api/http/env.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { Reply } from '#api/http/reply.ts'
import { discoveryVersionOf, viewOf } from './accept.ts'
import { answerJson } from './answer.ts'
import type { Discovery } from './discovery.ts'
import { newPages, type Pages, type ServerContext } from './env.ts'
import { noSuchPath } from './request.ts'
import { version } from './version.ts'

const paths = ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version']

export function discoveryPages(discovery: Discovery): Pages {
  const pages = newPages()
  /** Of the groups: as clients ask for it, all in one or group by group. */
  const overview = (core: boolean, legacy: (host: string) => object) => async (c: ServerContext) => {
    const request = c.get('incoming')
    const aggregated = discoveryVersionOf(request.headers.get('accept') ?? undefined)
    return replied(
      c,
      aggregated
        ? await allInOne(discovery.aggregated(core, aggregated), aggregated, request)
        : await document(legacy(request.url.host), request),
    )
  }
  const one = (find: (...parts: string[]) => object | undefined) => async (c: ServerContext) => {
    // As it came: nothing in these names needs an escape.
    const [, , ...parts] = c.req.path.split('/')
    const found = find(...parts)
    if (!found) throw noSuchPath()
    return replied(c, await document(found, c.get('incoming')))
  }
  pages.get(
    '/',
    one(() => ({ paths })),
  )
  pages.get(
    '/version',
    one(() => version),
  )
  pages.get(
    '/api',
    overview(true, (host) => discovery.coreVersions(host)),
  )
  pages.get(
    '/api/:version',
    one((version = '') => discovery.resources('', version)),
  )
  pages.get(
    '/apis',
    overview(false, () => discovery.groups()),
  )
  pages.get(
    '/apis/:group',
    one((group = '') => discovery.group(group)),
  )
  pages.get(
    '/apis/:group/:version',
    one((group = '', version = '') => discovery.resources(group, version)),
  )
  return pages
}

async function document(value: object, request: Incoming): Promise<Reply> {
  const accept = request.headers.get('accept') ?? undefined
  return await answerJson(value, { view: viewOf(plainly(accept)), acceptEncoding: encodingOf(request), warnings: [] })
}

async function allInOne(value: object, version: string, request: Incoming): Promise<Reply> {
  const etag = `"${createHash('sha256').update(JSON.stringify(value)).digest('hex').toUpperCase()}"`
  if (request.headers.get('if-none-match') === etag) return new Reply(undefined, { status: 304, headers: { etag, vary: 'Accept' } })
  const view = { format: 'json', as: 'object', version: 'v1' } as const
  const reply = await answerJson(value, { view, acceptEncoding: encodingOf(request), warnings: [] })
  reply.headers.set('content-type', `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`)
  reply.headers.append('vary', 'Accept')
  reply.headers.set('etag', etag)
  reply.headers.set('cache-control', 'public')
  return reply
}

const encodingOf = ({ headers }: Incoming) => headers.get('accept-encoding') ?? undefined

/** An Accept header without the clauses that only concern discovery. */
const plainly = (accept: string | undefined): string | undefined =>
  accept
    ?.split(',')
    .filter((clause) => !clause.includes('apidiscovery.k8s.io'))
    .join(',') || undefined
