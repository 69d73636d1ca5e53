// Servers that stand behind the API server and answer as an attacker would: pods behind a proxy, agents of nodes
// that were broken into.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer, request, type Server as SecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { Node, Pod } from '#api/kinds/index.ts'
import { here } from '#control/server/testing/dial.fake.ts'
import { type Live, live } from '#control/server/testing/live.fake.ts'

const MiB = 1024 * 1024
let server: Live
let web: Server
let agent: SecureServer
/** What the servers behind have been rid of. */
let written = 0
let page: Buffer

/** `bytes` of it, without a word on how many they are. */
const lots = (bytes: number) =>
  Readable.from(
    (function* () {
      for (let left = bytes; left > 0; left -= 65_536) {
        written += 65_536
        yield Buffer.alloc(65_536, '<')
      }
    })(),
  )

before(async () => {
  server = await live()
  web = createServer((incoming, outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'text/html' })
    if (incoming.url === '/endless') lots(64 * MiB).pipe(outgoing)
    else outgoing.end(page)
  })
  const tls = await server.pki.agents.authority.issue({ commonName: 'bad', usage: 'server', hosts: ['bad'] })
  agent = createSecureServer(tls, (incoming, outgoing) => {
    outgoing.writeHead(incoming.url?.startsWith('/containerLogs') ? 500 : 200)
    lots(64 * MiB).pipe(outgoing)
  })
  for (const each of [web, agent]) await once(each.listen(0, '127.0.0.1'), 'listening')
  const client = server.server.client()
  const node = await client.create(Node, { metadata: { name: 'bad' } })
  const status = {
    ...node.status,
    addresses: [{ type: 'InternalIP' as const, address: here }],
    daemonEndpoints: { kubeletEndpoint: { Port: (agent.address() as AddressInfo).port } },
  }
  await client.update(Node, { ...node, status }, { subresource: 'status' })
  const made = await client.create(Pod, {
    metadata: { namespace: 'default', name: 'bad' },
    spec: { nodeName: 'bad', containers: [{ name: 'c', image: 'x:1', ports: [{ containerPort: (web.address() as AddressInfo).port }] }] },
  })
  await client.update(Pod, { ...made, status: { podIP: here } }, { subresource: 'status' })
})
after(async () => {
  for (const each of [web, agent]) each.close().closeAllConnections()
  await server[Symbol.asyncDispose]()
})

const proxied = (path: string) => `/api/v1/namespaces/default/pods/bad/proxy/${path}`

test('a page that goes on for ever is passed on, not gathered', async () => {
  const stop = new AbortController()
  const { cert, key } = server.pki.admin
  const at = { host: '127.0.0.1', port: server.server.port, ca: server.pki.authority.cert, cert, key, agent: false as const }
  const outgoing = request({ ...at, path: proxied('endless'), signal: stop.signal }).on('error', () => {})
  outgoing.end()
  // It is answered before all of it has come; nobody reads on, so it is asked for no more.
  const [answer] = await once(outgoing, 'response')
  assert.equal(answer.statusCode, 200)
  assert.ok(written < 48 * MiB, `${written / MiB} MiB were taken`)
  stop.abort()
})

test('links are found in one look at a page, whatever it is made of', async () => {
  const took = async (text: string) => {
    page = Buffer.from(text)
    const from = process.cpuUsage()
    const answer = await server.ask('GET', proxied('page'))
    assert.equal(answer.text.length, text.length)
    const { user, system } = process.cpuUsage(from)
    return user + system
  }
  for (const piece of ['<', '< ', '<a href', '<a href= ', '<a href=x ', ' href = ']) {
    const of = (bytes: number) => piece.repeat(bytes / piece.length)
    await took(of(MiB / 16))
    const small = await took(of(MiB / 16))
    // Sixteen times as much, with as much again for what else the process does; squared it were 256 times.
    assert.ok((await took(of(MiB))) < 64 * (small + 5_000), `${JSON.stringify(piece)} takes long`)
  }
  page = Buffer.from('<a href="/a">a</a><p <img src=/b>c</p>')
  const root = proxied('page').slice(0, -'/page'.length)
  assert.equal((await server.ask('GET', proxied('page'))).text, `<a href="${root}/a">a</a><p <img src=${root}/b>c</p>`)
})

test('of what an agent says no more is taken than it may say', async () => {
  for (const path of ['/api/v1/namespaces/default/pods/bad/log', '/apis/metrics.k8s.io/v1beta1/nodes']) {
    written = 0
    const { code } = await server.ask('GET', path)
    assert.ok(code === 500 || code === 200, path)
    assert.ok(written < 32 * MiB, `${path}: ${written / MiB} MiB were taken`)
  }
})
