// What is asked for, by method and path: a resource, or something else; and so what has to be allowed.

import type { Attempt } from '#control/auth/authorizer.ts'
import type { User } from '#control/auth/user.ts'
import type { ServerStage } from '../env.ts'
import { parseResourceRequest, type ResourceRequest } from '../request.ts'

export const requestInfo: ServerStage = async (c, next) => {
  const { method, url } = c.get('incoming')
  const path = url.pathname
  const user = c.get('user')
  const info = isApi(path) ? parseResourceRequest(method, path, url.searchParams) : undefined
  c.set('info', info)
  const labelSelector = url.searchParams.get('labelSelector')
  c.set(
    'attempt',
    info
      ? { ...attemptOf(info, user), ...(labelSelector !== null && { labelSelector }) }
      : { user, verb: method === 'HEAD' ? 'get' : method.toLowerCase(), path },
  )
  await next()
}

const isApi = (path: string) => path.startsWith('/api/') || path.startsWith('/apis/')

const attemptOf = (info: ResourceRequest, user: User): Attempt => ({
  user,
  verb: info.verb,
  resource: info.plural,
  group: info.group,
  version: info.version,
  subresource: info.subresource,
  namespace: info.plural === 'namespaces' ? info.name : info.namespace,
  name: info.authorizedName,
})
