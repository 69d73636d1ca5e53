// What a request asks for, read from its method and path (apiserver pkg/endpoints/request RequestInfo).

import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import type { User } from '#control/auth/user.ts'

export type ResourceRequest = {
  /** As in objects: `v1`, `apps/v1`. */
  apiVersion: string
  group: string
  version: string
  namespace: string | undefined
  plural: string
  /** Absent: the collection. */
  name: string | undefined
  subresource: string
  /** What follows the subresource, as it came, with its leading slash; of use to proxies and servers behind only. */
  rest: string
  verb: string
  /** What is asked for by name: a list or watch of one object by field selector counts, too. */
  authorizedName: string | undefined
}

/** What is said about a request while it is answered. */
export type Remarks = {
  /** For Warning headers, whatever the answer. */
  warnings: string[]
  /** For the audit log. */
  annotations: Map<string, string>
}

/** A request on its way: who asks for what. */
export type Exchange = { request: Incoming; url: URL; user: User; info: ResourceRequest; remarks: Remarks }

const namespaceSubresources = ['status', 'finalize']

/** `path` starts with `/api/` or `/apis/`, and is as it came: not decoded. Undefined for discovery documents. */
export function parseResourceRequest(method: string, path: string, query: URLSearchParams): ResourceRequest | undefined {
  const raw = path.split('/').slice(1)
  if (raw.at(-1) === '') raw.pop()
  const part = (at: number) => (raw[at] === undefined ? undefined : decode(raw[at]))
  const core = raw[0] === 'api'
  const group = core ? '' : (part(1) ?? '')
  const version = part(core ? 1 : 2) ?? ''
  let at = core ? 2 : 3
  // The old form of a watch, /api/v1/watch/namespaces/default/pods/one: still among Kubernetes' paths.
  const watched = method === 'GET' && raw[at] === 'watch' && raw.length > at + 1
  if (watched) raw.splice(at, 1)
  if (raw.length <= at) return undefined
  let namespace: string | undefined
  if (raw[at] === 'namespaces' && raw.length > at + 2 && !(core && namespaceSubresources.includes(raw[at + 2] ?? ''))) {
    namespace = part(at + 1)
    at += 2
  }
  // Whoever leaves out the name of a namespace must not mean all of them.
  if (raw.slice(0, at + 3).includes('')) throw noSuchPath()
  const [plural = '', name, subresource = ''] = [part(at), part(at + 1), part(at + 2)]
  // As it came: it is passed on.
  const rest = path.split('/').slice(at + 4)
  const verb = watched ? 'watch' : verbOf(method, name, query)
  return {
    apiVersion: group ? `${group}/${version}` : version,
    group,
    version,
    namespace,
    plural,
    name,
    subresource,
    rest: rest.length > 0 ? `/${rest.join('/')}` : '',
    verb,
    authorizedName: name ?? (verb === 'list' || verb === 'watch' ? selectedName(query.get('fieldSelector')) : undefined),
  }
}

/** The path without what follows the subresource. */
export const rootOf = (path: string, { rest }: ResourceRequest): string => path.slice(0, path.length - rest.length)

export const noSuchPath = () => new StatusError('NotFound', 'the server could not find the requested resource')

function verbOf(method: string, name: string | undefined, query: URLSearchParams): string {
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (isTrue(query.get('watch'))) return 'watch'
      return name === undefined ? 'list' : 'get'
    case 'POST':
      return 'create'
    case 'PUT':
      return 'update'
    case 'PATCH':
      return 'patch'
    case 'DELETE':
      return name === undefined ? 'deletecollection' : 'delete'
    default:
      return method.toLowerCase()
  }
}

const selectedName = (selector: string | null): string | undefined =>
  selector
    ?.split(',')
    .find((term) => /^metadata\.name==?[^=]/.test(term))
    ?.replace(/^metadata\.name==?/, '')

/** As Kubernetes reads a parameter: whatever is there and does not say no (`?watch`, `watch=True`). */
export const isTrue = (value: string | null): boolean => value !== null && !['false', '0'].includes(value.toLowerCase())

function decode(part: string): string {
  let text: string
  try {
    text = decodeURIComponent(part)
  } catch {
    throw new StatusError('BadRequest', `the path has a segment that is not valid percent-encoding: ${part}`)
  }
  if (text.includes('/') || text === '..' || text === '.' || text.includes('\0')) {
    throw new StatusError('BadRequest', `invalid path segment ${JSON.stringify(text)}`)
  }
  return text
}
