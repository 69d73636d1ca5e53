// Service account tokens: JSON web tokens signed with ES256 (RFC 7515, 7518, 7519), with Kubernetes'
// claims. A token dies with its time, its account, and the pod or secret it is bound to.

import { createPrivateKey, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto'
import { isObject } from '#api/schema/decode.ts'

export const issuer = 'https://kubernetes.default.svc.cluster.local'

export type BoundObject = { name: string; uid: string }
export type Claims = {
  iss: string
  sub: string
  aud: string[]
  /** Seconds since the epoch. */
  exp: number
  iat: number
  nbf: number
  jti: string
  'kubernetes.io': {
    namespace: string
    serviceaccount: BoundObject
    pod?: BoundObject
    secret?: BoundObject
    node?: BoundObject
  }
}

export type TokenRequest = {
  namespace: string
  account: BoundObject
  audiences: readonly string[]
  seconds: number
  pod?: BoundObject
  secret?: BoundObject
  node?: BoundObject
}

export type Tokens = {
  issue(request: TokenRequest): { token: string; claims: Claims }
  /** The claims of a token that we signed and whose time is now; undefined for anything else. */
  verify(token: string): Claims | undefined
  /** For others to check tokens with: JSON Web Key Set. */
  keys(): object
}

const longest = 16 * 1024

export function openTokens({ key, now }: { key: string; now: () => number }): Tokens {
  const privateKey = createPrivateKey(key)
  const publicKey = createPublicKey(privateKey)
  const keyId = keyIdOf(publicKey)
  const header = encode({ alg: 'ES256', kid: keyId, typ: 'JWT' })
  return {
    issue(request) {
      const issued = Math.floor(now() / 1000)
      const { namespace, account, pod, secret, node } = request
      const claims: Claims = {
        iss: issuer,
        sub: `system:serviceaccount:${namespace}:${account.name}`,
        aud: [...request.audiences],
        exp: issued + request.seconds,
        iat: issued,
        nbf: issued,
        jti: randomUUID(),
        'kubernetes.io': { namespace, serviceaccount: account, ...(pod && { pod }), ...(secret && { secret }), ...(node && { node }) },
      }
      const signed = `${header}.${encode(claims)}`
      const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return { token: `${signed}.${signature.toString('base64url')}`, claims }
    },
    verify(token) {
      const parts = token.split('.')
      const [head, body, signature] = parts
      if (parts.length !== 3 || token.length > longest || !head || !body || !signature) return undefined
      const { alg } = decode(head) ?? {}
      // Only what we sign with: the header must not choose.
      if (alg !== 'ES256') return undefined
      const genuine = verify(
        'sha256',
        Buffer.from(`${head}.${body}`),
        { key: publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      )
      if (!genuine) return undefined
      const claims = decode(body) as Claims | undefined
      const seconds = now() / 1000
      return claims && claims.iss === issuer && claims.exp > seconds && claims.nbf <= seconds + 60 ? claims : undefined
    },
    keys: () => ({ keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: keyId }] }),
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function decode(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const keyIdOf = (key: KeyObject): string =>
  Buffer.from(key.export({ type: 'spki', format: 'der' }))
    .subarray(-32)
    .toString('base64url')
