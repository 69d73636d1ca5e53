// Proxies to pods, services and nodes, over real sockets.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server as HttpServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { Endpoints, Node, Pod, Service } from '#api/kinds/index.ts'
import { here } from '../testing/dial.fake.ts'
import { type Live, live } from '../testing/live.fake.ts'

let own: Live
let web: HttpServer
let secure: HttpsServer
const portOf = (server: HttpServer | HttpsServer) => (server.address() as AddressInfo).port
const base = '/api/v1/namespaces/default'

const answer: RequestListener = (incoming, outgoing) => {
  void (async () => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://x')
    if (pathname === '/moved') return outgoing.writeHead(302, { location: '/new?a=b' }).end()
    if (pathname === '/away') return outgoing.writeHead(302, { location: 'https://example.com/x' }).end()
    if (pathname === '/self') return outgoing.writeHead(302, { location: `http://127.0.0.1:${portOf(web)}/new` }).end()
    if (pathname === '/page') {
      const page = '<a href="/a">a</a> <img src=/b.png> <a href="//other/x">o</a> <a href="rel">r</a> /not-a-link é'
      return outgoing.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'set-cookie': ['a=1', 'b=2'] }).end(page)
    }
    if (pathname === '/slow') {
      outgoing.write('first ')
      await once(letGo, 'go')
      return outgoing.end('second')
    }
    return outgoing.end(JSON.stringify({ ...seen(incoming), body: await text(incoming) }))
  })()
}
const seen = ({ method, url, headers }: IncomingMessage) => ({
  method,
  url,
  secret: [headers.authorization, headers.cookie, headers['x-remote-user'], headers['impersonate-user']],
  uri: headers['x-forwarded-uri'],
  own: headers['x-own'],
})
const letGo = new EventTarget()

before(async () => {
  own = await live()
  const client = own.server.client()
  web = createServer(answer)
  web.on('upgrade', (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
    socket.pipe(socket)
  })
  secure = createHttpsServer(await own.pki.authority.issue({ commonName: 'other', usage: 'server' }), answer)
  for (const each of [web, secure]) await once(each.listen(0, '127.0.0.1'), 'listening')
  const made = await client.create(Pod, {
    metadata: { namespace: 'default', name: 'web' },
    spec: { containers: [{ name: 'c', image: 'x:1', ports: [{ containerPort: portOf(web) }] }] },
  })
  await client.update(Pod, { ...made, status: { podIP: here } }, { subresource: 'status' })
  const ports = [
    { name: 'plain', port: 80 },
    { name: 'secure', port: 443 },
  ]
  await client.create(Service, { metadata: { namespace: 'default', name: 'web' }, spec: { ports } })
  const subset = ports.map(({ name }) => ({ name, port: portOf(name === 'plain' ? web : secure) }))
  await client.create(Endpoints, {
    metadata: { namespace: 'default', name: 'web' },
    subsets: [{ addresses: [{ ip: here }], ports: subset }],
  })
  const node = await client.create(Node, { metadata: { name: 'n1' } })
  await client.update(
    Node,
    { ...node, status: { ...node.status, addresses: [{ type: 'InternalIP', address: here }] } },
    { subresource: 'status' },
  )
})

after(async () => {
  await own[Symbol.asyncDispose]()
  web.close()
  secure.close()
})

test('pods, services and nodes by name, port and scheme', async () => {
  for (const path of [
    `${base}/pods/web/proxy/a%2Fb?c=d`,
    `${base}/pods/web:${portOf(web)}/proxy/a%2Fb?c=d`,
    `${base}/pods/https:web:${portOf(secure)}/proxy/a%2Fb?c=d`,
    `${base}/services/web/proxy/a%2Fb?c=d`,
    `${base}/services/web:80/proxy/a%2Fb?c=d`,
    `${base}/services/http:web:plain/proxy/a%2Fb?c=d`,
    `${base}/services/https:web:secure/proxy/a%2Fb?c=d`,
    `/api/v1/nodes/n1:${portOf(web)}/proxy/a%2Fb?c=d`,
    `/api/v1/nodes/https:n1:${portOf(secure)}/proxy/a%2Fb?c=d`,
  ]) {
    const { code, text } = await own.ask('GET', path, { headers: { cookie: 'x=y', 'x-remote-user': 'root' } })
    assert.equal(code, 200, `${path}: ${text}`)
    const told = JSON.parse(text)
    assert.deepEqual([told.url, told.uri, told.secret], ['/a%2Fb?c=d', path.slice(0, -4), [null, null, null, null]], path)
  }
})

test('every method, with bodies as large as may be, and their own headers', async () => {
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    const body = method === 'GET' ? undefined : 'x'.repeat(method === 'POST' ? 4_000_000 : 1000)
    const { code, text } = await own.ask(method, `${base}/services/web/proxy/x`, { headers: { 'x-own': 'mine' }, ...(body && { body }) })
    assert.equal(code, 200)
    const told = JSON.parse(text)
    assert.deepEqual([told.method, told.own, told.body.length], [method, 'mine', body?.length ?? 0])
  }
  assert.deepEqual([(await own.ask('HEAD', `${base}/services/web/proxy/x`)).text], [''])
})

test('answers stream, places and links stay below, cookies stay apart', async () => {
  const root = `${base}/services/web/proxy`
  const places = await Promise.all(
    ['', '/moved', '/away', '/self'].map(async (path) => (await own.ask('GET', root + path)).headers.location),
  )
  assert.deepEqual(places, [`${root}/`, `${root}/new?a=b`, 'https://example.com/x', `${root}/new`])
  const page = await own.ask('GET', `${root}/page`)
  const links = `<a href="${root}/a">a</a> <img src=${root}/b.png> <a href="//other/x">o</a> <a href="rel">r</a> /not-a-link é`
  assert.equal(page.text, links)
  assert.deepEqual(page.headers['set-cookie'], ['a=1', 'b=2'])
  const slow = own.ask('GET', `${root}/slow`)
  await once(web, 'request')
  letGo.dispatchEvent(new Event('go'))
  assert.equal((await slow).text, 'first second')
})

test('connections are upgraded through', async () => {
  for (const path of [`${base}/services/web/proxy/ws`, `${base}/pods/web/proxy/ws`, `/api/v1/nodes/n1:${portOf(web)}/proxy/ws`])
    assert.equal(await own.upgrade(path, 'ping'), 'ping')
})

test('what is not there is a Status', async () => {
  for (const [path, code] of [
    [`${base}/services/none/proxy/`, 404],
    [`${base}/services/web:none/proxy/`, 503],
    [`${base}/pods/web:1/proxy/`, 503],
    [`${base}/pods/ftp:web:1/proxy/`, 400],
    [`${base}/pods/web:99999/proxy/`, 400],
    [`${base}/pods/web/status/more`, 404],
  ] as const) {
    const { body } = await own.ask('GET', path)
    assert.deepEqual([body.kind, body.code], ['Status', code], path)
  }
})
