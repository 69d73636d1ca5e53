// One repository at one registry, read by the distribution API (OCI distribution spec 1.1).

import type { Clock } from '#api/clock.ts'
import { sleep } from '#api/clock.ts'
import { answer } from './auth.ts'
import { digestOf } from './digest.ts'
import type { Answer, Http } from './http.ts'
import type { Credentials } from './images.ts'
import { codeOf, Malformed } from './malformed.ts'
import { manifestTypes, maxMetadataBytes } from './manifest.ts'
import type { Endpoint } from './registries.ts'

/** The registry said no, or could not be reached. */
export class RegistryError extends Error {
  readonly reason: 'notFound' | 'denied' | 'unavailable'
  constructor(reason: RegistryError['reason'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RegistryError'
    this.reason = reason
  }
}

/** Waits before trying again: doubled each time, and forgotten whenever bytes have arrived. */
export type Retry = { attempts: number; millis: number }

type Deps = { http: Http; clock: Clock; retry: Retry; endpoint: Endpoint; credentials: Credentials[] }

export class Repository {
  #deps: Deps
  /** Tried in turn; what worked is kept. */
  #candidates: (Credentials | undefined)[]
  #authorization: string | undefined

  constructor(deps: Deps) {
    this.#deps = deps
    const own = deps.endpoint.credentials
    this.#candidates = [...deps.credentials, ...(own ? [own] : []), undefined]
  }

  /** A manifest or index by tag or digest, verified if by digest. Throws RegistryError, Malformed. */
  async manifest(tagOrDigest: string, signal: AbortSignal): Promise<Buffer> {
    const content = await this.#whole(`manifests/${tagOrDigest}`, { accept: manifestTypes.join(', ') }, signal)
    if (tagOrDigest.includes(':') && digestOf(content) !== tagOrDigest) throw new Malformed(`manifest ${tagOrDigest}: wrong digest`)
    return content
  }

  /** A small blob, verified. Throws RegistryError, Malformed. */
  async metadata(digest: string, signal: AbortSignal): Promise<Buffer> {
    const content = await this.#whole(`blobs/${digest}`, {}, signal)
    if (digestOf(content) !== digest) throw new Malformed(`blob ${digest}: wrong digest`)
    return content
  }

  /** A blob's bytes, not verified; a dropped connection goes on where it ended. Throws RegistryError, Malformed. */
  async *blob(digest: string, size: number, signal: AbortSignal): AsyncGenerator<Buffer> {
    let offset = 0
    let failures = 0
    while (offset < size) {
      try {
        const found = await this.#get(`blobs/${digest}`, offset > 0 ? { range: `bytes=${offset}-` } : {}, signal)
        // A registry that knows no ranges starts over.
        let skip = found.status === 206 ? 0 : offset
        for await (const chunk of found.body as AsyncIterable<Buffer>) {
          const fresh = chunk.subarray(Math.min(skip, chunk.length))
          skip -= chunk.length - fresh.length
          if (fresh.length === 0) continue
          offset += fresh.length
          failures = 0
          yield fresh
        }
        if (offset < size) throw new RegistryError('unavailable', `${this.#host} ended blob ${digest} at ${offset} of ${size} bytes`)
      } catch (error) {
        await this.#again(error, ++failures, signal)
      }
    }
  }

  get #host(): string {
    return this.#deps.endpoint.base.host
  }

  async #whole(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Buffer> {
    for (let failures = 0; ; ) {
      try {
        const { body } = await this.#get(path, headers, signal)
        const parts: Buffer[] = []
        let size = 0
        for await (const part of body as AsyncIterable<Buffer>) {
          size += part.length
          if (size > maxMetadataBytes) throw new Malformed(`${path}: more than ${maxMetadataBytes} bytes`)
          parts.push(part)
        }
        return Buffer.concat(parts, size)
      } catch (error) {
        await this.#again(error, ++failures, signal)
      }
    }
  }

  /** Resolves when it is time to try again; throws what cannot be helped. */
  async #again(error: unknown, failures: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const failure = toRegistryError(this.#host, error)
    if (!(failure instanceof RegistryError) || failure.reason !== 'unavailable') throw failure
    const { attempts, millis } = this.#deps.retry
    if (failures >= attempts) throw failure
    await sleep(this.#deps.clock, millis * 2 ** (failures - 1), signal)
    signal.throwIfAborted()
  }

  async #get(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    const { http, endpoint } = this.#deps
    const url = new URL(`v2/${endpoint.repository}/${path}`, endpoint.base)
    for (let answered = false; ; answered = true) {
      const authorization: Record<string, string> = this.#authorization ? { authorization: this.#authorization } : {}
      const found = await http.get(url, { headers: { ...headers, ...authorization }, tls: endpoint.tls, signal })
      if (found.status === 200 || found.status === 206) return found
      found.body.resume()
      if (found.status !== 401) throw refusal(this.#host, found.status)
      // A token may have run out, and is asked for again; one that is refused when new is not enough.
      if (answered) this.#candidates.shift()
      this.#authorization = await this.#authorize(found.headers['www-authenticate'] ?? '', signal)
    }
  }

  /** With the next credentials that have an answer, down to being nobody. */
  async #authorize(challenge: string, signal: AbortSignal): Promise<string> {
    const { http, endpoint } = this.#deps
    for (; this.#candidates.length > 0; this.#candidates.shift()) {
      const credentials = this.#candidates[0]
      const found = await answer(http, challenge, { repository: endpoint.repository, credentials, tls: endpoint.tls, signal })
      if (found) return found
    }
    throw new RegistryError('denied', 'pull access denied, repository does not exist or may require authorization')
  }
}

function refusal(host: string, status: number): RegistryError {
  if (status === 404) return new RegistryError('notFound', 'not found')
  if (status === 403) return new RegistryError('denied', 'pull access denied, repository does not exist or may require authorization')
  if (status === 429) return new RegistryError('unavailable', `${host}: too many requests`)
  if (status >= 500) return new RegistryError('unavailable', `${host} answered ${status}`)
  return new RegistryError('denied', `${host} answered ${status}`)
}

/** Errors of the network become `unavailable`; ours pass. */
function toRegistryError(host: string, error: unknown): unknown {
  const code = codeOf(error)
  if (error instanceof RegistryError || error instanceof Malformed || code === '') return error
  if (/^(CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS|HOSTNAME_|EPROTO)/.test(code)) {
    return new RegistryError('denied', `tls: failed to verify the certificate of ${host} (${code})`, { cause: error })
  }
  return new RegistryError('unavailable', `${host} cannot be reached (${code})`, { cause: error })
}
