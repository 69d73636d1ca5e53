import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Probe } from '#api/types/core-v1.gen.ts'
import type { Runtime } from '../../runtime/runtime.ts'
import { check } from './probe.ts'

async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => server.close(resolve)))
  return (server.address() as AddressInfo).port
}

const ask = (probe: Probe, more: { signal?: AbortSignal; exec?: Runtime['exec']; port?: number } = {}) =>
  check(probe, {
    container: { name: 'web', resources: {}, ports: more.port ? [{ name: 'http', containerPort: more.port }] : [] },
    id: 'c1',
    ip: '127.0.0.1',
    runtime: { exec: more.exec ?? (async () => 0) },
    signal: more.signal ?? new AbortController().signal,
  })

test('GET: status, headers, named ports, redirects of the same host', async (t) => {
  const seen: (string | undefined)[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers['user-agent'])
    const [, code, location] = /^\/(\d+)(?:\?(.*))?/.exec(request.url!) ?? []
    response.writeHead(Number(code), location ? { location: decodeURIComponent(location) } : {}).end('body')
  })
  const port = await listen(t, server)
  assert.deepEqual(await ask({ httpGet: { port, path: '/204' } }), { ok: true, output: '' })
  assert.deepEqual(await ask({ httpGet: { port: 'http', path: '/200' } }, { port }), { ok: true, output: 'body' })
  assert.deepEqual(await ask({ httpGet: { port, path: '/503' } }), { ok: false, output: 'HTTP probe failed with statuscode: 503' })
  assert.equal((await ask({ httpGet: { port, path: '/302?%2F500' } })).output, 'HTTP probe failed with statuscode: 500')
  assert.equal((await ask({ httpGet: { port, path: '/302?http%3A%2F%2Felsewhere%2F' } })).ok, true)
  assert.equal((await ask({ httpGet: { port, path: '/302?%2F302%3F%252F200' } })).ok, true)
  assert.equal((await ask({ httpGet: { port: 'none', path: '/200' } })).output, 'invalid port: none')
  assert.equal(seen[0], 'kube-probe/1.33')
  await ask({ httpGet: { port, path: '/200', httpHeaders: [{ name: 'User-Agent', value: 'mine' }] } })
  assert.equal(seen.at(-1), 'mine')
})

test('a server that says nothing is given up at the timeout', async (t) => {
  const server = createTcp((socket) => socket.on('error', () => undefined))
  const port = await listen(t, server)
  const abort = new AbortController()
  const answer = ask({ httpGet: { port } }, { signal: abort.signal })
  server.once('connection', () => abort.abort())
  assert.deepEqual(await answer, { ok: false, output: 'timed out' })
})

test('TCP: who listens is well', async (t) => {
  const port = await listen(
    t,
    createTcp((socket) => socket.end()),
  )
  assert.equal((await ask({ tcpSocket: { port } })).ok, true)
  assert.match((await ask({ tcpSocket: { port: 1 } })).output, /ECONNREFUSED/)
})

test('exec: the exit code, and what it prints', async () => {
  const exec: Runtime['exec'] = async (_id, { args, stdout, stderr }) => {
    stdout?.write('out ')
    stderr?.write('err')
    return args[0] === 'good' ? 0 : 3
  }
  assert.deepEqual(await ask({ exec: { command: ['good'] } }, { exec }), { ok: true, output: 'out err' })
  assert.equal((await ask({ exec: { command: ['bad'] } }, { exec })).ok, false)
})

test('gRPC: the health service says SERVING', async (t) => {
  const server = createHttp2()
  server.on('stream', (stream) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => {
      const service = Buffer.concat(chunks).subarray(7).toString()
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': service === 'unknown' ? '5' : '0' }))
      stream.end(service === 'unknown' ? '' : Buffer.from([0, 0, 0, 0, 2, 8, service === 'down' ? 2 : 1]))
    })
  })
  const port = await listen(t, server)
  assert.deepEqual(await ask({ grpc: { port } }), { ok: true, output: 'service healthy' })
  assert.deepEqual(await ask({ grpc: { port, service: 'down' } }), { ok: false, output: 'service unhealthy (responded with 2)' })
  assert.deepEqual(await ask({ grpc: { port, service: 'unknown' } }), { ok: false, output: 'error: rpc status 5' })
  assert.equal((await ask({ grpc: { port: 1 } })).ok, false)
})
