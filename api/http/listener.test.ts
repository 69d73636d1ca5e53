// Apps of Hono's on Node's servers, by the listener of ours, by @hono/node-server's, and without a connection.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { getRequestListener } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { Hono } from 'hono'
import { type HttpEnv, replied, replyTo } from './env.ts'
import type { Incoming, NodeRequest, NodeResponse } from './incoming.ts'
import { listener } from './listener.ts'
import { replies } from './replies.ts'
import { Reply } from './reply.ts'
import { pathOf, RequestView } from './view.ts'

type Answer = { status: number; headers: Record<string, unknown>; body: Buffer }
type Ask = (method: string, path: string, body?: Buffer, headers?: Record<string, string>) => Promise<Answer>

const ended: string[] = []
async function* pieces(request: Incoming): AsyncGenerator<Uint8Array> {
  try {
    for (let i = 0; i < 1000 && !request.signal.aborted; i += 1) yield Buffer.alloc(10_000, 'x')
  } finally {
    ended.push(request.url.pathname)
  }
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half')
  await new Promise(setImmediate)
  throw new Error('no more')
}

const app = new Hono<HttpEnv>({ getPath: pathOf })
app.use(replies(), async (c, next) => {
  await next()
  replyTo(c).headers.set('stage', 'passed')
})
app.all('/echo', async (c) => {
  const { method, url, headers, body } = c.get('incoming')
  const seen = `${method} ${url.pathname}${url.search} ${headers.get('x-one')}`
  return replied(c, new Reply(body ? await buffer(body) : '', { status: 201, headers: { seen } }))
})
app.all('/refuse', (c) => {
  // One piece of the body is looked at, and the rest never wanted.
  const { body } = c.get('incoming')
  return new Promise<Response>((resolve) => {
    body?.once('data', () => {
      body.pause()
      resolve(replied(c, new Reply('too large', { status: 413 })))
    })
  })
})
app.get('/pieces', (c) => replied(c, new Reply(pieces(c.get('incoming')))))
app.get('/left', (c) => replied(c, new Reply(pieces(c.get('incoming')))))
app.get('/broken', (c) => replied(c, new Reply(broken())))
app.get('/unsayable', (c) => replied(c, new Reply('', { headers: { bad: 'a\nb' } })))
app.get('/below', (c) => {
  c.env.outgoing?.writeHead(202, { by: 'hand' }).end('written below')
  return RESPONSE_ALREADY_SENT
})
app.get('/late', () => {
  throw new TypeError('not today')
})
app.use('/twice', async (_, next) => {
  await next()
  throw new TypeError('changed my mind')
})
app.get('/twice', (c) => replied(c, new Reply('answered')))
app.onError((error, c) => replied(c, new Reply(error.message, { status: 500 })))
app.notFound((c) => replied(c, new Reply('nothing here', { status: 404 })))

// As somebody writes one who knows only Hono.
const plain = new Hono<HttpEnv>()
plain.post('/json', async (c) => c.json({ got: await c.req.json<object>(), by: c.req.header('x-one'), q: c.req.query('q') }, 202))
plain.get('/cookies', (c) => {
  c.header('set-cookie', 'a=1', { append: true })
  c.header('set-cookie', 'b=2', { append: true })
  return c.html('<p>hello</p>')
})
app.route('/plain', plain)

const refuse = (error: unknown) => new Reply(String(error), { status: 400 })
const ours = listener(app, refuse)
const theirs = getRequestListener(app.fetch, { overrideGlobalObjects: false, autoCleanupIncoming: false })

/** The same over both versions of HTTP. */
const both = (name: string, run: (ask: Ask, t: TestContext) => Promise<void>): void => {
  test(`${name}, HTTP/1.1`, async (t) => await run(await http1(t, (request, response) => void ours(request, response)), t))
  test(`${name}, HTTP/2`, async (t) => {
    const server = createHttp2Server((request, response) => {
      void ours(request as unknown as NodeRequest, response as unknown as NodeResponse)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    t.after(() => {
      session.destroy()
      server.close()
    })
    await run(async (method, path, body, more) => {
      const stream = session.request({ ':method': method, ':path': path, ...more }, { endStream: !body })
      stream.on('error', () => {})
      if (body) stream.end(body)
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
      return { status: Number(headers[':status']), headers, body: await buffer(stream) }
    }, t)
  })
}

async function http1(t: TestContext, answer: RequestListener): Promise<Ask> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  return async (method, path, body, headers) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers })
    request.on('error', () => {})
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) }
  }
}

both('what is sent comes back, with its head', async (ask) => {
  const sent = Buffer.alloc(1_000_000, 'abc')
  const there = await ask('POST', '/echo?y=1', sent, { 'x-one': 'here' })
  assert.deepEqual([there.status, there.headers['content-length'], there.headers.seen], [201, '1000000', 'POST /echo?y=1 here'])
  assert.ok(there.body.equals(sent))
  assert.equal(there.headers.stage, 'passed')
  const head = await ask('HEAD', '/echo')
  assert.deepEqual([head.status, head.body.length, head.headers['content-length']], [201, 0, '0'])
  assert.equal((await ask('GET', '/echo//')).headers.seen, 'GET /echo// null', 'the handler sees the path as it came')
  assert.equal((await ask('GET', '//echo')).status, 404)
})

both('a body that is refused is not waited for, and the next request is served', async (ask) => {
  const refused = await ask('POST', '/refuse', Buffer.alloc(8_000_000))
  assert.deepEqual([refused.status, refused.body.toString()], [413, 'too large'])
  assert.equal((await ask('POST', '/echo', Buffer.alloc(10))).status, 201)
})

test('a stream whose body is refused half read ends on the server with its answer', async (t) => {
  const server = createHttp2Server((request, response) => {
    void ours(request as unknown as NodeRequest, response as unknown as NodeResponse)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.after(() => {
    session.destroy()
    server.close()
  })
  const closed = once(server, 'stream').then(async ([stream]) => await once(stream as ServerHttp2Stream, 'close'))
  const stream = session.request({ ':method': 'POST', ':path': '/refuse' })
  stream.on('error', () => {})
  stream.end(Buffer.alloc(8_000_000))
  assert.equal((await buffer(stream)).toString(), 'too large')
  await closed
})

both('a long answer comes whole, as fast as it is read', async (ask) => {
  assert.equal((await ask('GET', '/pieces')).body.length, 10_000_000)
  assert.equal((await ask('HEAD', '/pieces')).body.length, 0)
})

both('errors are answers, whoever threw them and whatever was answered before', async (ask) => {
  for (const [path, status, said] of [
    ['/late', 500, 'not today'],
    ['/twice', 500, 'changed my mind'],
    ['/nowhere', 404, 'nothing here'],
  ] as const) {
    const answer = await ask('GET', path)
    assert.deepEqual([answer.status, answer.body.toString(), answer.headers.stage], [status, said, 'passed'], path)
  }
})

both('handlers may write below Hono, and may know nothing but Hono', async (ask) => {
  const below = await ask('GET', '/below')
  assert.deepEqual([below.status, below.headers.by, below.body.toString()], [202, 'hand', 'written below'])
  const posted = await ask('POST', '/plain/json?q=2', Buffer.from('{"a":1}'), { 'x-one': 'me' })
  assert.deepEqual([posted.status, JSON.parse(posted.body.toString())], [202, { got: { a: 1 }, by: 'me', q: '2' }])
  assert.deepEqual([posted.headers['content-type'], posted.headers.stage], ['application/json', 'passed'])
  const page = await ask('GET', '/plain/cookies')
  assert.deepEqual([page.body.toString(), page.headers['set-cookie']], ['<p>hello</p>', ['a=1', 'b=2']])
  assert.deepEqual([(await ask('HEAD', '/plain/cookies')).body.length, (await ask('POST', '/plain/cookies')).status], [0, 404])
})

test('an answer whose client goes is let go, one that breaks does not look whole, one that nobody can read is an error', async (t) => {
  const server = createServer((request, response) => void ours(request, response)).listen(0, '127.0.0.1')
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
  await assert.rejects(open('/unsayable'), /hang up/)
  const odd = await open('/', { host: 'no host' })
  assert.deepEqual([odd.statusCode, await text(odd)], [400, 'StatusError: the request names no path on this server: "/"'])
})

test('no Request, Response or stream of the Web is made for a handler of ours', async (t) => {
  const made: string[] = []
  for (const name of ['Request', 'Response', 'ReadableStream', 'Headers'] as const) {
    const whole = globalThis[name]
    Object.defineProperty(globalThis, name, {
      configurable: true,
      get() {
        made.push(name)
        return whole
      },
    })
    t.after(() => Object.defineProperty(globalThis, name, { configurable: true, writable: true, value: whole }))
  }
  const ask = await http1(t, (request, response) => void ours(request, response))
  assert.equal((await ask('POST', '/echo', Buffer.from('x'))).status, 201)
  assert.equal((await ask('GET', '/pieces')).status, 200)
  assert.equal((await ask('GET', '/late')).status, 500)
  assert.deepEqual(made, [])
})

test('the same app is served by the listener of @hono/node-server, and without a connection', async (t) => {
  const ask = await http1(t, (request, response) => void theirs(request, response))
  const inMemory: Ask = async (method, path, body, headers = {}) => {
    const response = await app.request(path, { method, headers, ...(body && { body: Uint8Array.from(body) }) })
    const pairs = [...response.headers].filter(([name]) => name !== 'set-cookie')
    const all = { ...Object.fromEntries(pairs), 'set-cookie': response.headers.getSetCookie() }
    return { status: response.status, headers: all, body: Buffer.from(await response.arrayBuffer()) }
  }
  for (const each of [ask, inMemory]) {
    const there = await each('POST', '/echo?y=1', Buffer.from('sent'), { 'x-one': 'here' })
    assert.deepEqual([there.status, there.headers.seen, there.body.toString()], [201, 'POST /echo?y=1 here', 'sent'])
    assert.equal(there.headers.stage, 'passed')
    assert.equal((await each('GET', '/pieces')).body.length, 10_000_000)
    assert.deepEqual([(await each('GET', '/late')).status, (await each('GET', '/none')).status], [500, 404])
    assert.deepEqual((await each('GET', '/plain/cookies')).headers['set-cookie'], ['a=1', 'b=2'])
  }
})

test('in memory, who cancels the body of an answer is a client that goes', async () => {
  const response = await app.request('/left')
  ended.length = 0
  const reader = response.body?.getReader()
  await reader?.read()
  await reader?.cancel()
  assert.deepEqual(ended, ['/left'])
})

test('a view of a request is whole for whoever asks', async () => {
  const incoming = { method: 'POST', url: new URL('http://here/a?b=1'), headers: new Map([['a', 'b']]), body: undefined }
  const view = new RequestView({ ...incoming, signal: new AbortController().signal } as unknown as Incoming)
  assert.deepEqual([view.url, view.headers.get('a'), view.body, view.signal.aborted], ['http://here/a?b=1', 'b', null, false])
  assert.equal(await view.text(), '')
})
