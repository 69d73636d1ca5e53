// The API over HTTP: who asks, may they, what for. Everything that goes wrong on the way is a Status.

import { createHash, randomUUID } from 'node:crypto'
import { StatusError } from '#api/errors.ts'
import { withoutEnd } from '#api/kinds/rules/names.ts'
import type { Log } from '#api/log.ts'
import { Attempts } from '#control/auth/attempts.ts'
import type { Credentials } from '#control/auth/authenticator.ts'
import { type Attempt, type Authorizer, authorize } from '#control/auth/authorizer.ts'
import { impersonated } from '#control/auth/impersonation.ts'
import type { User } from '#control/auth/user.ts'
import type { Fairness, Place, Seat } from '#control/fairness/fairness.ts'
import type { Core } from '../objects/core.ts'
import type { Resource } from '../objects/resource.ts'
import { discoveryVersionOf, failureFormatOf, viewOf } from './accept.ts'
import { answerJson, warningHeader } from './answer.ts'
import type { Discovery } from './discovery.ts'
import type { ResourceHandler } from './handler.ts'
import type { Incoming } from './incoming.ts'
import { Reply } from './reply.ts'
import { type Exchange, isTrue, noSuchPath, parseResourceRequest, type Remarks, type ResourceRequest } from './request.ts'
import { answerStatus, statusOf } from './status.ts'
import { version } from './version.ts'

/** Serves one subresource or virtual resource; undefined: not this one. */
export type Route = (exchange: Exchange, resource: Resource | undefined) => Promise<Reply | undefined>

export type AppDeps = {
  core: Core
  handler: ResourceHandler
  discovery: Discovery
  routes: readonly Route[]
  authorizers: readonly Authorizer[]
  fairness: Fairness
  /** How many objects of a resource there are. */
  sizeOf(resource: Resource): number
  /** Of a request without a user in its environment. Throws Unauthorized for bad credentials. */
  authenticate(request: Incoming, env: Bindings): Promise<User>
  /** Paths that are no resources, e.g. health, metrics, OpenAPI. They authorize as paths. */
  pages: Readonly<Record<string, (request: Incoming, url: URL) => Promise<Reply>>>
  /** A page that another server has; undefined: it is ours. */
  aggregated(request: Incoming, url: URL, user: User): Promise<Reply | undefined>
  /** Before authentication: what brings its own credentials. */
  open: Readonly<Record<string, OpenPage>>
  log: Log
  /** A request came; `what` says which. */
  began(what: () => string): void
  observe(seen: { verb: string; resource: string; code: number; seconds: number }): void
  now: () => number
}

/** `enter` waits for a seat, once the page knows who asks. */
export type OpenPage = (request: Incoming, bindings: Bindings, enter: (user: User) => Promise<void>) => Promise<Reply>

/** `user` is set by tests; a real server brings what the connection and the request show. */
export type Bindings = {
  user?: User
  credentials?: () => Credentials
  /** The address that the connection comes from. */
  source?: string
}

/** Never rejects: what goes wrong is the reply. */
export type App = { serve(request: Incoming, bindings?: Bindings): Promise<Reply> }

export const createApp = (deps: AppDeps): App => {
  /** Of those who are told of in the log: whoever is refused again and again does not fill it. */
  const told = new Attempts({ now: deps.now })
  const tell = ({ method, url }: Incoming, source = '') => {
    if (told.waitOf(source) > 0) return
    told.failed(source)
    // Neither what was shown nor the query, which may be as secret.
    deps.log.warn({ source, method, path: url.pathname.slice(0, 200) }, 'somebody was refused whose credentials are not good')
  }
  return {
    async serve(request, bindings = {}) {
      const started = deps.now()
      deps.began(
        () => `${request.method} ${request.url.pathname.slice(0, 200)} (${(request.headers.get('user-agent') ?? '').slice(0, 100)})`,
      )
      let seen = { verb: request.method.toLowerCase(), resource: '' }
      const turn: Turn = { remarks: { warnings: [], annotations: new Map() } }
      const { remarks } = turn
      let response: Reply
      try {
        response = await dispatch(deps, request, bindings, turn, (info) => {
          seen = { verb: info.verb, resource: info.subresource ? `${info.plural}/${info.subresource}` : info.plural }
        })
      } catch (error) {
        response = fail(deps, error, request)
        if (response.status === 401 && !Object.hasOwn(deps.open, request.url.pathname)) tell(request, bindings.source)
        for (const warning of remarks.warnings) response.headers.append('warning', warningHeader(warning))
      } finally {
        // A watch, too, holds its seat only until it stands.
        turn.seat?.release()
      }
      if (turn.place) {
        response.headers.set('x-kubernetes-pf-flowschema-uid', turn.place.flowUid)
        response.headers.set('x-kubernetes-pf-prioritylevel-uid', turn.place.levelUid)
      }
      const audit = randomUUID()
      response.headers.set('audit-id', audit)
      if (remarks.annotations.size > 0) deps.log.info({ audit, ...seen, annotations: Object.fromEntries(remarks.annotations) }, 'audit')
      deps.observe({ ...seen, code: response.status, seconds: (deps.now() - started) / 1000 })
      return response
    },
  }
}

function fail(deps: AppDeps, error: unknown, { method, url, headers }: Incoming): Reply {
  const { status, unexpected } = statusOf(error)
  if (unexpected) deps.log.error({ err: error, method, path: url.pathname }, 'a request failed unexpectedly')
  return answerStatus(status, failureFormatOf(headers.get('accept') ?? undefined))
}

/** What a request has been given so far. */
type Turn = { remarks: Remarks; place?: Place; seat?: Seat }

async function dispatch(
  deps: AppDeps,
  request: Incoming,
  bindings: Bindings,
  turn: Turn,
  note: (info: ResourceRequest) => void,
): Promise<Reply> {
  const { url } = request
  const path = url.pathname
  const open = Object.hasOwn(deps.open, path) ? deps.open[path] : undefined
  if (open)
    return await open(request, bindings, (user) => enter(deps, turn, { user, verb: request.method.toLowerCase(), path }, request, () => 1))
  const caller = bindings.user ?? (await deps.authenticate(request, bindings))
  const user = await impersonated(deps.authorizers, caller, request.headers)
  const info = isApi(path) ? parseResourceRequest(request.method, path, url.searchParams) : undefined
  if (!info) {
    const attempt = { user, verb: request.method === 'HEAD' ? 'get' : request.method.toLowerCase(), path }
    await enter(deps, turn, attempt, request, () => 1)
    await authorize(deps.authorizers, attempt)
    return (await deps.aggregated(request, url, user)) ?? (await page(deps, request, url))
  }
  note(info)
  const resource = deps.core.resources.at(info.apiVersion, info.plural)
  const attempt: Attempt = {
    user,
    verb: info.verb,
    resource: info.plural,
    group: info.group,
    version: info.version,
    subresource: info.subresource,
    namespace: info.plural === 'namespaces' ? info.name : info.namespace,
    name: info.authorizedName,
  }
  if (!isLongRunning(info)) await enter(deps, turn, attempt, request, () => seatsOf(info, url, resource ? deps.sizeOf(resource) : 0))
  await authorize(deps.authorizers, attempt)
  const exchange: Exchange = { request, url, user, info, remarks: turn.remarks }
  for (const route of deps.routes) {
    const response = await route(exchange, resource)
    if (response) return response
  }
  if (!resource || info.rest.length > 1) throw noSuchPath()
  if (info.subresource !== '' && !isPartOf(resource, info.subresource)) throw noSuchPath()
  if (!resource.kind.namespaced && info.namespace !== undefined) throw noSuchPath()
  return withWarning(await deps.handler.handle(resource, exchange), resource.spec.warning)
}

/** Waits for a seat, where there is none at once. */
async function enter(deps: AppDeps, turn: Turn, attempt: Attempt, request: Incoming, seats: () => number): Promise<void> {
  turn.place = deps.fairness.placeOf(attempt)
  const seat = deps.fairness.enter(turn.place, attempt, {
    seats,
    get signal() {
      return request.signal
    },
  })
  turn.seat = seat instanceof Promise ? await seat : seat
}

const streaming = ['attach', 'exec', 'log', 'portforward', 'proxy']
/** As long as somebody looks: these wait for others, and cost the server little. */
const isLongRunning = ({ subresource }: ResourceRequest) => streaming.includes(subresource)

const objectsPerSeat = 100
const mostSeats = 10

/** Reading many objects takes as many seats as Kubernetes counts for it. */
function seatsOf({ verb }: ResourceRequest, { searchParams }: URL, size: number): number {
  if (verb !== 'list' && verb !== 'watch' && verb !== 'deletecollection') return 1
  if (verb === 'watch' && searchParams.has('resourceVersion') && !isTrue(searchParams.get('sendInitialEvents'))) return 1
  const read = Math.min(size, Number(searchParams.get('limit')) || size)
  return Math.min(mostSeats, Math.ceil(read / objectsPerSeat))
}

function withWarning(response: Reply, warning: string | undefined): Reply {
  if (warning) response.headers.append('warning', warningHeader(warning))
  return response
}

/** Whether a subresource is the object itself, seen from one side: its status, or another that takes its own kind. */
function isPartOf({ spec, kind }: Resource, subresource: string): boolean {
  if (subresource === 'status') return spec.status ?? false
  const found = spec.subresources?.find((s) => s.name === subresource)
  return found !== undefined && found.verbs.includes('update') && found.kind.kind === kind.kind && found.kind.group === kind.group
}

const isApi = (path: string) => path.startsWith('/api/') || path.startsWith('/apis/')

async function page(deps: AppDeps, request: Incoming, url: URL): Promise<Reply> {
  const path = withoutEnd(url.pathname, '/') || '/'
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
  }
  const found = deps.pages[path] ?? deps.pages[`/${path.split('/')[1]}/*`]
  if (found) return await found(request, url)
  const document = discoveryDocument(deps.discovery, path, request.headers.get('accept') ?? undefined, url.host)
  if (!document) throw noSuchPath()
  const accept = request.headers.get('accept') ?? undefined
  const aggregated = discoveryVersionOf(accept)
  const isAggregated = aggregated && (path === '/api' || path === '/apis')
  const view = isAggregated ? { format: 'json' as const, as: 'object' as const, version: 'v1' } : viewOf(plainly(accept))
  const response = await answerJson(document, { view, acceptEncoding: request.headers.get('accept-encoding') ?? undefined, warnings: [] })
  if (isAggregated) {
    response.headers.set('content-type', `application/json;g=apidiscovery.k8s.io;v=${aggregated};as=APIGroupDiscoveryList`)
    response.headers.append('vary', 'Accept')
    const etag = `"${createHash('sha256').update(JSON.stringify(document)).digest('hex').toUpperCase()}"`
    response.headers.set('etag', etag)
    response.headers.set('cache-control', 'public')
    if (request.headers.get('if-none-match') === etag) return new Reply(undefined, { status: 304, headers: { etag, vary: 'Accept' } })
  }
  return response
}

/** An Accept header without the clauses that only concern discovery. */
const plainly = (accept: string | undefined): string | undefined =>
  accept
    ?.split(',')
    .filter((clause) => !clause.includes('apidiscovery.k8s.io'))
    .join(',') || undefined

function discoveryDocument(discovery: Discovery, path: string, accept: string | undefined, host: string): object | undefined {
  const aggregated = discoveryVersionOf(accept)
  if (path === '/version') return version
  if (path === '/')
    return { paths: ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/metrics', '/openapi/v2', '/openapi/v3', '/readyz', '/version'] }
  const [, root, group = '', groupVersion] = path.split('/')
  if (root === 'api') {
    if (!group) return aggregated ? discovery.aggregated(true, aggregated) : discovery.coreVersions(host)
    return groupVersion === undefined ? discovery.resources('', group) : undefined
  }
  if (root !== 'apis') return undefined
  if (!group) return aggregated ? discovery.aggregated(false, aggregated) : discovery.groups()
  return groupVersion === undefined ? discovery.group(group) : discovery.resources(group, groupVersion)
}
