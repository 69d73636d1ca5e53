// What the server passes on to agents and pods, over real sockets.

import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer as createHttpServer, type Server as HttpServer, type ServerResponse } from 'node:http'
import { createServer, type Server as HttpsServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { WebSocket } from 'ws'
import { systemClock } from '#api/clock.ts'
import { Node, Pod, ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki, type Pki } from '#control/pki/pki.ts'
import { memoryStore } from '../../store/memory.ts'
import type { Store } from '../../store/store.ts'
import { type Server, startServer } from '../server.ts'
import { dialHere, here } from '../testing/dial.fake.ts'

const pods = '/api/v1/namespaces/default/pods'

describe('an agent', () => {
  let dir: string
  let pki: Pki
  let store: Store
  let server: Server
  let agent: HttpsServer
  let web: HttpServer
  /** `METHOD path as COMMON-NAME`, of every request that reached the agent. */
  const calls: string[] = []
  /** The answer to whoever follows. */
  const held = Promise.withResolvers<ServerResponse>()

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coracle-agents-'))
    pki = await openPki({ dir, hosts: ['127.0.0.1'], now: Date.now })
    store = await memoryStore()
    server = await startServer({
      store,
      pki,
      listen: { host: '127.0.0.1', port: 0 },
      advertise: { address: '127.0.0.1' },
      dial: dialHere,
      clock: systemClock,
      log: silent,
    })
    const own = await pki.agents.authority.issue({ commonName: 'n1', usage: 'server', hosts: ['127.0.0.1'] })
    agent = createServer({ ...own, ca: pki.agents.authority.cert, requestCert: true, rejectUnauthorized: true }, (incoming, outgoing) => {
      calls.push(`${incoming.method} ${incoming.url} as ${String((incoming.socket as TLSSocket).getPeerCertificate().subject.CN)}`)
      if (incoming.url?.includes('previous')) outgoing.writeHead(400).end('previous terminated container "c" not found')
      else if (incoming.url?.includes('sinceSeconds=7')) {
        outgoing.write('one\n')
        held.resolve(outgoing)
      } else outgoing.end('hello from the container\n')
    })
    agent.on('upgrade', (incoming, socket) => {
      calls.push(`UPGRADE ${incoming.url}`)
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.pipe(socket)
    })
    web = createHttpServer((incoming, outgoing) =>
      outgoing.end(`pod says ${incoming.method} ${incoming.url} ${incoming.headers.authorization}`),
    )
    for (const each of [agent, web]) await once(each.listen(0, '127.0.0.1'), 'listening')
    const client = server.client()
    await client.create(ServiceAccount, { metadata: { namespace: 'default', name: 'default' } })
    const node = await client.create(Node, { metadata: { name: 'n1' } })
    const { port } = agent.address() as AddressInfo
    const status = {
      ...node.status,
      addresses: [{ type: 'InternalIP' as const, address: here }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    }
    await client.update(Node, { ...node, status }, { subresource: 'status' })
    for (const name of ['bound', 'free']) {
      await client.create(Pod, { metadata: { namespace: 'default', name }, spec: { containers: [{ name: 'c', image: 'i' }] } })
    }
    await client.create(Pod, { metadata: { namespace: 'default', name: 'bound' }, target: { name: 'n1' } }, { subresource: 'binding' })
    await client.patch(Pod, { namespace: 'default', name: 'bound' }, 'merge', { status: { podIP: here } }, { subresource: 'status' })
  })
  after(async () => {
    await server?.close()
    await store?.close()
    for (const each of [agent, web]) each?.close().closeAllConnections()
    await rm(dir, { recursive: true })
  })

  function ask(path: string, options: { upgrade?: string; credentials?: object; authorization?: string } = {}) {
    return new Promise<{ code: number; text: string }>((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port: server.port,
        path,
        ca: pki.authority.cert,
        ...(options.credentials ?? pki.admin),
        agent: false,
        headers: {
          ...(options.upgrade && { connection: 'Upgrade', upgrade: 'echo' }),
          ...(options.authorization && { authorization: options.authorization }),
        },
      })
      outgoing.on('response', (response) => {
        text(response).then((body) => resolve({ code: response.statusCode ?? 0, text: body }), reject)
      })
      outgoing.on('upgrade', (response, socket) => {
        socket.once('data', (data: Buffer) => {
          socket.destroy()
          resolve({ code: response.statusCode ?? 0, text: data.toString() })
        })
        socket.write(options.upgrade ?? '')
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
  }
  const messageOf = (text: string) => (JSON.parse(text) as { message: string }).message

  it('is asked for logs by the server, with the server’s certificate', async () => {
    const { code, text } = await ask(`${pods}/bound/log?tailLines=5&follow=true`)
    assert.deepEqual([code, text], [200, 'hello from the container\n'])
    assert.equal(calls.at(-1), 'GET /containerLogs/default/bound/c?follow=true&tailLines=5 as system:coracle-server')
  })

  it('has its refusals told as they are', async () => {
    const { code, text } = await ask(`${pods}/bound/log?previous=true`)
    assert.deepEqual([code, messageOf(text)], [400, 'previous terminated container "c" not found'])
    assert.equal(messageOf((await ask(`${pods}/free/log`)).text), 'pod free does not have a host assigned')
    assert.equal(messageOf((await ask(`${pods}/bound/log?container=x`)).text), 'container x is not valid for pod bound')
    assert.equal((await ask(`${pods}/none/log`)).code, 404)
  })

  const overWebSocket = (path: string, protocols: string[] = []) =>
    new WebSocket(`wss://127.0.0.1:${server.port}${path}`, protocols, { ca: pki.authority.cert, ...pki.admin })

  for (const [protocol, isBinary] of [
    ['binary.k8s.io', true],
    ['base64.binary.k8s.io', false],
    ['', true],
  ] as const) {
    it(`sends logs over a WebSocket under ${protocol || 'no subprotocol'}`, async () => {
      const socket = overWebSocket(`${pods}/bound/log`, protocol ? [protocol] : [])
      const messages: [text: string, isBinary: boolean][] = []
      socket.on('message', (data: Buffer, binary) => messages.push([data.toString(), binary]))
      const [code] = await once(socket, 'close')
      const said = 'hello from the container\n'
      assert.deepEqual([socket.protocol, code], [protocol, 1000])
      assert.deepEqual(messages, [
        ['', isBinary],
        [isBinary ? said : Buffer.from(said).toString('base64'), isBinary],
      ])
    })
  }

  it('is followed over a WebSocket, until its client goes', async () => {
    const socket = overWebSocket(`${pods}/bound/log?follow=true&sinceSeconds=7`, ['v9.unknown', 'binary.k8s.io'])
    const messages = on(socket, 'message')
    const next = async () => String(((await messages.next()).value as [Buffer])[0])
    assert.equal(await next(), '')
    assert.equal(await next(), 'one\n')
    const answer = await held.promise
    answer.write('two\n')
    assert.equal(await next(), 'two\n')
    const ended = once(answer, 'close')
    socket.close()
    await ended
  })

  it('has refusals of logs told before there is a WebSocket', async () => {
    const refused = async (path: string, protocols?: string[]) => {
      const socket = overWebSocket(path, protocols)
      const [, answer] = await once(socket, 'unexpected-response')
      const said = messageOf(await text(answer))
      return [answer.statusCode, said]
    }
    assert.deepEqual(await refused(`${pods}/bound/log?previous=true`), [400, 'previous terminated container "c" not found'])
    assert.deepEqual(await refused(`${pods}/none/log`), [404, 'pods "none" not found'])
    assert.deepEqual(await refused(`${pods}/bound/log`, ['v4.channel.k8s.io']), [
      400,
      'unable to upgrade: none of v4.channel.k8s.io is supported',
    ])
  })

  it('gets exec, attach and port-forward joined through', async () => {
    const { code, text } = await ask(`${pods}/bound/exec?command=ls&command=-l&stdin=true&stdout=true&tty=true`, { upgrade: 'ping' })
    assert.deepEqual([code, text], [101, 'ping'])
    assert.equal(calls.at(-1), 'UPGRADE /exec/default/bound/c?input=1&output=1&tty=1&command=ls&command=-l')
    await ask(`${pods}/bound/portforward?ports=80`, { upgrade: 'ping' })
    assert.equal(calls.at(-1), 'UPGRADE /portForward/default/bound?port=80')
  })

  it('is not reached by those who may not', async () => {
    const before = calls.length
    const nobody = await ask(`${pods}/bound/exec?command=ls`, { upgrade: 'ping', credentials: {} })
    assert.equal(nobody.code, 403)
    const wrong = await ask(`${pods}/bound/exec?command=ls`, { upgrade: 'ping', credentials: {}, authorization: 'Bearer x' })
    assert.equal(wrong.code, 401)
    assert.equal((await ask(`${pods}/free/exec?command=ls`, { upgrade: 'ping' })).code, 400)
    assert.equal((await ask('/api/v1/namespaces/default/services/x/exec', { upgrade: 'ping' })).code, 404)
    assert.equal(calls.length, before)
  })

  it('and a pod are reached by proxy, without the caller’s credentials', async () => {
    const { port } = web.address() as AddressInfo
    const answer = await ask(`${pods}/bound:${port}/proxy/a/b%20c?d=e`, { authorization: 'Bearer x' })
    assert.deepEqual([answer.code, answer.text], [200, 'pod says GET /a/b%20c?d=e undefined'])
    await ask('/api/v1/nodes/n1/proxy/stats')
    assert.equal(calls.at(-1), 'GET /stats as system:coracle-server')
    assert.equal((await ask(`${pods}/bound:1/proxy/`)).code, 503)
  })
})
