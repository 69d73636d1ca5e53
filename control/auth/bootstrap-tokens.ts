// Join tokens are Secrets of kube-system, in the form that Kubernetes gives to bootstrap tokens: so they survive a
// restart, and are listed, ended and revoked as every other object. One may be made for a single node.

import { Secret } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { sameText } from './same-text.ts'

export const bootstrapTokenType = 'bootstrap.kubernetes.io/token'
export const tokenNamespace = 'kube-system'
export const nameOfToken = (id: string): string => `bootstrap-token-${id}`

export type BootstrapToken = {
  id: string
  /** The only node that may join with it; absent: any that the cluster does not know yet. */
  node?: string
}

export type BootstrapTokens = {
  /** The token that a bearer shows, if it is one and its time is not over. */
  verify(bearer: string): BootstrapToken | undefined
}

const form = /^K10[0-9a-f]{64}::([a-z0-9]{6})\.([a-z0-9]{16})$/

type Deps = { peek: (kind: Kind, ref: { namespace: string; name: string }) => KubeObject | undefined; now: () => number }

export const bootstrapTokens = ({ peek, now }: Deps): BootstrapTokens => ({
  verify(bearer) {
    const [, id = '', secret = ''] = form.exec(bearer) ?? []
    if (!id) return undefined
    const found: Secret | undefined = peek(Secret, { namespace: tokenNamespace, name: nameOfToken(id) })
    const field = (name: string) => Buffer.from(found?.data?.[name] ?? '', 'base64').toString()
    // Compared also where there is none: how long that takes tells nobody which there are.
    const isRight = sameText(secret, field('token-secret'))
    if (!isRight || found?.type !== bootstrapTokenType || field('token-id') !== id) return undefined
    if (field('usage-bootstrap-authentication') !== 'true' || endOf(field('expiration')) <= now()) return undefined
    const node = field('node-name')
    return { id, ...(node && { node }) }
  },
})

/** Milliseconds since the epoch; a token that does not say when it ends has no end, one that says it badly has ended. */
export function endOf(expiration: string): number {
  if (expiration === '') return Number.POSITIVE_INFINITY
  const end = Date.parse(expiration)
  return Number.isNaN(end) ? 0 : end
}
