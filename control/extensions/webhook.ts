// Calls webhooks, for conversion and for admission: JSON over HTTPS, to an URL or to a service of the
// cluster, whose certificate is checked against the authority that the configuration names.
// Connections are kept for the next call.

import { lookup } from 'node:dns'
import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isStatus, StatusError } from '#api/errors.ts'
import { parseExact } from '#api/schema/exact.ts'
import { specialAddress } from '#api/special-address.ts'
import { readWithin } from '#api/streaming/bounded.ts'
import type { WebhookClientConfig } from '#api/types/apiextensions-v1.gen.ts'
import { explain } from './webhook-fault.ts'

export type Service = { namespace: string; name: string; port: number }
export type WebhookDeps = {
  /** An address behind the service. Throws a StatusError. */
  resolve(service: Service): Promise<{ host: string; port: number }>
}

export type CallOptions = {
  /** 30 unless told. */
  timeoutSeconds?: number
  /** Of the answer. */
  mostBytes?: number
}

/** Posts JSON to a webhook and resolves to its answer. Throws ServiceUnavailable. */
export type CallWebhook = (config: WebhookClientConfig, body: object, options?: CallOptions) => Promise<unknown>

export type Webhooks = {
  call: CallWebhook
  close(): void
}

/** An answer holds as many objects as the question did. */
const mostBytes = 64 * 1024 * 1024
const idleMs = 30_000

export function openWebhooks(deps: WebhookDeps): Webhooks {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 4, timeout: idleMs })
  return {
    async call(config, body, { timeoutSeconds = 30, ...options } = {}) {
      const { service, url } = config
      const bytes = Buffer.from(JSON.stringify(body))
      const query = `timeout=${timeoutSeconds}s`
      const target = service ? await serviceTarget(deps, service, query) : urlTarget(url ?? '', query)
      const post = { target, caBundle: config.caBundle, body: bytes, agent, signal: AbortSignal.timeout(timeoutSeconds * 1000) }
      const answer = await answered({ mostBytes, ...options, ...post })
      try {
        return parseExact(answer.toString())
      } catch (cause) {
        throw new StatusError('ServiceUnavailable', `${target.name} did not answer with JSON: ${(cause as Error).message}`, undefined, {
          cause,
        })
      }
    },
    close: () => agent.destroy(),
  }
}

/** `name` for messages, `servername` for the certificate. */
export type Target = { name: string; servername: string; host: string; port: number; path: string }

async function serviceTarget(deps: WebhookDeps, service: NonNullable<WebhookClientConfig['service']>, query: string): Promise<Target> {
  const { namespace, name, port = 443 } = service
  const path = service.path || '/'
  const servername = `${name}.${namespace}.svc`
  const full = `${path}?${query}`
  const target = { name: `https://${servername}:${port}${full}`, servername, path: full }
  try {
    return { ...target, ...(await deps.resolve({ namespace, name, port })) }
  } catch (cause) {
    if (!isStatus(cause)) throw cause
    const isMissing = cause.reason === 'NotFound' && cause.details?.kind === 'services'
    const unavailable = cause.reason === 'NotFound' ? `no endpoints available for service ${JSON.stringify(name)}` : cause.message
    throw unreached(target.name, isMissing ? `service ${JSON.stringify(name)} not found` : unavailable, cause)
  }
}

const unreached = (name: string, why: string, cause: unknown) =>
  new StatusError('ServiceUnavailable', `Post ${JSON.stringify(name)}: ${why}`, undefined, { cause })

function urlTarget(text: string, query: string): Target {
  const url = new URL(text)
  url.search = query
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { name: url.href, servername: host, host, port: Number(url.port) || 443, path: url.pathname + url.search }
}

type Post = {
  target: Target
  caBundle: string | undefined
  body: Buffer
  agent: Agent
  signal: AbortSignal
  mostBytes: number
}

async function answered(post: Post): Promise<Buffer> {
  for (;;) {
    let outgoing: ClientRequest | undefined
    try {
      const sent = send(post)
      outgoing = sent.outgoing
      return await sent.answer
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      // A connection that was kept, and closed at the other end as we took it.
      if (outgoing?.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') && !post.signal.aborted) continue
      const why = post.signal.aborted ? 'context deadline exceeded' : explain(cause as Error, post.target)
      throw unreached(post.target.name, why, cause)
    }
  }
}

function send({ target, caBundle, body, agent, signal, mostBytes: most }: Post) {
  const { servername, host, port, path } = target
  // A name is looked at when it is known what it leads to, at each connection anew.
  if (isIP(host) !== 0 && !mayReach(host)) throw notAllowed()
  const outgoing = request({
    host,
    port,
    path,
    lookup: reachable,
    method: 'POST',
    // An address stands in no server name.
    servername: isIP(servername) ? '' : servername,
    headers: { host: servername, 'content-type': 'application/json', accept: 'application/json', 'content-length': body.length },
    ...(caBundle && { ca: Buffer.from(caBundle, 'base64') }),
    agent,
    signal,
  })
  outgoing.end(body)
  const answer = async () => {
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    const bytes = await readWithin(response, most)
    if (response.statusCode === 200) return bytes
    throw new Error(refusal(response.statusCode ?? 0, bytes))
  }
  return { outgoing, answer: answer() }
}

/**
 * Who configures webhooks may choose any server, as in Kubernetes also one beside this one, on its loopback. Addresses
 * of the link are those of clouds' metadata services, and nobody listens on multicast or unspecified ones.
 */
const mayReach = (address: string): boolean => specialAddress(address)?.includes('loopback') ?? true

const notAllowed = () => Object.assign(new Error('address not allowed'), { code: 'EACCES' })

const reachable: LookupFunction = (host, options, done) =>
  lookup(host, { ...options, all: true }, (error, found) => {
    if (error) return done(error, '')
    const allowed = found.filter(({ address }) => mayReach(address))
    const [first] = allowed
    if (!first) return done(notAllowed(), '')
    if (options.all) done(null, allowed)
    else done(null, first.address, first.family)
  })

const shownBytes = 200

function refusal(code: number, body: Buffer): string {
  if (code < 500) return `the server responded with the status code ${code} but did not return more information`
  const said = JSON.stringify(body.subarray(0, shownBytes).toString().trim() || 'unknown')
  return `an error on the server (${said}) has prevented the request from succeeding`
}
