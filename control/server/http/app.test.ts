// Which path is which: in memory, by the app itself.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { NodeHeaders } from '#api/http/incoming.ts'
import { anonymous, type User } from '#control/auth/user.ts'
import { admin, type Trial, trial } from '../testing/trial.fake.ts'
import { readBytes } from './body.ts'

let server: Trial
before(async () => {
  server = await trial()
  server.ready()
})
after(() => server.close())

const nobody: User = { name: anonymous.name, groups: [...anonymous.groups] }

async function codeOf(method: string, path: string, user: User = admin): Promise<number> {
  const response = await server.app.request(`http://localhost${path}`, { method }, { user })
  const text = await response.text()
  if (method === 'HEAD') assert.equal(text, '', path)
  // Health speaks to people; whatever else fails is a Status.
  else if (response.status >= 400 && !/^\/(health|live|ready)z\b/.test(path))
    assert.equal(JSON.parse(text).code, response.status, `${method} ${path}: ${text}`)
  assert.ok(response.headers.get('audit-id'), `${method} ${path} has an id`)
  return response.status
}

test('pages are read, with slashes at their end or without, and there are no others', async () => {
  const pages = '/ /version /api /api/v1 /apis /apis/apps /apis/apps/v1 /metrics /openapi/v3 /openapi/v3/api/v1'.split(' ')
  const health = '/healthz /livez /readyz /readyz/ping /livez/store'.split(' ')
  for (const path of [...pages, ...health]) {
    for (const end of path.startsWith('/openapi/v3/') ? [''] : ['', '/']) {
      assert.equal(await codeOf('GET', path + end), 200, path + end)
      assert.equal(await codeOf('HEAD', path + end), 200, `HEAD ${path}${end}`)
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) assert.equal(await codeOf(method, path), 405, `${method} ${path}`)
  }
  const none = '/nope //version /version/x /api/v2 /apis/nope /apis//v1 /apis/apps/v9 /apis/%61pps /%76ersion /metrics/x /api//v1'
  const odd = '/openapi /openapi/v3/nope /healthz/nope //healthz /healthzz /__proto__ /constructor /a/../nope'
  for (const path of `${none} ${odd}`.split(' ')) {
    assert.equal(await codeOf('GET', path), 404, path)
    assert.equal(await codeOf('HEAD', path), 404, `HEAD ${path}`)
  }
})

test('who nobody knows may see health and the version, and join by that one path', async () => {
  for (const [method, path, code] of [
    ['GET', '/healthz', 200],
    ['GET', '/livez/ping', 200],
    ['GET', '/version', 200],
    ['GET', '/metrics', 403],
    ['GET', '/nope', 403],
    ['POST', '/nope', 403],
    ['GET', '/coracle/v1/join', 405],
    ['POST', '/coracle/v1/join', 401],
    ['POST', '/coracle/v1/join/', 403],
    ['POST', '/coracle/v1/join/x', 403],
    ['POST', '//coracle/v1/join', 403],
    ['GET', '/api/v1/namespaces/default/pods', 403],
    ['GET', '/api/v1/namespaces/%zz/pods', 400],
  ] as const) {
    assert.equal(await codeOf(method, path, nobody), code, `${method} ${path}`)
  }
})

test('without a user and without a connection nobody asks', async () => {
  const response = await server.app.request('/version')
  assert.deepEqual([response.status, response.headers.get('www-authenticate')], [401, 'Bearer'])
})

test('what a resource has not is not found, what cannot be done to it is not allowed', async () => {
  for (const [method, path, code] of [
    ['GET', '/api/v1/namespaces/default/pods', 200],
    ['GET', '/api/v1/namespaces/default/pods/', 200],
    ['POST', '/api/v1/namespaces/default/pods/one', 405],
    ['PUT', '/api/v1/namespaces/default/pods', 405],
    ['OPTIONS', '/api/v1/namespaces/default/pods', 405],
    ['GET', '/api/v1/namespaces/default/nothings', 404],
    ['GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt/status', 404],
    ['GET', '/api/v1/namespaces/default/nodes', 404],
    ['GET', '/api/v1/namespaces/default/pods/one/status/more', 404],
    ['POST', '/api/v1/namespaces/default/pods/one/binding/more', 404],
    // A name that was left out means nothing; least of all everything.
    ['DELETE', '/api/v1/namespaces//configmaps', 404],
    ['GET', '/api/v1/namespaces//configmaps', 404],
    ['GET', '/api/v1/watch/namespaces//configmaps', 404],
    ['DELETE', '/apis/apps/v1/namespaces//deployments/', 404],
    ['DELETE', '/api/v1/namespaces/default/configmaps//', 404],
    ['GET', '/api/v1/namespaces/default/pods//log', 404],
  ] as const) {
    assert.equal(await codeOf(method, path), code, `${method} ${path}`)
  }
})

test('a client that goes amid its body has made a bad request, which is no failure of the server', async () => {
  const body = Readable.from(gone())
  const request = { method: 'POST', url: new URL('http://here/'), headers: new NodeHeaders({ headers: {}, rawHeaders: [] }), body }
  await assert.rejects(readBytes({ ...request, signal: new AbortController().signal }), { reason: 'BadRequest' })
})

async function* gone(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{"a')
  await new Promise(setImmediate)
  throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
}
