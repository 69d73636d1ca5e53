// Requests to registries. On node:http rather than `fetch`: a registry's own CA and client certificate
// cannot be given to the global fetch without the undici package, and blobs need a timeout on silence,
// not on their whole length.

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { getCACertificates } from 'node:tls'
import { HttpAgent, httpRequest } from '../http.ts'

/** PEM texts. */
export type TlsOptions = { ca?: string; cert?: string; key?: string; insecure?: boolean }

export type Answer = { status: number; headers: IncomingHttpHeaders; body: IncomingMessage; url: URL }

export type AskOptions = { headers?: Record<string, string>; tls?: TlsOptions; signal?: AbortSignal }

export interface Http {
  /** GET, following redirects; credentials do not follow to another host. Throws system errors; any status is an answer. */
  get(url: URL, options: AskOptions): Promise<Answer>
  close(): void
}

const mostRedirects = 5

/** `silenceMillis`: how long a connection may say nothing before it counts as dropped (ETIMEDOUT). */
export function openHttp({ silenceMillis }: { silenceMillis: number }): Http {
  const plain = new HttpAgent({ keepAlive: true, proxyEnv: process.env })
  const secure = new Map<string, HttpsAgent>()
  const agentFor = (options: TlsOptions) => {
    const key = JSON.stringify(options)
    let agent = secure.get(key)
    if (!agent) {
      agent = new HttpsAgent({
        keepAlive: true,
        proxyEnv: process.env,
        ca: options.ca ? [...authorities(), options.ca] : authorities(),
        cert: options.cert,
        key: options.key,
        rejectUnauthorized: !options.insecure,
      })
      secure.set(key, agent)
    }
    return agent
  }
  const once = (url: URL, { headers, tls, signal }: AskOptions) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const request =
        url.protocol === 'https:'
          ? httpsRequest(url, { headers, signal, agent: agentFor(tls ?? {}) })
          : httpRequest(url, { headers, signal, agent: plain })
      let body: IncomingMessage | undefined
      request.setTimeout(silenceMillis, () =>
        (body ?? request).destroy(Object.assign(new Error(`${url.host} is silent`), { code: 'ETIMEDOUT' })),
      )
      request.on('error', reject)
      request.on('response', (response) => {
        body = response
        resolve(response)
      })
      request.end()
    })
  return {
    async get(url, options) {
      let { headers } = options
      for (let redirects = 0; ; redirects++) {
        const body = await once(url, { ...options, headers })
        const status = body.statusCode ?? 0
        const { location } = body.headers
        if (![301, 302, 303, 307, 308].includes(status) || !location || redirects === mostRedirects) {
          return { status, headers: body.headers, body, url }
        }
        body.resume()
        const next = new URL(location, url)
        if (next.host !== url.host || next.protocol !== url.protocol) {
          headers = Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => name.toLowerCase() !== 'authorization'))
        }
        url = next
      }
    },
    close() {
      plain.destroy()
      for (const agent of secure.values()) agent.destroy()
    },
  }
}

/** Those the host trusts, as Go programs do; Node's own where the host has none. */
let trusted: string[] | undefined
function authorities(): string[] {
  if (!trusted) {
    const system = getCACertificates('system')
    trusted = system.length > 0 ? system : getCACertificates('bundled')
  }
  return trusted
}
