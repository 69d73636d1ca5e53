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
      /** Of a list or watch: as it was asked for. */
      labelSelector?: string
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

const healthPaths = ['/healthz', '/livez', '/readyz']

/** Health for everybody, even while there are no roles yet that would say so. */
export const healthAuthorizer: Authorizer = ({ verb, path }) =>
  verb === 'get' && healthPaths.some((p) => path === p || path?.startsWith(`${p}/`)) ? 'open to everybody' : undefined
