import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { namespaces } from 'nft-js'
import { createWebSocketStream, WebSocket } from 'ws'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import { SpdyConnection } from '#api/streaming/spdy/connection.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { openAuthority } from '#control/pki/authority.ts'
import { agentClientName, openPki } from '#control/pki/pki.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { exitOf, needsContainers, testRuntime } from '../runtime/testing.ts'
import { openAgentServer } from './server.ts'

const options = { skip: needsContainers }

async function agent(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-pki-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const authority = await openAuthority({ dir, now: Date.now })
  const issue = async (commonName: string, usage: 'client' | 'server') => ({
    ca: authority.cert,
    ...(await authority.issue({ commonName, usage, hosts: ['127.0.0.1'] })),
  })
  const [tls, ours, others] = await Promise.all([issue('node', 'server'), issue('api', 'client'), issue('somebody', 'client')])
  const world = await testRuntime(t)
  const pods: Pod[] = []
  const server = await openAgentServer({
    runtime: world.runtime,
    pods: () => pods,
    nodeName: 'n1',
    tls,
    callers: ['api'],
    log: silent,
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
  })
  t.after(() => server.close())

  const ask = (path: string, extra: RequestOptions = {}) =>
    request({ host: '127.0.0.1', port: server.port, path, agent: false, ...ours, ...extra })
  const get = async (path: string, extra?: RequestOptions) => {
    const req = ask(path, extra)
    req.end()
    const [res] = await once(req, 'response')
    return { code: res.statusCode as number, body: await text(res) }
  }
  const upgrade = async (path: string, version: string): Promise<{ spdy: SpdyConnection; version: unknown }> => {
    const req = ask(path, { method: 'POST', headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': version } })
    req.end()
    const [res, socket, head] = await Promise.race([
      once(req, 'upgrade'),
      once(req, 'response').then(async ([res]) => assert.fail(await text(res))),
    ])
    socket.unshift(head)
    return { spdy: new SpdyConnection({ transport: socket, side: 'client' }), version: res.headers['x-stream-protocol-version'] }
  }
  const dial = (path: string, protocol: string | string[]) => new WebSocket(`wss://127.0.0.1:${server.port}${path}`, protocol, ours)
  // By hand, since `ws` refuses to ask for a protocol with a slash, and to get one that it did not ask for.
  const tunnelled = async (path: string, protocol: string): Promise<Duplex> => {
    const headers = {
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-version': '13',
      'sec-websocket-protocol': protocol,
    }
    const req = ask(path, { headers: { connection: 'Upgrade', upgrade: 'websocket', ...headers } })
    req.end()
    const [res, socket, head] = await once(req, 'upgrade')
    assert.equal(res.headers['sec-websocket-protocol'], protocol)
    const client = Reflect.construct(WebSocket, [null, undefined, { autoPong: true }]) as WebSocket
    Object.assign(client, { _isServer: false })
    const { setSocket } = client as unknown as { setSocket(socket: Duplex, head: Buffer, options: object): void }
    setSocket.call(client, socket, head, { allowSynchronousEvents: true, maxPayload: 1 << 20, skipUTF8Validation: false })
    return createWebSocketStream(client)
  }
  return { ...world, tunnelled, server, pods, ours, others, get, upgrade, dial }
}

/** Everything a WebSocket brings, by channel, once it is closed. */
async function channels(socket: WebSocket, send: (socket: WebSocket) => void = () => {}): Promise<Record<number, string>> {
  const seen: Record<number, string> = {}
  socket.on('open', () => send(socket))
  socket.on('message', (data: Buffer) => {
    seen[data[0]!] = (seen[data[0]!] ?? '') + data.toString('utf8', 1)
  })
  await once(socket, 'close')
  return seen
}

const command = (...args: string[]) => args.map((arg) => `command=${encodeURIComponent(arg)}`).join('&')
const exec = (...args: string[]) => `/exec/default/p/main?${command(...args)}`

test('only the API server may ask', options, async (t) => {
  const { get, others } = await agent(t)
  assert.deepEqual(await get('/healthz'), { code: 200, body: 'ok' })
  assert.equal((await get('/healthz', others)).code, 403)
  assert.equal((await get('/healthz', { cert: undefined, key: undefined })).code, 401)
  assert.equal(JSON.parse((await get('/nosuch')).body).reason, 'NotFound')
  assert.equal((await get('/exec/default/p/main')).code, 400)
  assert.equal((await get('/%zz/a/b/c')).code, 404)
})

test('no certificate but the one of the server, from its own authority, opens the endpoint', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-pki-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const pki = await openPki({ dir, hosts: ['127.0.0.1'], now: Date.now })
  const other = await openAuthority({ dir: join(dir, 'other'), now: Date.now })
  const { authority } = pki.agents
  const serving = await authority.issue({ commonName: 'n1', usage: 'server', hosts: ['127.0.0.1'] })
  const server = await openAgentServer({
    runtime: {} as Runtime,
    pods: () => [],
    nodeName: 'n1',
    tls: { ca: authority.cert, ...serving },
    callers: [agentClientName],
    log: silent,
    clock: systemClock,
    host: '127.0.0.1',
    port: 0,
  })
  t.after(() => server.close())
  const ask = async (as: { cert?: string; key?: string }, headers: Record<string, string> = {}) => {
    const outgoing = request({
      host: '127.0.0.1',
      port: server.port,
      path: headers['upgrade'] ? exec('sh') : '/pods',
      ca: authority.cert,
      agent: false,
      headers,
      ...as,
    })
    outgoing.end()
    const [answer] = await Promise.race([once(outgoing, 'response'), once(outgoing, 'upgrade')])
    answer.resume()
    return (answer as IncomingMessage).statusCode
  }
  assert.equal(await ask(pki.agents.client), 200)
  const named = { commonName: agentClientName, usage: 'client' as const }
  const wrong = {
    none: {},
    'an administrator’s': pki.admin,
    'a node’s': await pki.authority.issue({ commonName: 'system:node:n2', organizations: ['system:nodes'], usage: 'client' }),
    'the name, by the authority of clients': await pki.authority.issue(named),
    'the name and the highest group, by the authority of clients': await pki.authority.issue({
      ...named,
      organizations: ['system:masters'],
    }),
    'the name, by the authority of proxies': await (await openAuthority({ dir: join(dir, 'front-proxy'), now: Date.now })).issue(named),
    'the name, by nobody’s authority': await other.issue(named),
    'the front proxy’s': pki.frontProxy.client,
    'the API server’s own for its clients': pki.serving,
    'another node’s for its endpoint': await authority.issue({ commonName: 'n2', usage: 'server', hosts: ['127.0.0.1'] }),
    'the name, for an endpoint': await authority.issue({ ...named, usage: 'server' }),
    'another name, by the right authority': await authority.issue({ commonName: 'system:coracle-server2', usage: 'client' }),
  }
  for (const [what, as] of Object.entries(wrong)) {
    const code = what.startsWith('another name') ? 403 : 401
    assert.equal(await ask(as), code, what)
    assert.equal(await ask(as, { connection: 'Upgrade', upgrade: 'websocket', 'x-remote-user': agentClientName }), code, what)
  }
})

test('exec over WebSocket: streams, exit codes, the end of input', options, async (t) => {
  const { runtime, spec, dial } = await agent(t)
  await runtime.start(spec())
  const all = '&stdout=true&stderr=true'
  assert.deepEqual(await channels(dial(`${exec('sh', '-c', 'echo out; echo err >&2; exit 3')}${all}`, 'v4.channel.k8s.io')), {
    1: 'out\n',
    2: 'err\n',
    3: '{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}',
  })
  const echo = await channels(dial(`${exec('cat')}&input=1&output=1`, ['v5.channel.k8s.io', 'v4.channel.k8s.io']), (socket) => {
    socket.send(Buffer.from('\0some input'))
    socket.send(Buffer.from([255, 0]))
  })
  assert.deepEqual(echo, { 1: 'some input', 3: '{"metadata":{},"status":"Success"}' })
  const missing = await channels(dial(`${exec('/nosuch')}&stdout=1`, 'v5.channel.k8s.io'))
  assert.match(
    missing[3]!,
    /"status":"Failure","message":"error executing command in container: .*no such file or directory.*"InternalError"/,
  )
})

test('exec on a terminal over WebSocket takes sizes', options, async (t) => {
  const { runtime, spec, dial } = await agent(t)
  await runtime.start(spec())
  const script = 'while ! stty size | busybox grep -q "17 71"; do sleep 0.02; done; stty size; read x; exit 4'
  const seen = await channels(dial(`${exec('sh', '-c', script)}&stdin=1&stdout=1&tty=1`, 'v5.channel.k8s.io'), (socket) => {
    socket.send(Buffer.from('\x04{"Width":71,"Height":17}'))
    socket.send(Buffer.from('\0go\r'))
  })
  // As in runtime/attach.test.ts: there may be more than one \r.
  assert.match(seen[1]!, /17 71\r+\n/)
  assert.match(seen[3]!, /"ExitCode","message":"4"/)
})

test('a client that leaves takes its command with it', options, async (t) => {
  const { runtime, spec, dial } = await agent(t)
  const { id } = await runtime.start(spec({ command: 'sleep 1000; exit' }))
  const socket = dial(`${exec('sh', '-c', 'echo up; sleep 777')}&stdout=1`, 'v5.channel.k8s.io')
  await once(socket, 'message')
  socket.terminate()
  const gone = async () => {
    const { code } = await new Promise<{ code: number }>((resolve, reject) => {
      runtime
        .exec(id, { args: ['sh', '-c', 'busybox ps | busybox grep -v grep | busybox grep -q "sleep 777"'], tty: false })
        .then((code) => resolve({ code }), reject)
    })
    return code !== 0
  }
  while (!(await gone()));
})

test('exec over SPDY', options, async (t) => {
  const { runtime, spec, upgrade } = await agent(t)
  await runtime.start(spec())
  const { spdy, version } = await upgrade(
    `${exec('sh', '-c', 'cat; echo err >&2; exit 5')}&input=1&output=1&error=1`,
    'v4.channel.k8s.io, v3.channel.k8s.io',
  )
  assert.equal(version, 'v4.channel.k8s.io')
  const [error, stdin, stdout, stderr] = [
    spdy.open({ streamType: 'error' }),
    spdy.open({ streamType: 'stdin' }),
    spdy.open({ streamType: 'stdout' }),
    spdy.open({ streamType: 'stderr' }),
  ]
  error.end()
  const big = 'line of input\n'.repeat(20_000)
  stdin.end(big)
  const [out, err, status] = await Promise.all([text(stdout), text(stderr), text(error)])
  assert.equal(out, big)
  assert.equal(err, 'err\n')
  assert.equal(JSON.parse(status).details.causes[0].message, '5')
  spdy.close()
  await spdy.closed
})

test('attach over WebSocket', options, async (t) => {
  const { runtime, spec, dial } = await agent(t)
  await runtime.start(spec({ command: 'read x; echo "read $x"', stdin: true, stdinOnce: true }))
  const seen = await channels(dial('/attach/default/p/main?stdin=1&stdout=1&stderr=1', 'v5.channel.k8s.io'), (socket) =>
    socket.send(Buffer.from('\0word\n')),
  )
  assert.deepEqual(seen, { 1: 'read word\n', 3: '{"metadata":{},"status":"Success"}' })
})

test('logs', options, async (t) => {
  const { runtime, spec, pods, get } = await agent(t)
  const container = spec({ command: 'echo one; echo two; echo three; while ! test -e /tmp/go; do sleep 0.02; done; echo four' })
  const { id } = await runtime.start(container)
  const exit = exitOf(runtime, id)
  const followed = get('/containerLogs/default/p/main?follow=true')
  await runtime.exec(id, { args: ['sh', '-c', '>/tmp/go'], tty: false })
  assert.deepEqual(await followed, { code: 200, body: 'one\ntwo\nthree\nfour\n' })
  await exit
  assert.equal((await get('/containerLogs/default/p/main?tailLines=2&follow=1')).body, 'three\nfour\n')
  assert.match((await get('/containerLogs/default/p/main?tailLines=1&timestamps=true')).body, /^\d{4}-\d\d-\d\dT[\d:.]+Z four\n$/)
  assert.equal((await get('/containerLogs/default/p/main?limitBytes=5')).body, 'one\nt')
  const refused = async (path: string) => {
    const { code, body } = await get(path)
    return `${code} ${JSON.parse(body).message}`
  }
  assert.equal(
    await refused('/containerLogs/default/p/main?previous=true'),
    '400 previous terminated container "main" in pod "p" not found',
  )
  assert.equal(await refused('/containerLogs/default/p/main?tailLines=-1'), '400 invalid tailLines: "-1"')
  assert.equal(await refused('/containerLogs/default/q/main'), '404 pod "q" not found')
  pods.push({ metadata: { namespace: 'default', name: 'q', uid: 'x' }, spec: { containers: [{ name: 'main' }] }, status: {} } as Pod)
  assert.equal(await refused('/containerLogs/default/q/main'), '400 container "main" in pod "q" is waiting to start: ContainerCreating')
  assert.equal(await refused('/containerLogs/default/q/other'), '400 container other is not valid for pod q')
})

test('port-forward reaches localhost of the pod, by every transport', options, async (t) => {
  const { runtime, spec, upgrade, dial, tunnelled } = await agent(t)
  const folder = mkdtempSync(join(tmpdir(), 'coracle-net-'))
  const net = join(folder, 'net')
  await namespaces.create({ net })
  t.after(async () => {
    await namespaces.unpin(net)
    rmSync(folder, { recursive: true })
  })
  const { id } = await runtime.start(spec({ args: ['nc', '-ll', '-p', '80', '-e', 'cat'], namespaces: { net, pid: 'new' } }))

  await runtime.exec(id, {
    args: ['sh', '-c', 'while ! busybox grep -q :0050 /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done'],
    tty: false,
  })

  const over = async (spdy: SpdyConnection, port = '80') => {
    const headers = { port, requestID: port }
    const error = spdy.open({ streamType: 'error', ...headers })
    error.end()
    const data = spdy.open({ streamType: 'data', ...headers })
    data.end('ping'.repeat(50_000))
    const result = await Promise.all([buffer(data), text(error)])
    return { bytes: result[0].length, error: result[1] }
  }
  const { spdy } = await upgrade('/portForward/default/p?port=80', 'portforward.k8s.io')
  assert.deepEqual(await over(spdy), { bytes: 200_000, error: '' })
  assert.match((await over(spdy, '81')).error, /error forwarding port 81 to pod: .*ECONNREFUSED/)
  assert.deepEqual(await over(spdy), { bytes: 200_000, error: '' })
  spdy.close()

  // As kubectl does since 1.31.
  const tunnel = await tunnelled('/portForward/default/p', 'SPDY/3.1+portforward.k8s.io')
  const inside = new SpdyConnection({ transport: tunnel, side: 'client' })
  assert.deepEqual(await over(inside), { bytes: 200_000, error: '' })
  inside.close()
  await inside.closed

  const channel = dial('/portForward/default/p?ports=80', 'v4.channel.k8s.io')
  const seen: Buffer[] = []
  channel.on('message', (data: Buffer) => seen.push(data))
  await once(channel, 'open')
  channel.send(Buffer.from('\0hello'))
  while (!seen.some((message) => message[0] === 0 && message.toString('utf8', 1) === 'hello')) await once(channel, 'message')
  assert.deepEqual(
    seen.slice(0, 2).map((message) => message.toString('hex')),
    ['005000', '015000'],
  )
  channel.close()
})

test('usage of node, pods and containers', options, async (t) => {
  const { runtime, spec, get } = await agent(t)
  await runtime.start(spec())
  const { body } = await get('/stats/summary')
  const { node, pods } = JSON.parse(body)
  assert.equal(node.nodeName, 'n1')
  assert.ok(node.cpu.usageCoreNanoSeconds > 0 && node.memory.workingSetBytes > 0)
  assert.deepEqual(pods[0].podRef, { namespace: 'default', name: 'p', uid: 'u' })
  assert.ok(pods[0].containers[0].memory.usageBytes > 0)
  assert.match(
    (await get('/metrics/resource')).body,
    /^container_cpu_usage_seconds_total\{container="main",namespace="default",pod="p"\} [\d.e-]+ \d+$/m,
  )
  assert.equal(JSON.parse((await get('/pods')).body).kind, 'PodList')
  assert.deepEqual(await get('/run/default/p/main?cmd=echo%20ran', { method: 'POST' }), { code: 200, body: 'ran\n' })
})
