// What is read of a request. Of node's own only what somebody asks for is made.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { StatusError } from '../errors.ts'

export interface Incoming {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHeaders
  /** Undefined where there can be none. */
  readonly body: Readable | undefined
  /** Aborts when the client goes before it has its answer. */
  readonly signal: AbortSignal
}

export interface IncomingHeaders {
  get(name: string): string | null
  /** As often as it was sent; `get` joins them with commas. */
  all(name: string): string[]
  [Symbol.iterator](): Iterator<[string, string]>
}

/** Of HTTP/2, node hands out what answers to the same calls, with the stream below it. */
export type NodeRequest = IncomingMessage & { stream?: ServerHttp2Stream }
export type NodeResponse = ServerResponse & { stream?: ServerHttp2Stream }

/** What closes when the client goes: the response, or a connection that is upgraded. */
type Closing = { destroyed: boolean; once(event: 'close', run: () => void): unknown; stream?: ServerHttp2Stream }

export class NodeIncoming implements Incoming {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingHeaders
  readonly #request: NodeRequest
  readonly #response: Closing
  #gone: AbortController | undefined

  /** Throws BadRequest for what names no path. */
  constructor(request: NodeRequest, response: Closing) {
    this.method = request.method ?? 'GET'
    this.url = urlOf(request)
    this.headers = new NodeHeaders(request)
    this.#request = request
    this.#response = response
  }

  get body(): Readable | undefined {
    return this.method === 'GET' || this.method === 'HEAD' ? undefined : this.#request
  }

  get signal(): AbortSignal {
    if (!this.#gone) {
      const gone = new AbortController()
      this.#gone = gone
      const response = this.#response
      if ((response.stream ?? response).destroyed) gone.abort()
      else response.once('close', () => gone.abort())
    }
    return this.#gone.signal
  }
}

export class NodeHeaders implements IncomingHeaders {
  readonly #request: Pick<NodeRequest, 'headers' | 'rawHeaders'>

  constructor(request: Pick<NodeRequest, 'headers' | 'rawHeaders'>) {
    this.#request = request
  }

  all(name: string): string[] {
    const { rawHeaders } = this.#request
    return rawHeaders.flatMap((each, i) => (i % 2 === 0 && each.toLowerCase() === name ? [rawHeaders[i + 1] ?? ''] : []))
  }

  get(name: string): string | null {
    const value = this.#request.headers[name]
    return value === undefined ? null : Array.isArray(value) ? value.join(', ') : value
  }

  *[Symbol.iterator](): Generator<[string, string]> {
    for (const [name, value] of Object.entries(this.#request.headers)) {
      if (value !== undefined && !name.startsWith(':')) yield [name, Array.isArray(value) ? value.join(', ') : value]
    }
  }
}

function urlOf({ url = '', headers }: NodeRequest): URL {
  const host = headers[':authority'] ?? headers.host ?? 'localhost'
  try {
    return url.startsWith('/') ? new URL(`https://${String(host)}${url}`) : new URL(url)
  } catch (cause) {
    throw new StatusError('BadRequest', `the request names no path on this server: ${JSON.stringify(url)}`, undefined, { cause })
  }
}
