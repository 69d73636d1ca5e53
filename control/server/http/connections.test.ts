import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { fakeClock } from '#api/clock.fake.ts'
import { ConfigMap } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../../store/memory.ts'
import type { Store } from '../../store/store.ts'
import { type Server, startServer } from '../server.ts'

let folder: string
let pki: Pki
let store: Store
let server: Server
const clock = fakeClock()
/** Heard of in the log. */
const cuts = new EventEmitter()

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'connections-'))
  pki = await openPki({ dir: folder, hosts: ['127.0.0.1'], now: Date.now })
  store = await memoryStore()
  // Long enough for who is in order, on a machine with other work to do.
  const limits = { headersMs: 1000, requestMs: 1200, handshakeMs: 1500 }
  const listen = { host: '127.0.0.1', port: 0 }
  server = await startServer({
    store,
    pki,
    listen,
    advertise: { address: '127.0.0.1' },
    limits,
    clock,
    log: { ...silent, warn: () => cuts.emit('cut') },
  })
})

after(async () => {
  await server.close()
  await store.close()
  await rm(folder, { recursive: true })
})

const credentials = () => ({ ca: pki.authority.cert, cert: pki.admin.cert, key: pki.admin.key })

async function open(): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: server.port, ...credentials(), ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect')
  return socket
}

const closed = (one: { once(event: 'close', run: () => void): unknown }) => new Promise<void>((resolve) => one.once('close', resolve))

async function textUntilClosed(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (data) => {
    text += String(data)
  })
  socket.on('error', () => {})
  await closed(socket)
  return text
}

test('who sends headers, a handshake or a body too slowly is cut off', async () => {
  const headers = await open()
  headers.write('GET /version HTTP/1.1\r\nHost: x\r\nX-Slow: ')
  const body = await open()
  body.write(
    'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{',
  )
  const silentOne = connectTcp({ host: '127.0.0.1', port: server.port })
  const [late] = await Promise.all([headers, body, silentOne].map(textUntilClosed))
  assert.match(late ?? '', /^HTTP\/1.1 408 |^$/)
  const good = await open()
  good.write('GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  assert.match(await textUntilClosed(good), /^HTTP\/1.1 200 OK/)
})

test('a body over the limit is refused in Kubernetes’ words, and too many headers too', async () => {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, credentials())
  const request = session.request({
    ':method': 'POST',
    ':path': '/api/v1/namespaces/default/configmaps',
    'content-type': 'application/json',
  })
  request.end(JSON.stringify({ data: { x: 'x'.repeat(3 * 1024 * 1024) } }))
  let text = ''
  for await (const chunk of request) text += String(chunk)
  const status = JSON.parse(text)
  assert.deepEqual([status.code, status.reason], [413, 'RequestEntityTooLarge'])
  assert.equal(status.message, 'Request entity too large: limit is 3145728')
  session.close()
  const headers = await open()
  headers.write(`GET /version HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`)
  // What was still on its way may reset the connection before the answer is read.
  assert.match(await textUntilClosed(headers), /^HTTP\/1.1 431 |^$/)
})

test('answers that nobody reads are cut off, those that are idle are not', async (t) => {
  for (let i = 0; i < 24; i += 1) {
    await server.client().create(ConfigMap, { metadata: { namespace: 'default', name: `large-${i}` }, data: { x: 'x'.repeat(500_000) } })
  }
  const path = '/api/v1/namespaces/default/configmaps'
  const stuck = await open()
  stuck.on('error', () => {})
  stuck.pause()
  stuck.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  const idle = await open()
  idle.write('GET /api/v1/nodes?watch=true HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(idle, 'data')
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, credentials())
  session.on('error', () => {})
  t.after(() => session.destroy())
  const watch = session.request({ ':path': `${path}?watch=true` })
  watch.on('error', () => {})
  await once(watch, 'response')
  const other = session.request({ ':path': '/api/v1/nodes?watch=true' })
  await once(other, 'response')
  await whileTimePasses(once(cuts, 'cut'))
  // Only who reads hears of it.
  watch.resume()
  await closed(watch)
  assert.equal(session.closed, false, 'the connection goes on')
  // A paused socket does not hear that it was closed until it tries.
  const knock = setInterval(() => stuck.write('\r\n'), 20)
  await whileTimePasses(closed(stuck))
  clearInterval(knock)
  assert.deepEqual([idle.destroyed, other.closed], [false, false])
  idle.destroy()
  other.close()
  await closed(other)

  const ending = closed(session)
  await whileTimePasses(ending)
})

async function whileTimePasses(ended: Promise<unknown>): Promise<void> {
  const stop = new AbortController()
  const passing = (async () => {
    while (!stop.signal.aborted) {
      await clock.advance(15_000)
      await sleep(20)
    }
  })()
  await ended
  stop.abort()
  await passing
}
