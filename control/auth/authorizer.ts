// May this user do this? Authorizers are asked in order; the first that allows decides. Nobody who is
// not named is let in.

import { StatusError } from '#api/errors.ts'
import { masters, type User } from './user.ts'

/** What is attempted: on a resource, or on a path that is none (`/version`). */
export type Attempt = { user: User; verb: string } & (
  | { path: string; resource?: undefined }
  | {
      resource: string
      group: string
      version: string
      subresource: string
      namespace: string | undefined
      name: string | undefined
      path?: undefined
    }
)

export type ResourceAttempt = Extract<Attempt, { resource: string }>

/** Why it is allowed; undefined: no opinion. */
export type Authorizer = (attempt: Attempt) => string | undefined | Promise<string | undefined>

export async function allowedBy(authorizers: readonly Authorizer[], attempt: Attempt): Promise<string | undefined> {
  for (const authorizer of authorizers) {
    const reason = await authorizer(attempt)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Throws Forbidden, in Kubernetes' words. */
export async function authorize(authorizers: readonly Authorizer[], attempt: Attempt): Promise<void> {
  if ((await allowedBy(authorizers, attempt)) === undefined) throw refusal(attempt)
}

export function refusal(attempt: Attempt): StatusError {
  const who = `User ${JSON.stringify(attempt.user.name)} cannot ${attempt.verb}`
  if (attempt.path !== undefined) {
    return new StatusError('Forbidden', `forbidden: ${who} path ${JSON.stringify(attempt.path)}`, {})
  }
  const { resource, group, subresource, namespace, name } = attempt
  const full = group ? `${resource}.${group}` : resource
  const scope = namespace ? `in the namespace ${JSON.stringify(namespace)}` : 'at the cluster scope'
  const what = JSON.stringify(subresource ? `${resource}/${subresource}` : resource)
  const subject = name ? `${full} ${JSON.stringify(name)}` : full
  return new StatusError('Forbidden', `${subject} is forbidden: ${who} resource ${what} in API group ${JSON.stringify(group)} ${scope}`, {
    ...(name && { name }),
    group,
    kind: resource,
  })
}

/** The administrators may do everything. */
export const mastersAuthorizer: Authorizer = ({ user }) => (user.groups.includes(masters) ? `the user is in ${masters}` : undefined)

const openPaths = ['/healthz', '/livez', '/readyz', '/version', '/version/']
const discoveryPaths = ['/api', '/apis', '/openapi', '/version', '/healthz', '/livez', '/readyz']

/** Health and version for everybody, discovery for everybody who is known (system:public-info-viewer, system:discovery). */
export const discoveryAuthorizer: Authorizer = ({ user, verb, path }) => {
  if (path === undefined || verb !== 'get') return undefined
  if (openPaths.some((p) => path === p || (p !== '/version' && path.startsWith(`${p}/`)))) return 'open to everybody'
  if (!user.groups.includes('system:authenticated')) return undefined
  return discoveryPaths.some((p) => path === p || path.startsWith(`${p}/`)) ? 'open to every known user' : undefined
}

const reviews = ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews']

/** Everybody who is known may ask what they may do (system:basic-user). */
export const selfReviewAuthorizer: Authorizer = (attempt) => {
  if (attempt.resource === undefined || attempt.verb !== 'create' || !reviews.includes(attempt.resource)) return undefined
  return attempt.user.groups.includes('system:authenticated') ? 'everybody may ask about themselves' : undefined
}
