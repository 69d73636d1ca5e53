// Between the Web's requests and responses and ours: for apps that are called without a connection (`app.request()`),
// and for handlers that know only Hono. None of it is on the way of a request whose handler is ours.

import { Readable } from 'node:stream'
import type { ReadableStream as WebStream } from 'node:stream/web'
import type { Incoming, IncomingHeaders } from './incoming.ts'
import { type Chunks, type HeaderValues, Reply } from './reply.ts'

export class WebIncoming implements Incoming {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHeaders
  readonly body: Readable | undefined
  readonly signal: AbortSignal
  readonly #gone = new AbortController()

  constructor(request: Request) {
    this.method = request.method
    this.url = new URL(request.url)
    this.headers = Object.assign(request.headers, { all: (name: string) => request.headers.get(name)?.split(', ') ?? [] })
    this.body = request.body ? Readable.fromWeb(request.body as WebStream<Uint8Array>) : undefined
    this.signal = AbortSignal.any([request.signal, this.#gone.signal])
  }

  /** The answer; who cancels its body is a client that goes. */
  responseOf({ status, headers, body }: Reply): Response {
    const pairs = Object.entries(headers.values).flatMap(([name, value]) => [value].flat().map((each): [string, string] => [name, each]))
    const content = body === undefined || body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : this.#streamOf(body)
    return new Response(content ?? null, { status, headers: pairs })
  }

  /** Nothing is read ahead. */
  #streamOf(chunks: Chunks): ReadableStream<Uint8Array> {
    const iterator = chunks[Symbol.asyncIterator]()
    const gone = this.#gone
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
}

/** What a handler that knows only Hono answered. */
export function replyOf(response: Response): Reply {
  const headers: HeaderValues = Object.fromEntries(response.headers)
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 0) headers['set-cookie'] = cookies
  return new Reply((response.body as unknown as Chunks | null) ?? undefined, { status: response.status, headers })
}
