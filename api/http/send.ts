// A reply on Node's own response, over HTTP/1.1 and HTTP/2, as fast as the client reads it.

import { constants } from 'node:http2'
import type { NodeRequest, NodeResponse } from './incoming.ts'
import type { Chunks, Reply } from './reply.ts'

/** Rejects only for an answer that HTTP cannot carry. */
export async function send({ status, headers, body }: Reply, request: NodeRequest, response: NodeResponse): Promise<void> {
  const isWhole = body === undefined || body instanceof Uint8Array
  const isBodyless = status === 204 || status === 304 || (request.method === 'HEAD' && !body)
  if (isWhole && !isBodyless) headers.set('content-length', String(body?.length ?? 0))
  discardTheRest(request, response)
  if (!isGone(response)) response.writeHead(status, headers.values)
  if (isWhole) response.end(request.method === 'HEAD' ? undefined : body)
  else if (request.method !== 'HEAD') await sendChunks(body, response)
  else {
    // Nobody reads it: whoever makes it is told.
    response.end()
    await body[Symbol.asyncIterator]().return?.()
  }
}

async function sendChunks(chunks: Chunks, response: NodeResponse): Promise<void> {
  // The head at once: a watch may have nothing to tell for long.
  if (!response.stream) response.flushHeaders()
  try {
    for await (const chunk of chunks) {
      if (isGone(response)) return
      if (!response.write(chunk)) await writable(response)
      if (isGone(response)) return
    }
    response.end()
  } catch {
    // Half an answer must not look like a whole one, as a stream does that is reset without an error.
    if (response.stream) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    else response.destroy()
  }
}

const isGone = (response: NodeResponse): boolean => (response.stream ?? response).destroyed

/** Resolves once more can be written, or nothing ever. */
function writable(response: NodeResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

/** So long somebody who has their answer may go on sending. */
const sendOnMs = 1000

/** Of a body that nobody wanted to the end: the client is told with the answer not to go on. */
function discardTheRest(request: NodeRequest, response: NodeResponse): void {
  if (request.complete || request.method === 'GET' || request.method === 'HEAD') return
  const { stream } = response
  if (stream) {
    if (stream.endAfterHeaders) return
    stream.once('finish', () => {
      request.resume()
      // A reset goes before what is still to be sent, and the answer would be lost to who has sent nearly all.
      const timer = setTimeout(() => stream.close(), sendOnMs).unref()
      stream.once('close', () => clearTimeout(timer))
    })
  } else {
    response.setHeader('connection', 'close')
    response.once('finish', () => request.resume())
  }
}
