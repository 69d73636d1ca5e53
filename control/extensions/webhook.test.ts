import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { after, before, it } from 'node:test'
import { StatusError } from '#api/errors.ts'
import { type WebhookServer, webhookServer } from './webhook.fake.ts'
import { openWebhooks, type Webhooks } from './webhook.ts'

let server: WebhookServer
let webhooks: Webhooks
before(async () => {
  server = await webhookServer()
  webhooks = openWebhooks({ resolve: async () => ({ host: '127.0.0.1', port: server.port }) })
})
after(async () => {
  webhooks.close()
  await server.close()
})
const call = (path: string, options = {}) => webhooks.call({ url: server.url(path), caBundle: server.caBundle }, { request: {} }, options)
const failure = (why: string) => (error: unknown) => {
  assert.ok(error instanceof StatusError)
  assert.equal(error.reason, 'ServiceUnavailable')
  assert.equal(error.message.replace(/^Post "[^"]+": /, ''), why)
  return true
}

it('a webhook has its time, and no more', async () => {
  server.serve.set('/silent', () => {})
  server.serve.set('/drip', (response) => {
    const timer = setInterval(() => response.write(' '), 10)
    response.on('close', () => clearInterval(timer))
  })
  for (const path of ['/silent', '/drip']) {
    await assert.rejects(call(path, { timeoutSeconds: 0.1 }), failure('context deadline exceeded'))
  }
})

it('a server that does not speak TLS is told apart, and one that says nothing has its time, too', async (t) => {
  const plain = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n')).listen(0, '127.0.0.1')
  const mute = createServer().listen(0, '127.0.0.1')
  t.after(() => [plain, mute].map((each) => each.close()))
  const url = async (each: Server) => {
    if (!each.listening) await once(each, 'listening')
    return `https://127.0.0.1:${(each.address() as AddressInfo).port}/`
  }
  await assert.rejects(webhooks.call({ url: await url(plain) }, {}), failure('tls: wrong version number'))
  await assert.rejects(webhooks.call({ url: await url(mute) }, {}, { timeoutSeconds: 0.1 }), failure('context deadline exceeded'))
})

it('a bundle that holds no certificate trusts nobody', async () => {
  const caBundle = Buffer.from('no certificate').toString('base64')
  const why = 'tls: failed to verify certificate: x509: certificate signed by unknown authority'
  await assert.rejects(webhooks.call({ url: server.url('/'), caBundle }, {}), failure(why))
})

it('an answer has its size, and no more', async () => {
  server.serve.set('/endless', (response) => {
    const chunk = Buffer.alloc(1 << 16, ' ')
    const more = (): void => {
      while (response.write(chunk));
      response.once('drain', more)
    }
    more()
  })
  await assert.rejects(call('/endless', { mostBytes: 1 << 20 }), failure('the answer is larger than 1048576 bytes'))
})

it('an error is passed on, a long one in part', async () => {
  server.serve.set('/busy', (response) => response.writeHead(503).end('busy'.repeat(1000)))
  const said = 'busy'.repeat(50)
  await assert.rejects(call('/busy'), failure(`an error on the server ("${said}") has prevented the request from succeeding`))
  server.serve.set('/moved', (response) => response.writeHead(302, { location: server.url('/else') }).end())
  await assert.rejects(call('/moved'), failure('the server responded with the status code 302 but did not return more information'))
  assert.ok(!server.asked.some(({ path }) => path.startsWith('/else')), 'nobody is led elsewhere')
})

it('a connection is kept, and given up where the other end has closed it', async () => {
  const used = new WeakSet<object>()
  server.serve.set('/once', (response, { socket }) => {
    if (used.has(socket)) socket.destroy()
    else response.end('{}')
    used.add(socket)
  })
  await call('/once')
  await call('/once')
  assert.equal(server.asked.filter(({ path }) => path.startsWith('/once')).length, 3, 'once more, elsewhere')
  server.serve.set('/never', (_, { socket }) => socket.destroy())
  await assert.rejects(call('/never'), failure('socket hang up'))
})
