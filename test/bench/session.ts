// One HTTP/2 connection with as little of its own as can be: what is measured is the server.

import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from 'node:http2'
import { buffer } from 'node:stream/consumers'

const answerWithinMs = 60_000

/** An answer that is no success. */
export class Refused extends Error {
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

export type Credentials = { ca?: string; cert?: string; key?: string }
export type Session = {
  /** Throws for an answer that is no success. */
  request(method: string, path: string, body?: Buffer, headers?: OutgoingHttpHeaders): Promise<Buffer>
  open(path: string): Promise<ClientHttp2Stream>
  /** Bytes that came over its connection. */
  readonly received: number
  close(): void
}

export async function openSession(server: string, credentials: Credentials = {}): Promise<Session> {
  const session: ClientHttp2Session = connect(server, { ...credentials, settings: { initialWindowSize: 1 << 20 } })
  await once(session, 'connect')
  // Whoever has something under way on it hears of its end there.
  session.on('error', () => {})
  session.setLocalWindowSize(1 << 22)
  const { socket } = session
  return {
    async request(method, path, body, headers = { 'content-type': 'application/json' }) {
      const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: !body })
      if (body) stream.end(body)
      // Read from the start: a stream may be over before who waits for its head is told.
      const [head, bytes] = await Promise.all([headOf(stream), buffer(stream)])
      const status = head[':status'] ?? 0
      if (status >= 300) throw new Refused(`${method} ${path}: ${status} ${bytes.toString().slice(0, 500)}`, status)
      return bytes
    },
    async open(path) {
      const stream = session.request({ ':path': path })
      const head = await headOf(stream)
      const status = head[':status'] ?? 0
      if (status !== 200) throw new Refused(`GET ${path}: ${status}`, status)
      return stream
    },
    get received() {
      return socket.bytesRead
    },
    close: () => session.destroy(),
  }
}

/** Rejects, too, where the stream just ends: what is lost with its connection says nothing else. */
function headOf(stream: ClientHttp2Stream): Promise<Record<string, number | undefined>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, number | undefined>>()
  stream.once('response', (head) => resolve(head as Record<string, number | undefined>))
  stream.once('error', reject)
  stream.once('close', () => reject(new Error('the connection was lost')))
  stream.setTimeout(answerWithinMs, () => stream.close())
  stream.once('response', () => stream.setTimeout(0))
  return promise
}
