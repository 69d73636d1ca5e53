// Service account tokens bound to a pod, by TokenRequest: one per pod, audience and lifetime, renewed
// before it runs out (kubelet's pkg/kubelet/token). One that cannot be renewed, because the server does not answer, is
// kept: a pod without its files would not start at all.

import type { Client } from '#api/client/client.ts'
import { type Clock, sleep } from '#api/clock.ts'
import { isStatus, type Reason, StatusError } from '#api/errors.ts'
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

/** The server does not answer, or cannot. */
const away: readonly Reason[] = ['ServiceUnavailable', 'Timeout', 'ServerTimeout', 'TooManyRequests', 'InternalError']
const DEFAULT_SECONDS = 3600
/** Renewed when this share of its life is over, or after a day. */
const RENEW_AT = 0.8
const RENEW_AFTER_MS = 24 * 3_600_000
/** What the server has to answer before a token of an earlier agent counts, and when it is asked again. */
const PATIENCE_MS = 1_000
const AGAIN_MS = 10_000
const AGAIN_LATE_MS = 60_000

type Issued = Token & { expiresAt: number }

/** Tokens as the last agent had them, by pod uid and what was asked for. */
export interface KeptTokens {
  recall(uid: string, key: string): string | undefined
  keep(uid: string, key: string, token: string): void
  forget(uid: string): void
}

export type TokensDeps = {
  client: Client
  clock: Clock
  kept?: KeptTokens
  /** The token of this pod could not be renewed and may have run out; told once, until it is. */
  onStale?: (pod: Pod, why: string) => void
}

export function tokensOf({ client, clock, kept, onStale }: TokensDeps): Tokens {
  const issued = new Map<string, Map<string, Issued>>()
  const stale = new Set<string>()

  /** With one of an earlier agent in hand the server is not waited for. */
  async function renewed(pod: Pod, options: TokenOptions, signal: AbortSignal | undefined, patience: number | undefined): Promise<Issued> {
    if (patience === undefined) return await request(pod, options, signal)
    const late = new AbortController()
    const done = new AbortController()
    void sleep(clock, patience, done.signal).then(() => late.abort(new StatusError('Timeout', 'the server did not answer in time')))
    try {
      return await request(pod, options, signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } finally {
      done.abort()
    }
  }

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
      const { uid } = pod.metadata
      const recalled = known ? undefined : kept?.recall(uid, key)
      try {
        const fresh = await renewed(pod, options, signal, recalled === undefined ? undefined : PATIENCE_MS)
        ofPod.set(key, fresh)
        kept?.keep(uid, key, fresh.token)
        stale.delete(uid)
        return fresh
      } catch (error) {
        signal?.throwIfAborted()
        // While the server is away an old token is better than none.
        if (known && now < known.expiresAt) return { token: known.token, refreshAt: now + AGAIN_MS }
        const last = known?.token ?? recalled
        if (last !== undefined && isStatus(error, ...away)) {
          if (!stale.has(uid)) onStale?.(pod, error.message)
          stale.add(uid)
          return { token: last, refreshAt: now + (known ? AGAIN_LATE_MS : AGAIN_MS) }
        }
        if (isStatus(error)) throw new VolumeError(`failed to fetch token: ${error.message}`, { cause: error })
        throw error
      }
    },
    forget(uid) {
      issued.delete(uid)
      stale.delete(uid)
      kept?.forget(uid)
    },
  }
}
