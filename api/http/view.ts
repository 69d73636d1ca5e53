// A request of Node's as Hono is given it. Hono reads its method and its path; whatever else of a Request somebody asks
// for is made then, by fetch.

import { Readable } from 'node:stream'
import { withoutEnd } from '../kinds/rules/names.ts'
import type { Incoming } from './incoming.ts'

export class RequestView {
  readonly method: string
  readonly incoming: Incoming
  #request: Request | undefined

  constructor(incoming: Incoming) {
    this.method = incoming.method
    this.incoming = incoming
  }

  get url(): string {
    return this.incoming.url.href
  }

  get headers(): Headers {
    return this.#whole.headers
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#whole.body
  }

  get signal(): AbortSignal {
    return this.incoming.signal
  }

  async text(): Promise<string> {
    return await this.#whole.text()
  }

  async json(): Promise<unknown> {
    return await this.#whole.json()
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return await this.#whole.arrayBuffer()
  }

  async blob(): Promise<Blob> {
    return await this.#whole.blob()
  }

  async formData(): Promise<FormData> {
    return await this.#whole.formData()
  }

  get #whole(): Request {
    const { method, url, headers, body, signal } = this.incoming
    this.#request ??= new Request(url, {
      method,
      headers: [...headers],
      signal,
      ...(body && { body: Readable.toWeb(body) as ReadableStream, duplex: 'half' }),
    })
    return this.#request
  }
}

/** Hono's path of a request: not decoded, and without slashes at its end. */
export function pathOf(request: Request): string {
  const view: unknown = request
  const { pathname } = view instanceof RequestView ? view.incoming.url : new URL(request.url)
  return withoutEnd(pathname, '/') || '/'
}
