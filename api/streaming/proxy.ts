// Hands an upgraded connection (exec, attach, port-forward) to the server behind, byte for byte: the
// same request and Upgrade headers go there, its 101 comes back, and from then on the two
// sockets are one pipe. Nothing here knows WebSocket or SPDY, so only the far end needs codecs.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { StatusError } from '../errors.ts'
import { type Backend, isPrivate } from './backend.ts'

export type ProxyTarget = Backend & {
  /** How long the target may take to answer the upgrade. */
  timeoutMs?: number
  /** Cuts both sides, e.g. when the server shuts down. */
  signal?: AbortSignal
}

const keepAliveMs = 30_000

/**
 * Proxies an `upgrade` event of an HTTP/1.1 server. Resolves once both sides are closed and never rejects:
 * a refusal of the target is passed on as it is, an unreachable target becomes a Status.
 */
export function proxyUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer, target: ProxyTarget): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const outgoing = (target.tls ? httpsRequest : httpRequest)({
    host: target.host,
    port: target.port,
    path: target.path,
    method: req.method,
    headers: { ...forwardedHeaders(req), ...target.headers },
    ...target.tls,
    agent: false,
    timeout: target.timeoutMs ?? 30_000,
    signal: target.signal,
  })
  socket.on('error', () => outgoing.destroy())
  socket.once('close', () => {
    outgoing.destroy()
    resolve()
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error('timed out waiting for the upgrade')))
  outgoing.on('error', (error) => refuse(socket, error))
  outgoing.on('upgrade', (response, upstream, upstreamHead) => {
    outgoing.setTimeout(0)
    upstream.setNoDelay(true)
    upstream.setKeepAlive(true, keepAliveMs)
    if ('setNoDelay' in socket) (socket as typeof upstream).setNoDelay(true)
    socket.write(`${headLines(response)}\r\n`)
    if (upstreamHead.length > 0) socket.write(upstreamHead)
    if (head.length > 0) upstream.write(head)
    join(socket, upstream, target.signal)
  })
  outgoing.on('response', (response) => {
    socket.write(`${headLines(response, ['connection', 'transfer-encoding', 'keep-alive'])}Connection: close\r\n\r\n`)
    response.pipe(socket)
    response.on('error', () => socket.destroy())
  })
  outgoing.end()
  return promise
}

/** `pipe` passes on an orderly end (half-close included); a side that breaks takes the other with it. */
function join(a: Duplex, b: Duplex, signal?: AbortSignal): void {
  a.pipe(b)
  b.pipe(a)
  const cut = () => {
    a.destroy()
    b.destroy()
  }
  for (const side of [a, b]) side.on('error', cut).once('close', cut)
  if (signal) {
    signal.addEventListener('abort', cut, { once: true })
    a.once('close', () => signal.removeEventListener('abort', cut))
  }
}

function forwardedHeaders(req: IncomingMessage): Record<string, string[]> {
  const headers: Record<string, string[]> = {}
  for (const [name, values] of Object.entries(req.headersDistinct)) if (values && !isPrivate(name)) headers[name] = values
  return headers
}

/** The status line and headers as the target sent them, without the blank line. */
function headLines(response: IncomingMessage, without: string[] = []): string {
  let text = `HTTP/1.1 ${response.statusCode} ${response.statusMessage}\r\n`
  for (let i = 0; i < response.rawHeaders.length; i += 2) {
    const name = response.rawHeaders[i]!
    if (!without.includes(name.toLowerCase())) text += `${name}: ${response.rawHeaders[i + 1]}\r\n`
  }
  return text
}

function refuse(socket: Duplex, error: Error): void {
  if (socket.destroyed || socket.writableEnded) return
  const status = new StatusError('InternalError', `error dialing backend: ${error.message}`).toStatus()
  const body = JSON.stringify(status)
  socket.end(
    `HTTP/1.1 ${status.code} Internal Server Error\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  )
}
