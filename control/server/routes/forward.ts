// Passes a request on to a server behind, and its answer back: both as streams, whatever they hold.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StatusError } from '#api/errors.ts'
import { type Backend, isHopByHop, isPrivate } from '#api/streaming/backend.ts'

const connectedWithinMs = 10_000

/** Resolves with the head of the answer. Throws ServiceUnavailable where there is none. */
export function forward(request: Request, backend: Backend, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const { host, port, path, tls } = backend
  const outgoing = (tls ? httpsRequest : httpRequest)({
    host,
    port,
    path,
    method: request.method,
    headers: headersFor(request, backend),
    ...tls,
    agent: false,
    signal,
  })
  outgoing.once('socket', (socket) => {
    socket.setTimeout(connectedWithinMs)
    // However long the answer takes then: it may be a watch.
    socket.once(tls ? 'secureConnect' : 'connect', () => socket.setTimeout(0))
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error(`no connection within ${connectedWithinMs / 1000} seconds`)))
  outgoing.on('response', resolve)
  outgoing.on('error', (cause) => reject(unreached(backend, cause)))
  if (request.body) pipeline(Readable.fromWeb(request.body as never), outgoing).catch((cause: Error) => reject(unreached(backend, cause)))
  else outgoing.end()
  return promise
}

const unreached = ({ host, port }: Backend, cause: Error) =>
  new StatusError('ServiceUnavailable', `error trying to reach service: dial tcp ${host}:${port}: ${cause.message}`, undefined, { cause })

function headersFor(request: Request, { headers = {} }: Backend): Record<string, string | string[]> {
  const passed = [...request.headers].filter(([name]) => !isHopByHop(name) && !isPrivate(name) && !name.startsWith(':'))
  // Not every method has a body for Node, and HTTP/2 need not say how long one is.
  if (request.body && !request.headers.has('content-length')) passed.push(['transfer-encoding', 'chunked'])
  return { ...Object.fromEntries(passed), ...headers }
}

/** `change` may turn a header into another, or into none. */
export function answered(
  request: Request,
  answer: IncomingMessage,
  change: (name: string, value: string) => string | undefined = (_, value) => value,
): Response {
  const headers = new Headers()
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const [name = '', value = ''] = answer.rawHeaders.slice(i, i + 2)
    const kept = isHopByHop(name.toLowerCase()) ? undefined : change(name.toLowerCase(), value)
    if (kept !== undefined) headers.append(name, kept)
  }
  const status = answer.statusCode ?? 502
  const isEmpty = request.method === 'HEAD' || [204, 205, 304].includes(status)
  if (isEmpty) answer.resume()
  return new Response(isEmpty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>), { status, headers })
}
