// Calls webhooks: JSON over HTTPS, to an URL or to a service of the cluster, whose certificate is checked
// against the authority that the configuration names.

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { isIP } from 'node:net'
import { StatusError } from '#api/errors.ts'
import type { WebhookClientConfig } from '#api/types/apiextensions-v1.gen.ts'
import type { CallWebhook } from './conversion.ts'

export type Service = { namespace: string; name: string; port: number }
export type WebhookDeps = {
  /** An address behind the service. Throws ServiceUnavailable. */
  resolve(service: Service): Promise<{ host: string; port: number }>
}

const answerWithinMs = 30_000
/** An answer holds as many objects as the question did. */
const mostBytes = 64 * 1024 * 1024

export function webhookCaller(deps: WebhookDeps): CallWebhook {
  return async (config, body) => {
    const { service, url } = config
    const bytes = Buffer.from(JSON.stringify(body))
    const target = service ? await serviceTarget(deps, service) : urlTarget(url ?? '')
    const answer = await post(target, config.caBundle, bytes)
    try {
      return JSON.parse(answer.toString()) as unknown
    } catch (cause) {
      throw new StatusError('ServiceUnavailable', `${target.name} did not answer with JSON`, undefined, { cause })
    }
  }
}

/** `name` for messages and for the certificate. */
type Target = { name: string; servername: string; host: string; port: number; path: string }

async function serviceTarget(deps: WebhookDeps, service: NonNullable<WebhookClientConfig['service']>): Promise<Target> {
  const { namespace, name, path = '/', port = 443 } = service
  const servername = `${name}.${namespace}.svc`
  return { name: `https://${servername}:${port}${path}`, servername, path, ...(await deps.resolve({ namespace, name, port })) }
}

function urlTarget(text: string): Target {
  const url = new URL(text)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { name: text, servername: host, host, port: Number(url.port) || 443, path: url.pathname + url.search }
}

async function post({ name, servername, host, port, path }: Target, caBundle: string | undefined, body: Buffer): Promise<Buffer> {
  const failed = (why: string, cause?: unknown) =>
    new StatusError('ServiceUnavailable', `Post ${JSON.stringify(name)}: ${why}`, undefined, { cause })
  const outgoing = request({
    host,
    port,
    path,
    method: 'POST',
    // An address stands in no server name.
    servername: isIP(servername) ? '' : servername,
    headers: { host: servername, 'content-type': 'application/json', accept: 'application/json', 'content-length': body.length },
    ...(caBundle && { ca: Buffer.from(caBundle, 'base64') }),
    agent: false,
    signal: AbortSignal.timeout(answerWithinMs),
  })
  outgoing.end(body)
  try {
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    const bytes = await read(response)
    if (response.statusCode === 200) return bytes
  } catch (cause) {
    const { name, message } = cause as Error
    throw failed(name === 'AbortError' || name === 'TimeoutError' ? `no answer within ${answerWithinMs / 1000} seconds` : message, cause)
  }
  throw failed('it did not answer with 200 OK')
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > mostBytes) throw new Error(`the answer is larger than ${mostBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
