import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { readBytes } from './body.ts'
import type { Incoming, NodeRequest, NodeResponse } from './incoming.ts'
import { listener } from './listener.ts'
import { Reply } from './reply.ts'
import { answerStatus, statusOf } from './status.ts'

type Answer = { status: number; headers: Record<string, unknown>; body: Buffer }
type Ask = (method: string, path: string, body?: Buffer) => Promise<Answer>
type Serve = (request: Incoming) => Promise<Reply>

/** The same over both versions of HTTP. */
const both = (name: string, run: (ask: Ask, t: TestContext) => Promise<void>, serve: Serve): void => {
  const answer = listener({ serve, bindingsOf: () => ({}) })
  test(`${name}, HTTP/1.1`, async (t) => {
    const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close().closeAllConnections())
    const { port } = server.address() as AddressInfo
    await run(async (method, path, body) => {
      const request = httpRequest({ host: '127.0.0.1', port, method, path })
      request.on('error', () => {})
      request.end(body)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) }
    }, t)
  })
  test(`${name}, HTTP/2`, async (t) => {
    const server = createHttp2Server((request, response) => {
      void answer(request as unknown as NodeRequest, response as unknown as NodeResponse)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    t.after(() => {
      session.destroy()
      server.close()
    })
    await run(async (method, path, body) => {
      const stream = session.request({ ':method': method, ':path': path }, { endStream: !body })
      stream.on('error', () => {})
      if (body) stream.end(body)
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      return { status: Number(headers[':status']), headers, body: await buffer(stream) }
    }, t)
  })
}

both(
  'what is sent comes back, with its head',
  async (ask) => {
    const sent = Buffer.alloc(1_000_000, 'abc')
    const there = await ask('POST', '/x?y=1', sent)
    assert.deepEqual([there.status, there.headers['content-length'], there.headers.seen], [201, '1000000', 'POST /x?y=1'])
    assert.ok(there.body.equals(sent))
    assert.deepEqual((await ask('HEAD', '/x')).body.length, 0)
    assert.equal((await ask('HEAD', '/x')).headers['content-length'], '0')
  },
  async (request) =>
    new Reply(await readBytes(request), {
      status: 201,
      headers: { seen: `${request.method} ${request.url.pathname}${request.url.search}` },
    }),
)

both(
  'a body that is too large is refused, and the rest of it is not waited for',
  async (ask) => {
    const refused = await ask('POST', '/x', Buffer.alloc(8_000_000))
    assert.deepEqual([refused.status, JSON.parse(refused.body.toString()).reason], [413, 'RequestEntityTooLarge'])
    assert.equal((await ask('POST', '/x', Buffer.alloc(10))).status, 200, 'the next request is served')
  },
  async (request) => {
    try {
      return new Reply(await readBytes(request))
    } catch (error) {
      return answerStatus(statusOf(error).status)
    }
  },
)

const ended: string[] = []
async function* pieces(request: Incoming): AsyncGenerator<Uint8Array> {
  try {
    for (let i = 0; i < 1000 && !request.signal.aborted; i += 1) yield Buffer.alloc(10_000, 'x')
  } finally {
    ended.push(request.url.pathname)
  }
}

both(
  'a long answer comes whole, as fast as it is read',
  async (ask) => {
    assert.equal((await ask('GET', '/pieces')).body.length, 10_000_000)
    assert.equal((await ask('HEAD', '/pieces')).body.length, 0)
  },
  async (request) => new Reply(pieces(request)),
)

test('an answer whose client goes is let go, one that breaks does not look whole, one that nobody can read is an error', async (t) => {
  const broken = async function* () {
    yield Buffer.from('half')
    await new Promise(setImmediate)
    throw new Error('no more')
  }
  const answer = listener({
    serve: async (request) => new Reply(request.url.pathname === '/broken' ? broken() : pieces(request)),
    bindingsOf: () => ({}),
  })
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const open = async (path: string, headers = {}): Promise<IncomingMessage> => {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers }).end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return response
  }
  const slow = await open('/left')
  await once(slow, 'readable')
  slow.destroy()
  while (!ended.includes('/left')) await new Promise(setImmediate)
  await assert.rejects(text(await open('/broken')), /aborted/)
  const odd = await open('/', { host: 'no host' })
  assert.deepEqual([odd.statusCode, JSON.parse(await text(odd)).reason], [400, 'BadRequest'])
})
