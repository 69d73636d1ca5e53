/** Who makes a request, once that is settled. */
export type User = {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

export const masters = 'system:masters'
export const authenticated = 'system:authenticated'

export const anonymous: User = Object.freeze({ name: 'system:anonymous', groups: ['system:unauthenticated'] })
/** The server's own components. */
export const serverUser: User = Object.freeze({ name: 'system:coracle-server', groups: [masters, authenticated] })

const accountPrefix = 'system:serviceaccount:'

export const serviceAccountUser = (namespace: string, name: string, uid?: string): User => ({
  name: `${accountPrefix}${namespace}:${name}`,
  ...(uid && { uid }),
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated],
})

const nodePrefix = 'system:node:'
export const nodesGroup = 'system:nodes'

/** The node that a user speaks for, if it is one. */
export const nodeOf = (user: User): string | undefined =>
  user.groups.includes(nodesGroup) && user.name.startsWith(nodePrefix) ? user.name.slice(nodePrefix.length) : undefined
