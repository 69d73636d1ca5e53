// The app as tests call it: with fetch's requests and answers, and no socket.

import { Readable } from 'node:stream'
import type { ReadableStream as WebStream } from 'node:stream/web'
import type { App, Bindings } from '../http/app.ts'
import type { Chunks } from '../http/reply.ts'

/** `path` is one of this server. */
export type Fetch = (path: string, init: RequestInit, bindings: Bindings) => Promise<Response>

export const fetchFrom =
  (app: App): Fetch =>
  async (path, init, bindings) => {
    const request = new Request(new URL(path, 'http://localhost'), init)
    const gone = new AbortController()
    const { status, headers, body } = await app.serve(
      {
        method: request.method,
        url: new URL(request.url),
        headers: Object.assign(request.headers, { all: (name: string) => request.headers.get(name)?.split(', ') ?? [] }),
        body: request.body ? Readable.fromWeb(request.body as WebStream<Uint8Array>) : undefined,
        signal: AbortSignal.any([request.signal, gone.signal]),
      },
      bindings,
    )
    const content = body === undefined || body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : streamOf(body, gone)
    const pairs = Object.entries(headers.values).flatMap(([name, value]) => [value].flat().map((each): [string, string] => [name, each]))
    return new Response(content ?? null, { status, headers: pairs })
  }

/** Nothing is read ahead; whoever cancels is a client that goes. */
function streamOf(chunks: Chunks, gone: AbortController): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        gone.abort()
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}
