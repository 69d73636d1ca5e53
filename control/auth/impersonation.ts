// Acting as somebody else (`kubectl --as`): for those who may impersonate each name that is asked for.

import { type Authorizer, authorize } from './authorizer.ts'
import { authenticated, type User } from './user.ts'

/** The user that the headers ask for, or `user` itself. Throws Forbidden. */
export async function impersonated(
  authorizers: readonly Authorizer[],
  user: User,
  headers: { get(name: string): string | null },
): Promise<User> {
  const name = headers.get('impersonate-user')
  const groups =
    headers
      .get('impersonate-group')
      ?.split(',')
      .map((g) => g.trim()) ?? []
  if (!name && groups.length === 0) return user
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name ?? '')
  const ask = (resource: string, what: string, namespace?: string) =>
    authorize(authorizers, { user, verb: 'impersonate', resource, group: '', version: 'v1', subresource: '', namespace, name: what })
  if (account) await ask('serviceaccounts', account[2] ?? '', account[1])
  else await ask('users', name ?? '')
  for (const group of groups) await ask('groups', group)
  const own = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`] : []
  return { name: name ?? '', groups: [...new Set([...groups, ...own, authenticated])] }
}
