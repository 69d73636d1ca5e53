import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestOptions, request } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { openAuthority } from '#control/pki/authority.ts'
import { proxyUpgrade } from './proxy.ts'

let ours: { ca: string; cert: string; key: string }
let front: ReturnType<typeof createServer>
let back: ReturnType<typeof createTlsServer>
const seen: { headers?: NodeJS.Dict<string[]>; closed?: Promise<void> } = {}

before(async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-proxy-'))
  const authority = await openAuthority({ dir, now: Date.now })
  await rm(dir, { recursive: true })
  const issue = async (usage: 'client' | 'server') => ({
    ca: authority.cert,
    ...(await authority.issue({ commonName: 'n', usage, hosts: ['far'] })),
  })
  ours = await issue('client')
  back = createTlsServer({ ...(await issue('server')), requestCert: true })
  back.on('request', (_req, res) => res.writeHead(403, { 'content-type': 'text/plain' }).end('not you'))
  back.on('upgrade', (req, socket: Socket, head) => {
    if (req.url === '/refuse') {
      socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone')
      return
    }
    seen.headers = req.headersDistinct
    seen.closed = new Promise((resolve) => socket.once('close', () => resolve()))
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Chosen: v4\r\n\r\nhello ')
    if (head.length > 0) socket.write(head)
    socket.on('error', () => {})
    if (req.url !== '/hold') socket.pipe(socket)
  })
  await new Promise<void>((resolve) => back.listen(0, '127.0.0.1', resolve))
  front = createServer()
  front.on('upgrade', (req, socket, head) => {
    const port = req.url === '/nobody' ? 1 : (back.address() as AddressInfo).port
    void proxyUpgrade(req, socket, head, { host: '127.0.0.1', port, path: req.url!, tls: { ...ours, servername: 'far' } })
  })
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve))
})

after(() => {
  front.close()
  back.close()
})

const dial = (path: string, options: RequestOptions = {}) => {
  const req = request({
    port: (front.address() as AddressInfo).port,
    path,
    method: 'POST',
    headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': ['v4', 'v3'], authorization: 'Bearer secret' },
    ...options,
  })
  req.end()
  return req
}

test('bytes flow both ways after the 101, early ones and half-close included', async () => {
  const { promise, resolve, reject } = Promise.withResolvers<[string, string]>()
  dial('/echo')
    .on('upgrade', (response, socket, head) => {
      socket.unshift(head)
      socket.end('world')
      text(socket).then((body) => resolve([String(response.headers['x-chosen']), body]), reject)
    })
    .on('error', reject)
  assert.deepEqual(await promise, ['v4', 'hello world'])
  assert.deepEqual(seen.headers?.['x-stream-protocol-version'], ['v4', 'v3'])
  assert.equal(seen.headers?.authorization, undefined)
})

test('a refusal of the target is passed on', async () => {
  const { promise, resolve, reject } = Promise.withResolvers<[number | undefined, string]>()
  dial('/refuse')
    .on('response', (response) => void text(response).then((body) => resolve([response.statusCode, body]), reject))
    .on('error', reject)
  assert.deepEqual(await promise, [404, 'gone'])
})

test('an unreachable target is a Status', async () => {
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number; reason: string }>()
  dial('/nobody')
    .on('response', (response) => void text(response).then((body) => resolve(JSON.parse(body)), reject))
    .on('error', reject)
  const status = await promise
  assert.equal(status.code, 500)
  assert.equal(status.reason, 'InternalError')
})

test('a client that vanishes takes the far side with it', async () => {
  await new Promise<void>((resolve, reject) => {
    dial('/hold')
      .on('upgrade', (_response, socket) => {
        socket.destroy()
        resolve()
      })
      .on('error', reject)
  })
  await seen.closed
})
