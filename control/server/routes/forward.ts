// Passes a request on to a server behind, and its answer back: both as streams, whatever they hold.

import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { pipeline } from 'node:stream/promises'
import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { Reply } from '#api/http/reply.ts'
import { type Backend, isHopByHop, isPrivate } from '#api/streaming/backend.ts'

const connectedWithinMs = 10_000

/** Resolves with the head of the answer. Throws ServiceUnavailable where there is none. */
export function forward(request: Incoming, backend: Backend): Promise<IncomingMessage> {
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
    signal: request.signal,
  })
  outgoing.once('socket', (socket) => {
    socket.setTimeout(connectedWithinMs)
    // However long the answer takes then: it may be a watch.
    socket.once(tls ? 'secureConnect' : 'connect', () => socket.setTimeout(0))
  })
  outgoing.on('timeout', () => outgoing.destroy(new Error(`no connection within ${connectedWithinMs / 1000} seconds`)))
  outgoing.on('response', resolve)
  outgoing.on('error', (cause) => reject(unreached(backend, cause)))
  if (request.body) pipeline(request.body, outgoing).catch((cause: Error) => reject(unreached(backend, cause)))
  else outgoing.end()
  return promise
}

const unreached = ({ host, port }: Backend, cause: Error) =>
  new StatusError('ServiceUnavailable', `error trying to reach service: dial tcp ${host}:${port}: ${cause.message}`, undefined, { cause })

function headersFor(request: Incoming, { headers = {} }: Backend): Record<string, string | string[]> {
  const passed = [...request.headers].filter(([name]) => !isHopByHop(name) && !isPrivate(name) && !name.startsWith(':'))
  // Not every method has a body for Node, and HTTP/2 need not say how long one is.
  if (request.body && request.headers.get('content-length') === null) passed.push(['transfer-encoding', 'chunked'])
  return { ...Object.fromEntries(passed), ...headers }
}

/** `change` may turn a header into another, or into none. */
export function answered(
  request: Incoming,
  answer: IncomingMessage,
  change: (name: string, value: string) => string | undefined = (_, value) => value,
): Reply {
  const reply = new Reply(isEmpty(request, answer) ? undefined : answer, { status: answer.statusCode ?? 502 })
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const [name = '', value = ''] = answer.rawHeaders.slice(i, i + 2)
    const kept = isHopByHop(name.toLowerCase()) ? undefined : change(name.toLowerCase(), value)
    if (kept !== undefined) reply.headers.append(name.toLowerCase(), kept)
  }
  if (!reply.body) answer.resume()
  return reply
}

const isEmpty = ({ method }: Incoming, { statusCode = 0 }: IncomingMessage): boolean =>
  method === 'HEAD' || [204, 205, 304].includes(statusCode)
