// Acting as somebody else (`kubectl --as`): for those who may impersonate each name, group, uid and further fact
// that is asked for. What is asked for and not understood is refused: nobody acts as less than they asked.

import { StatusError } from '#api/errors.ts'
import { type Authorizer, authorize } from './authorizer.ts'
import { anonymous, authenticated, serviceAccountUser, type User } from './user.ts'

type Headers = {
  get(name: string): string | null
  /** As often as it was sent. */
  all(name: string): string[]
  [Symbol.iterator](): Iterator<[string, string]>
}

const prefix = 'impersonate-'
const extraPrefix = `${prefix}extra-`
const [unauthenticated = ''] = anonymous.groups

/** The user that the headers ask for, or `user` itself. Throws Forbidden, and BadRequest for what cannot be asked. */
export async function impersonated(authorizers: readonly Authorizer[], user: User, headers: Headers): Promise<User> {
  const asked = [...headers].map(([header]) => header.toLowerCase()).filter((header) => header.startsWith(prefix))
  if (asked.length === 0) return user
  const { name, uid, groups, extra } = read(headers, asked)
  const [, namespace, account] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name) ?? []
  const ask = (group: string, resource: string, what: string, more: { subresource?: string; namespace?: string | undefined } = {}) =>
    authorize(authorizers, {
      user,
      verb: 'impersonate',
      group,
      version: 'v1',
      resource,
      name: what,
      subresource: more.subresource ?? '',
      namespace: more.namespace,
    })
  if (account) await ask('', 'serviceaccounts', account, { namespace })
  else await ask('', 'users', name)
  for (const group of groups) await ask('', 'groups', group)
  if (uid) await ask('authentication.k8s.io', 'uids', uid)
  for (const [key, values] of extra)
    for (const value of values) await ask('authentication.k8s.io', 'userextras', value, { subresource: key })
  return {
    name,
    ...(uid && { uid }),
    groups: groupsOf(name, groups.length === 0 && account ? serviceAccountUser(namespace ?? '', account).groups : groups),
    ...(extra.size > 0 && { extra: Object.fromEntries(extra) }),
  }
}

/** Who is not anonymous is authenticated, unless the groups say something else about that. */
function groupsOf(name: string, groups: readonly string[]): string[] {
  const own =
    groups.includes(authenticated) || groups.includes(unauthenticated) ? [] : [name === anonymous.name ? unauthenticated : authenticated]
  return [...new Set([...groups, ...own])]
}

function read(headers: Headers, asked: readonly string[]) {
  const refuse = (why: string) => new StatusError('BadRequest', why)
  const [name = '', ...names] = headers.all(`${prefix}user`)
  const [uid, ...uids] = headers.all(`${prefix}uid`)
  if (names.length + uids.length > 0) throw refuse('Impersonate-User and Impersonate-Uid can be given once')
  const extra = new Map<string, string[]>()
  for (const header of asked) {
    if (header.startsWith(extraPrefix)) {
      const key = decoded(header.slice(extraPrefix.length))
      if (!key) throw refuse(`${header} names no key`)
      extra.set(key, [...(extra.get(key) ?? []), ...headers.all(header)])
    } else if (![`${prefix}user`, `${prefix}group`, `${prefix}uid`].includes(header)) throw refuse(`${header} is not known`)
  }
  if (!name) throw refuse(`requested [${asked.join(' ')}] without impersonating a user`)
  return { name, uid, groups: headers.all(`${prefix}group`), extra }
}

/** Keys are percent-encoded where a header's name cannot hold them. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}
