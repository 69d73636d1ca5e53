// Service account tokens bound to a pod, by TokenRequest: one per pod, audience and lifetime, renewed
// before it runs out (kubelet's pkg/kubelet/token).

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { ServiceAccount } from '#api/kinds/index.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { VolumeError } from './volume-error.ts'

/** `refreshAt` in monotonic milliseconds. */
export type Token = { token: string; refreshAt: number }
export type TokenOptions = { audience?: string; expirationSeconds?: number }

export interface Tokens {
  /** A token that is good for a while yet. Throws VolumeError. */
  get(pod: Pod, options: TokenOptions, signal?: AbortSignal): Promise<Token>
  forget(uid: string): void
}

const DEFAULT_SECONDS = 3600
/** Renewed when this share of its life is over, or after a day. */
const RENEW_AT = 0.8
const RENEW_AFTER_MS = 24 * 3_600_000

type Issued = Token & { expiresAt: number }

export function tokensOf({ client, clock }: { client: Client; clock: Clock }): Tokens {
  const issued = new Map<string, Map<string, Issued>>()

  async function request(pod: Pod, { audience, expirationSeconds = DEFAULT_SECONDS }: TokenOptions, signal?: AbortSignal): Promise<Issued> {
    const { namespace, name, uid } = pod.metadata
    const askedAt = clock.monotonic()
    const answer = await client.create(
      ServiceAccount,
      {
        metadata: { namespace, name: pod.spec.serviceAccountName || 'default' },
        spec: {
          audiences: audience ? [audience] : [],
          expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
        },
      },
      { subresource: 'token', signal },
    )
    // The life is the server's answer in its own clock, so it is counted from when this node asked.
    const life = (answer.spec?.expirationSeconds ?? expirationSeconds) * 1000
    return {
      token: answer.status.token,
      refreshAt: askedAt + Math.min(life * RENEW_AT, RENEW_AFTER_MS),
      expiresAt: askedAt + life,
    }
  }

  return {
    async get(pod, options, signal) {
      const key = JSON.stringify([options.audience, options.expirationSeconds])
      const ofPod = issued.get(pod.metadata.uid) ?? new Map<string, Issued>()
      issued.set(pod.metadata.uid, ofPod)
      const known = ofPod.get(key)
      const now = clock.monotonic()
      if (known && now < known.refreshAt) return known
      try {
        const fresh = await request(pod, options, signal)
        ofPod.set(key, fresh)
        return fresh
      } catch (error) {
        // While the server is away an old token is better than none, for as long as it is good.
        if (known && now < known.expiresAt) return { token: known.token, refreshAt: now + 10_000 }
        if (isStatus(error)) throw new VolumeError(`failed to fetch token: ${error.message}`, { cause: error })
        throw error
      }
    },
    forget(uid) {
      issued.delete(uid)
    },
  }
}
