// Makes the roles and bindings that every cluster has, and gives back to them what they lost, unless
// somebody switched that off for one of them.

import type { Client } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { ClusterRole, ClusterRoleBinding } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { autoupdate, defaultBindings, defaultRoles } from '#control/auth/default-roles.ts'
import { compacted, uncovered } from '#control/auth/rbac-cover.ts'

export async function ensureRoles(client: Client): Promise<void> {
  const [roles, bindings] = await Promise.all([client.list(ClusterRole), client.list(ClusterRoleBinding)])
  const role = byName(roles.items)
  const binding = byName(bindings.items)
  await Promise.all([
    ...defaultRoles().map(async (wanted) => {
      const there = role.get(wanted.metadata.name)
      if (!there) return await unlessThere(client.create(ClusterRole, wanted))
      const missing = compacted(uncovered(there.rules ?? [], wanted.rules))
      if (isKept(there) && missing.length > 0) await client.update(ClusterRole, { ...there, rules: [...(there.rules ?? []), ...missing] })
    }),
    ...defaultBindings().map(async (wanted) => {
      const there = binding.get(wanted.metadata.name)
      if (!there) return await unlessThere(client.create(ClusterRoleBinding, wanted))
      const subjects = there.subjects ?? []
      const missing = (wanted.subjects ?? []).filter((s) => !subjects.some((t) => same(s, t)))
      if (isKept(there) && missing.length > 0) await client.update(ClusterRoleBinding, { ...there, subjects: [...subjects, ...missing] })
    }),
  ])
}

const byName = <T extends KubeObject>(objects: readonly T[]) => new Map(objects.map((object) => [object.metadata.name, object]))
const isKept = ({ metadata }: KubeObject) => metadata.annotations?.[autoupdate] === 'true'

async function unlessThere(made: Promise<unknown>): Promise<void> {
  await made.catch((error: unknown) => {
    if (!isStatus(error, 'AlreadyExists')) throw error
  })
}
