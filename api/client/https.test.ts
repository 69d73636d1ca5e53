// The HTTPS client against a bare HTTP/2 server that the test scripts: what goes over the wire, and what
// becomes of everything that can go wrong on the way. (Clear text: TLS is Node's.)

import assert from 'node:assert/strict'
import { once } from 'node:events'
import * as http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import * as net from 'node:net'
import { test } from 'node:test'
import { fakeClock, settle } from '../clock.fake.ts'
import { isStatus, StatusError } from '../errors.ts'
import { ConfigMap, Deployment, Namespace } from '../kinds/index.ts'
import { silent } from '../log.ts'
import { parseExact } from '../schema/exact.ts'
import { httpsClient } from './https.ts'

type Handler = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, body: string) => void

async function setup(handle: Handler) {
  const seen: string[] = []
  const bodies: unknown[] = []
  const sessions = new Set<http2.ServerHttp2Session>()
  const server = http2.createServer()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    void (async () => {
      let body = ''
      for await (const chunk of stream) body += String(chunk)
      seen.push(`${headers[':method']} ${headers[':path']}`)
      if (body) bodies.push(parseExact(body))
      handle(stream, headers, body)
    })().catch(() => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  // Between the two, so that a test can pull it: nothing is refused then, and nothing arrives.
  const ends: net.Socket[] = []
  const cable = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    ends.push(near, far)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  cable.listen(0, '127.0.0.1')
  await once(cable, 'listening')
  const clock = fakeClock()
  const address = `http://127.0.0.1:${(cable.address() as AddressInfo).port}`
  const client = httpsClient({ server: address, credentials: { token: 'secret' }, userAgent: 'test/1', log: silent, clock })
  const kill = () => {
    for (const session of sessions) session.destroy()
    sessions.clear()
  }
  return {
    client,
    clock,
    seen,
    bodies,
    sessions,
    kill,
    address,
    unplug: () => {
      for (const socket of ends) socket.unpipe().pause()
    },
    async [Symbol.asyncDispose]() {
      client.close()
      kill()
      for (const socket of ends) socket.destroy()
      const closed = [once(server, 'close'), once(cable, 'close')]
      server.close()
      cable.close()
      await Promise.all(closed)
    },
  }
}

const json = (stream: http2.ServerHttp2Stream, value: unknown, code = 200) => {
  stream.respond({ ':status': code, 'content-type': 'application/json' })
  stream.end(JSON.stringify(value))
}
const map = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '1' },
})
const event = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`

test('asks as a Kubernetes client does', async () => {
  const types: unknown[] = []
  await using t = await setup((stream, headers) => {
    types.push([headers.authorization, headers['user-agent'], headers['content-type']])
    json(stream, headers[':method'] === 'GET' ? { items: [map('a')], metadata: { resourceVersion: '7' } } : map('a'))
  })
  await t.client.list(ConfigMap, { namespace: 'default', labelSelector: 'a in (b,c)', limit: 5 })
  await t.client.create(Namespace, { metadata: { name: 'x' } }, { fieldManager: 'me', dryRun: true })
  await t.client.update(Deployment, { metadata: { name: 'd', namespace: 'default' } } as never, { subresource: 'status' })
  await t.client.patch(ConfigMap, { namespace: 'default', name: 'a/b' }, 'strategic', { data: { x: 'y' } })
  await t.client.delete(ConfigMap, { namespace: 'default', name: 'a' }, { propagationPolicy: 'Foreground', preconditions: { uid: 'u' } })
  assert.deepEqual(t.seen, [
    'GET /api/v1/namespaces/default/configmaps?labelSelector=a+in+%28b%2Cc%29&limit=5',
    'POST /api/v1/namespaces?fieldManager=me&dryRun=All',
    'PUT /apis/apps/v1/namespaces/default/deployments/d/status',
    'PATCH /api/v1/namespaces/default/configmaps/a%2Fb',
    'DELETE /api/v1/namespaces/default/configmaps/a',
  ])
  assert.deepEqual(t.bodies.at(0), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } })
  assert.deepEqual(t.bodies.at(-1), {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    propagationPolicy: 'Foreground',
    preconditions: { uid: 'u' },
  })
  assert.deepEqual(types[0], ['Bearer secret', 'test/1', undefined])
  assert.deepEqual(types[3], ['Bearer secret', 'test/1', 'application/strategic-merge-patch+json'])
  assert.equal(t.sessions.size, 1)
})

test('numbers beyond 2^53 keep their digits, both ways', async () => {
  const count = 9007199254740993n
  await using t = await setup((stream, { ':path': path, ':method': method }) => {
    const event = { type: 'ADDED', object: { ...map('a'), count } }
    if (path?.includes('watch=')) stream.end(`${JSON.stringify(event)}\n`)
    else json(stream, method === 'GET' && !path?.endsWith('/a') ? { items: [event.object], metadata: {} } : event.object)
  })
  const ref = { namespace: 'default', name: 'a' }
  const answers: object[] = [
    await t.client.get(ConfigMap, ref),
    (await t.client.list(ConfigMap)).items[0] ?? {},
    await t.client.create(ConfigMap, { ...map('a'), count } as never),
    await t.client.update(ConfigMap, { ...map('a'), count } as never),
    await t.client.patch(ConfigMap, ref, 'merge', { count }),
    await t.client.patch(ConfigMap, ref, 'json', [{ op: 'test', path: '/count', value: count }]),
  ]
  for await (const { object } of t.client.watch(ConfigMap)) {
    answers.push(object)
    break
  }
  assert.deepEqual(
    answers.map((answer) => (answer as { count?: unknown }).count),
    Array.from({ length: 7 }, () => count),
  )
  assert.deepEqual(
    t.bodies.map((body) => (Array.isArray(body) ? body[0].value : (body as { count?: unknown }).count)),
    [count, count, count, count],
  )
})

test('items of a list are whole objects', async () => {
  await using t = await setup((stream) => json(stream, { items: [{ metadata: { name: 'a' } }], metadata: { resourceVersion: '7' } }))
  const { items } = await t.client.list(ConfigMap)
  assert.deepEqual(items, [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }])
})

test('a failure is the Status that the server sent', async () => {
  const status = new StatusError('Invalid', 'it is wrong', {
    name: 'a',
    causes: [{ reason: 'FieldValueInvalid', message: 'no', field: 'data' }],
  })
  await using t = await setup((stream) => json(stream, status.toStatus(), 422))
  await assert.rejects(t.client.create(ConfigMap, map('a')), (error) => {
    assert.ok(isStatus(error, 'Invalid'))
    assert.deepEqual([error.message, error.details], [status.message, status.details])
    return true
  })
})

test('an answer that is no Status counts by its code', async () => {
  await using t = await setup((stream) => {
    stream.respond({ ':status': 502, 'content-type': 'text/html' })
    stream.end('<h1>Bad gateway</h1>')
  })
  await assert.rejects(t.client.get(ConfigMap, { name: 'a' }), (error) => isStatus(error, 'ServiceUnavailable'))
})

test('absent is undefined, an unknown kind is not', async () => {
  let details: object | undefined = { name: 'a', kind: 'configmaps' }
  await using t = await setup((stream) =>
    json(stream, { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404, message: 'x', details }, 404),
  )
  assert.equal(await t.client.find(ConfigMap, { name: 'a' }), undefined)
  details = undefined
  await assert.rejects(t.client.find(ConfigMap, { name: 'a' }), (error) => isStatus(error, 'NotFound'))
})

test('watch events arrive whole, however they are cut, and as they are sent', async () => {
  let send: http2.ServerHttp2Stream | undefined
  await using t = await setup((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    send = stream
    const text = Buffer.from(event('ADDED', map('é')) + event('MODIFIED', map('b')))
    stream.write(text.subarray(0, 70))
    setImmediate(() => stream.write(text.subarray(70)))
  })
  const watch = t.client.watch(ConfigMap, { resourceVersion: '3', allowWatchBookmarks: true })[Symbol.asyncIterator]()
  const next = async () => {
    const { value } = await watch.next()
    return value ? `${value.type} ${value.object.metadata.name}` : 'end'
  }
  assert.deepEqual([await next(), await next()], ['ADDED é', 'MODIFIED b'])
  send!.write(event('DELETED', map('é')))
  assert.equal(await next(), 'DELETED é')
  send!.end()
  assert.equal(await next(), 'end')
  assert.deepEqual(t.seen, ['GET /api/v1/configmaps?watch=true&resourceVersion=3&allowWatchBookmarks=true'])
})

test('an ERROR event is thrown', async () => {
  await using t = await setup((stream) => {
    stream.respond({ ':status': 200 })
    stream.end(event('ERROR', new StatusError('Expired', 'too old').toStatus()))
  })
  await assert.rejects(t.client.watch(ConfigMap)[Symbol.asyncIterator]().next(), (error) => isStatus(error, 'Expired'))
})

test('an abort ends a watch quietly and a call with its reason, and the server hears of it', async () => {
  const closed: Promise<unknown>[] = []
  await using t = await setup((stream) => {
    closed.push(once(stream, 'close'))
    stream.respond({ ':status': 200 })
    stream.write(event('ADDED', map('a')))
  })
  const stop = new AbortController()
  const types: string[] = []
  for await (const { type } of t.client.watch(ConfigMap, { signal: stop.signal })) {
    types.push(type)
    setImmediate(() => stop.abort())
  }
  assert.deepEqual(types, ['ADDED'])
  const reason = new Error('enough')
  const abort = new AbortController()
  const call = t.client.get(ConfigMap, { name: 'a' }, { signal: abort.signal })
  setTimeout(() => abort.abort(reason), 20)
  await assert.rejects(call, reason)
  await Promise.all(closed)
  // Leaving the loop lets the server go, too.
  for await (const _ of t.client.watch(ConfigMap)) break
  await Promise.all(closed)
})

test('a lost connection fails what is under way, and the next call has a new one', async () => {
  let answer = false
  await using t = await setup((stream) => {
    if (answer) return json(stream, map('a'))
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    stream.write('{"half":')
  })
  const watch = t.client.watch(ConfigMap)[Symbol.asyncIterator]().next()
  const call = t.client.get(ConfigMap, { name: 'a' })
  const both = Promise.allSettled([watch, call])
  while (t.seen.length < 2) await settle()
  t.kill()
  const [watched, called] = await both
  // A server that goes in good order ends a watch quietly; half an event is never heard.
  assert.ok(watched.status === 'fulfilled' ? watched.value.done : isStatus(watched.reason, 'ServiceUnavailable'))
  assert.ok(called.status === 'rejected' && isStatus(called.reason, 'ServiceUnavailable'))
  answer = true
  assert.equal((await t.client.get(ConfigMap, { name: 'a' })).metadata.name, 'a')
})

test('nobody there: ServiceUnavailable with the cause', async () => {
  const { address } = await (async () => {
    await using t = await setup(() => {})
    return t
  })()
  const client = httpsClient({ server: address, credentials: {}, userAgent: 'test/1', log: silent })
  await assert.rejects(client.get(ConfigMap, { name: 'a' }), (error) => {
    assert.ok(isStatus(error, 'ServiceUnavailable'))
    assert.equal((error.cause as NodeJS.ErrnoException).code, 'ECONNREFUSED')
    return true
  })
  client.close()
})

test('a server that says nothing to a connection is given up in time, and at once by who does not want to wait', async () => {
  const server = net.createServer()
  const sockets: net.Socket[] = []
  server.on('connection', (socket) => sockets.push(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const clock = fakeClock()
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = httpsClient({ server: address, credentials: {}, userAgent: 'test/1', log: silent, clock })
  const impatient = new AbortController()
  const given = assert.rejects(
    client.get(ConfigMap, { name: 'a' }),
    (error) => isStatus(error, 'ServiceUnavailable') && /within 10 s/.test(String(error)),
  )
  const left = assert.rejects(client.get(ConfigMap, { name: 'a' }, { signal: impatient.signal }), /enough/)
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  impatient.abort(new Error('enough'))
  await left
  const closed = once(socket.resume(), 'close')
  await clock.advance(10_000)
  await Promise.all([given, closed])
  client.close()
  for (const each of sockets) each.destroy()
  server.close()
})

test('a link that has gone dead is noticed within seconds, and a live one is left alone', async () => {
  await using t = await setup((stream) => {
    stream.respond({ ':status': 200 })
    stream.write(event('ADDED', map('a')))
  })
  const watch = t.client.watch(ConfigMap)[Symbol.asyncIterator]()
  await watch.next()
  let ended = false
  const end = assert.rejects(watch.next(), (error) => isStatus(error, 'ServiceUnavailable')).then(() => (ended = true))
  const [session] = t.sessions
  for (let i = 0; i < 4; i++) {
    const pinged = once(session!, 'ping')
    await t.clock.advance(4_000)
    await pinged
    await settle(50)
    assert.equal(ended, false)
  }
  t.unplug()
  await t.clock.advance(9_000)
  await end
})

test('a connection that is given up fails what is under way at once, and the next call makes another', async () => {
  await using t = await setup((stream, headers) => {
    if (headers[':path']?.includes('watch')) stream.respond({ ':status': 200 })
    else json(stream, map('a'))
  })
  const watch = t.client.watch(ConfigMap)[Symbol.asyncIterator]().next()
  const failed = assert.rejects(watch, (error) => isStatus(error, 'ServiceUnavailable'))
  while (t.seen.length < 1) await settle()
  const [first] = t.sessions
  t.client.reconnect()
  await failed
  await t.client.get(ConfigMap, { name: 'a', namespace: 'default' })
  assert.ok(![...t.sessions].includes(first!) || t.sessions.size === 2)
})

test('after close nothing is under way and nothing can be', async () => {
  await using t = await setup((stream) => stream.respond({ ':status': 200 }))
  const watch = t.client.watch(ConfigMap)[Symbol.asyncIterator]().next()
  const failed = assert.rejects(watch, (error) => isStatus(error, 'ServiceUnavailable'))
  while (t.seen.length < 1) await settle()
  t.client.close()
  await failed
  await assert.rejects(t.client.get(ConfigMap, { name: 'a' }), (error) => isStatus(error, 'ServiceUnavailable'))
  await settle()
  assert.equal(t.clock.pending, 0)
})
