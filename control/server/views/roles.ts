// The roles and bindings for the authorizer, from the cache.

import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Roles } from '#control/auth/rbac.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import { keyFor, type Resources } from '../objects/resource.ts'

export function cachedRoles({ cache, resources }: { cache: WatchCache; resources: Resources }): Roles {
  const get = <T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): T | undefined => {
    const resource = resources.of(kind)
    return cache.of(resource).get(keyFor(resource, namespace, name))?.object as T | undefined
  }
  function* all<T extends KubeObject>(kind: Kind<T>, namespace?: string): Generator<T> {
    const resource = resources.of(kind)
    const prefix = namespace === undefined ? resource.prefix : `${resource.prefix}${namespace}/`
    for (const item of cache.of(resource).under(prefix)) yield item.object as T
  }
  return {
    clusterRole: (name) => get(ClusterRole, name),
    role: (namespace, name) => get(Role, name, namespace),
    clusterRoleBindings: () => all(ClusterRoleBinding),
    roleBindings: (namespace) => all(RoleBinding, namespace),
  }
}
