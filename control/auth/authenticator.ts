// Who is calling: by client certificate, by service account token, or by a static token. No
// credentials at all is the anonymous user; bad ones are refused.

import { StatusError } from '#api/errors.ts'
import { Pod, Secret, ServiceAccount } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Revoked } from './revoked.ts'
import { sameText } from './same-text.ts'
import type { Claims, Tokens } from './tokens.ts'
import { anonymous, authenticated, serviceAccountUser, type User } from './user.ts'

/** What a connection and a request show. */
export type Credentials = {
  /** Of a certificate that was checked against the cluster's authority. */
  certificate?: {
    commonName: string
    organizations: readonly string[]
    serial?: string
    /** When it ends (wall clock, ms): the connection that it opened may stand longer. */
    end?: number
  }
  /** A certificate was shown that is not good. */
  badCertificate?: boolean
  authorization?: string
}

export type AuthenticatorDeps = {
  tokens: Tokens
  staticTokens: readonly { token: string; user: User }[]
  /** Certificates that count no more; asked at each request, also of a connection that stands. */
  revoked: Revoked
  now(this: void): number
  /** What the cache holds; a moment old at worst. */
  peek(this: void, kind: Kind, ref: { namespace?: string; name: string }): KubeObject | undefined
}

export type Authenticator = {
  authenticate(credentials: Credentials): User
  /** The user of a bearer token for one of `audiences` (none: the API server's own); undefined for a bad one. */
  userOfToken(this: void, token: string, audiences?: readonly string[]): { user: User; audiences: readonly string[] } | undefined
}

export const apiAudience = 'https://kubernetes.default.svc.cluster.local'
const unauthorized = () => new StatusError('Unauthorized', 'Unauthorized')

export function authenticator(deps: AuthenticatorDeps): Authenticator {
  const userOfToken: Authenticator['userOfToken'] = (token, audiences = [apiAudience]) => {
    const known = deps.staticTokens.find((s) => sameText(s.token, token))
    if (known) return { user: known.user, audiences: [apiAudience] }
    const claims = deps.tokens.verify(token)
    const shared = claims?.aud.filter((a) => audiences.includes(a)) ?? []
    const user = claims && shared.length > 0 ? userOfClaims(claims, deps.peek) : undefined
    return user && { user, audiences: shared }
  }
  return {
    userOfToken,
    authenticate({ certificate, badCertificate, authorization }) {
      if (certificate?.commonName) {
        if (isOver(certificate, deps.now()) || deps.revoked.has(certificate)) throw unauthorized()
        return { name: certificate.commonName, groups: [...certificate.organizations, authenticated] }
      }
      const bearer = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      if (bearer) {
        const found = userOfToken(bearer)
        if (!found) throw unauthorized()
        return found.user
      }
      if (badCertificate || authorization) throw unauthorized()
      return anonymous
    },
  }
}

/** Also of a connection that was opened while the certificate was good. */
export const isOver = ({ end }: NonNullable<Credentials['certificate']>, now: number): boolean => end !== undefined && end <= now

function userOfClaims(claims: Claims, peek: AuthenticatorDeps['peek']): User | undefined {
  const { namespace, serviceaccount, pod, secret, node } = claims['kubernetes.io']
  const alive = (kind: Kind, bound: { name: string; uid: string }) =>
    peek(kind, { namespace, name: bound.name })?.metadata.uid === bound.uid
  if (!alive(ServiceAccount, serviceaccount)) return undefined
  if (pod && !alive(Pod, pod)) return undefined
  if (secret && !alive(Secret, secret)) return undefined
  const user = serviceAccountUser(namespace, serviceaccount.name, serviceaccount.uid)
  const prefix = 'authentication.kubernetes.io'
  return {
    ...user,
    extra: {
      [`${prefix}/credential-id`]: [`JTI=${claims.jti}`],
      ...(pod && { [`${prefix}/pod-name`]: [pod.name], [`${prefix}/pod-uid`]: [pod.uid] }),
      ...(node && { [`${prefix}/node-name`]: [node.name], [`${prefix}/node-uid`]: [node.uid] }),
    },
  }
}
