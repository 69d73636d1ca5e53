// Who we are to a registry: the challenge of a 401 answer (RFC 9110, section 11) and what satisfies it,
// by the distribution project's token protocol or HTTP Basic.

import type { Http, TlsOptions } from './http.ts'
import type { Credentials } from './images.ts'

export type Challenge = { scheme: string; parameters: Record<string, string> }

/** Challenges of one WWW-Authenticate header. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = []
  const token = /\s*,?\s*(?:([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w!#$%&'*+.^`|~-]+))/y
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, name, quoted, plain, scheme] = match
    if (scheme) challenges.push({ scheme: scheme.toLowerCase(), parameters: {} })
    else if (name) {
      const last = challenges.at(-1)
      if (last) last.parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? plain ?? ''
    }
  }
  return challenges
}

/**
 * The Authorization header that answers `header` for reading `repository`; undefined if there is none for
 * these credentials. Throws system errors of the token server.
 */
export async function answer(
  http: Http,
  header: string,
  options: { repository: string; credentials?: Credentials; tls: TlsOptions; signal?: AbortSignal },
): Promise<string | undefined> {
  const challenges = parseChallenges(header)
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  if (bearer?.parameters['realm']) return token(http, bearer, options)
  if (challenges.some(({ scheme }) => scheme === 'basic') && options.credentials) return basic(options.credentials)
  return undefined
}

async function token(http: Http, { parameters }: Challenge, options: Parameters<typeof answer>[2]): Promise<string | undefined> {
  const url = new URL(parameters['realm']!)
  if (parameters['service']) url.searchParams.set('service', parameters['service'])
  url.searchParams.set('scope', parameters['scope'] ?? `repository:${options.repository}:pull`)
  if (options.credentials) url.searchParams.set('account', options.credentials.username)
  const headers: Record<string, string> = options.credentials ? { authorization: basic(options.credentials) } : {}
  const { status, body } = await http.get(url, { headers, tls: options.tls, signal: options.signal })
  const parts: Buffer[] = []
  for await (const part of body as AsyncIterable<Buffer>) if (parts.length < 64) parts.push(part)
  if (status !== 200) return undefined
  try {
    const found: unknown = JSON.parse(Buffer.concat(parts).toString())
    if (typeof found !== 'object' || found === null) return undefined
    const value = 'token' in found ? found.token : 'access_token' in found ? found.access_token : undefined
    return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) ? `Bearer ${value}` : undefined
  } catch {
    return undefined
  }
}

const basic = ({ username, password }: Credentials) => `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
