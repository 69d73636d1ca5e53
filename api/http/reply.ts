// What is answered, in the form in which node takes it: fetch's Response would put a web stream and a
// parsed copy of its headers around every stored object.

export type Chunks = AsyncIterable<Uint8Array>

export class Reply {
  readonly status: number
  readonly headers: ReplyHeaders
  readonly body: Uint8Array | Chunks | undefined

  /** Chunks are taken as fast as the client reads, and let go when it does not come back for more. */
  constructor(body?: string | Uint8Array | Chunks, { status = 200, headers = {} }: { status?: number; headers?: HeaderValues } = {}) {
    this.status = status
    this.headers = new ReplyHeaders(headers)
    this.body = typeof body === 'string' ? Buffer.from(body) : body
  }
}

/** By names in lower case. */
export type HeaderValues = Record<string, string | string[]>

class ReplyHeaders {
  readonly values: HeaderValues

  constructor(values: HeaderValues) {
    this.values = values
  }

  set(name: string, value: string): void {
    this.values[name] = value
  }

  /** As a header of its own beside those that are there. */
  append(name: string, value: string): void {
    const there = this.values[name]
    this.values[name] = there === undefined ? value : [there, value].flat()
  }
}
