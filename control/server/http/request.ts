// What a request asks for, read from its method and path (apiserver pkg/endpoints/request RequestInfo).

import { StatusError } from '#api/errors.ts'
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
  /** What follows the subresource, for proxies; with its leading slash. */
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
export type Exchange = { request: Request; url: URL; user: User; info: ResourceRequest; signal: AbortSignal; remarks: Remarks }

const namespaceSubresources = ['status', 'finalize']

/** `path` starts with `/api/` or `/apis/`, and is as it came: not decoded. Undefined for discovery documents. */
export function parseResourceRequest(method: string, path: string, query: URLSearchParams): ResourceRequest | undefined {
  const parts = path.split('/').slice(1).map(decode)
  if (parts.at(-1) === '') parts.pop()
  const core = parts[0] === 'api'
  const group = core ? '' : (parts[1] ?? '')
  const version = (core ? parts[1] : parts[2]) ?? ''
  let at = core ? 2 : 3
  if (parts.length <= at) return undefined
  let namespace: string | undefined
  if (parts[at] === 'namespaces' && parts.length > at + 2 && !(core && namespaceSubresources.includes(parts[at + 2] ?? ''))) {
    namespace = parts[at + 1]
    at += 2
  }
  const [plural = '', name, subresource = '', ...rest] = parts.slice(at)
  const verb = verbOf(method, name, query)
  const isProxy = subresource === 'proxy'
  if (rest.length > 0 && !isProxy) throw noSuchPath()
  return {
    apiVersion: group ? `${group}/${version}` : version,
    group,
    version,
    namespace,
    plural,
    name,
    subresource,
    rest: isProxy
      ? path
          .split('/')
          .slice(at + 4)
          .map((part) => `/${part}`)
          .join('')
      : '',
    verb,
    authorizedName: name ?? (verb === 'list' || verb === 'watch' ? selectedName(query.get('fieldSelector')) : undefined),
  }
}

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
