// Becoming a node, or more than that: what a join token is worth, and what nobody is asked to read who has none.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:https'
import { json } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { type FakeClock, fakeClock } from '#api/clock.fake.ts'
import { ConfigMap, Node, Secret } from '#api/kinds/index.ts'
import { makeKey } from '#api/x509/key.ts'
import { makeRequest } from '#api/x509/request.ts'
import { joinTokenOf } from '#control/pki/pki.ts'
import { type Credentials, type Live, live } from '#control/server/testing/live.fake.ts'

type SecretType = Secret['type']

let server: Live
let clock: FakeClock
let csr: string
const secret = '0123456789abcdef'

before(async () => {
  clock = fakeClock()
  server = await live({ clock, identity: { names: ['api.example.com'], addresses: ['198.51.100.1', '127.0.0.1'] } })
  csr = makeRequest('anybody', await makeKey())
  const client = server.server.client()
  await client.create(Node, { metadata: { name: 'there' } })
  await token('newone')
})
after(() => server[Symbol.asyncDispose]())

/** Long enough for every attempt that failed to be forgotten. */
const rest = () => clock.advance(10 * 60_000)

const bearer = (id: string, word = secret) => `Bearer ${joinTokenOf(server.pki.authority.cert, `${id}.${word}`)}`

async function token(id: string, data: Record<string, string> = {}, type: SecretType = 'bootstrap.kubernetes.io/token') {
  const stringData = { 'token-id': id, 'token-secret': secret, 'usage-bootstrap-authentication': 'true', ...data }
  await server.server.client().create(Secret, { metadata: { namespace: 'kube-system', name: `bootstrap-token-${id}` }, type, stringData })
}

type Ask = { authorization?: string; as?: Credentials; type?: string; method?: string }

async function post(sent: string | Buffer, { authorization = bearer('newone'), as, type = 'application/json', method = 'POST' }: Ask = {}) {
  const outgoing = request({
    host: '127.0.0.1',
    port: server.server.port,
    path: '/coracle/v1/join',
    method,
    ca: server.pki.authority.cert,
    agent: false,
    ...as,
    headers: { 'content-type': type, 'content-length': Buffer.byteLength(sent), ...(authorization && { authorization }) },
  })
  outgoing.end(sent)
  const [answer] = await once(outgoing, 'response')
  const body = (await json(answer)) as Record<string, string>
  return { code: answer.statusCode as number, body }
}

const body = (more: object = {}) => JSON.stringify({ nodeName: 'edge', addresses: ['192.0.2.7'], clientCsr: csr, servingCsr: csr, ...more })
const join = (more: object = {}, options?: Ask) => post(body(more), options)

async function refused(code: number, reason: string, words: RegExp, more: object, options?: Ask) {
  await rest()
  const { code: got, body: status } = await join(more, options)
  assert.deepEqual([got, status['reason'], status['clientCert']], [code, reason, undefined], JSON.stringify([more, status]))
  assert.match(status['message'] ?? '', words)
}

test('a new node gets certificates for itself, from an authority for each purpose', async () => {
  const { code, body: answer } = await join({ addresses: ['192.0.2.7', '2001:db8::7', '::ffff:192.0.2.8'] })
  assert.equal(code, 200)
  const [client, serving] = [new X509Certificate(answer['clientCert'] ?? ''), new X509Certificate(answer['servingCert'] ?? '')]
  assert.deepEqual([client.subject, client.subjectAltName], ['CN=system:node:edge\nO=system:nodes', undefined])
  assert.equal(serving.subjectAltName, 'DNS:edge, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7, IP Address:192.0.2.8')
  assert.ok(client.verify(new X509Certificate(server.pki.authority.cert).publicKey))
  assert.ok(!serving.verify(new X509Certificate(server.pki.authority.cert).publicKey), "no client of the server's would trust it")
  assert.ok(serving.verify(new X509Certificate(answer['agentsCa'] ?? '').publicKey))
})

test('no name or address of the server, of services or of loopback', async () => {
  const server = ['api.example.com', 'localhost', 'a.localhost', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'svc']
  for (const nodeName of server) await refused(403, 'Forbidden', /this name is/, { nodeName })
  const addresses: [string, RegExp][] = [
    ['198.51.100.1', undefined as never],
    ['127.0.0.1', /may not be in the loopback range/],
    ['::1', /may not be in the loopback range/],
    ['::ffff:127.0.0.1', /may not be in the loopback range/],
    ['0.0.0.0', /may not be unspecified/],
    ['169.254.169.254', /may not be in the link-local range/],
    ['224.0.0.1', /multicast/],
    ['10.43.0.1', /is in the range of services/],
    ['10.43.9.9', /is in the range of services/],
  ]
  for (const [address, words] of addresses) if (words) await refused(403, 'Forbidden', words, { addresses: ['192.0.2.7', address] })
  assert.equal((await join({ addresses: ['198.51.100.1'] })).code, 200, "from the server's own host its address is the node's as well")
})

test('what is no name and no address is told, and is no failure of the server', async () => {
  const odd = [
    '*.svc:',
    'A',
    'a_b',
    '',
    '.',
    'a..b',
    '-a',
    'a'.repeat(64),
    `${'a.'.repeat(130)}a`,
    '127.0.0.1',
    '1',
    '0x7f',
    'a.1',
    'a.0x',
    'a\n',
    'a/../b',
    '__proto__',
    null,
    7,
    {},
    [],
  ]
  for (const nodeName of odd) await refused(400, 'BadRequest', /nodeName must be/, { nodeName })
  const addresses = [
    [],
    ['*.svc:'],
    ['a:b'],
    ['::1::2'],
    ['fe80::1%eth0'],
    ['1.2.3'],
    ['1.2.3.4/8'],
    [null],
    'x',
    {},
    null,
    Array(65).fill('192.0.2.7'),
  ]
  for (const each of addresses) await refused(400, 'BadRequest', /addresses must list/, { addresses: each })
  const der = Buffer.from(csr.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const pem = (bytes: Buffer) => `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  const broken = Array.from({ length: 120 }, (_, i) => {
    const bytes = Buffer.from(der)
    bytes[Math.floor((i * bytes.length) / 120)]! ^= 1 << (i % 8)
    return pem(bytes)
  })
  await rest()
  for (const each of ['', 'x', pem(Buffer.alloc(0)), pem(der.subarray(0, 40)), 'x'.repeat(20_000), 7, null, ...broken]) {
    const { code } = await join({ clientCsr: each })
    assert.ok(code === 400, `${code} for ${JSON.stringify(each)}`)
  }
})

test('a node that is there is joined by itself alone', async () => {
  await refused(403, 'Forbidden', /it exists/, { nodeName: 'there' })
  const authority = server.pki.authority
  const own = await authority.issue({ commonName: 'system:node:there', organizations: ['system:nodes'], usage: 'client' })
  const other = await authority.issue({ commonName: 'system:node:other', organizations: ['system:nodes'], usage: 'client' })
  const noNode = await authority.issue({ commonName: 'system:node:there', usage: 'client' })
  await refused(403, 'Forbidden', /it exists/, { nodeName: 'there' }, { as: other })
  await refused(403, 'Forbidden', /this certificate is that of node "other"/, { nodeName: 'there' }, { as: other, authorization: '' })
  await refused(403, 'Forbidden', /this certificate is that of node "there"/, { nodeName: 'new' }, { as: own, authorization: '' })
  await refused(401, 'Unauthorized', /with a join token/, { nodeName: 'there' }, { as: noNode, authorization: '' })
  const elsewhere = await server.pki.agents.authority.issue({
    commonName: 'system:node:there',
    organizations: ['system:nodes'],
    usage: 'client',
  })
  await refused(401, 'Unauthorized', /with a join token/, { nodeName: 'there' }, { as: elsewhere, authorization: '' })
  assert.equal((await join({ nodeName: 'there' }, { as: own, authorization: '' })).code, 200, 'its certificate is enough')
  await token('forone', { 'node-name': 'there' })
  assert.equal((await join({ nodeName: 'there' }, { authorization: bearer('forone') })).code, 200, 'or a token of its own')
  await refused(403, 'Forbidden', /this token is for node "there"/, {}, { authorization: bearer('forone') })
})

test('a token is what is kept of it, until its end', async () => {
  const wrong = /the join token is not one of this cluster/
  await token('expire', { expiration: new Date(clock.now() + 3600_000).toISOString() })
  await token('nouse0', { 'usage-bootstrap-authentication': 'false' })
  await token('badend', { expiration: 'tomorrow' })
  await token('opaque', {}, 'Opaque')
  await token('nosec0', { 'token-secret': '' })
  await token('moved0', { 'token-id': 'newone' })
  assert.equal((await join({}, { authorization: bearer('expire') })).code, 200)
  await clock.advance(3600_000)
  for (const id of ['expire', 'nouse0', 'badend', 'opaque', 'nosec0', 'moved0', 'nobody'])
    await refused(401, 'Unauthorized', wrong, {}, { authorization: bearer(id) })
  await refused(401, 'Unauthorized', wrong, {}, { authorization: bearer('newone', 'fedcba9876543210') })
  await refused(401, 'Unauthorized', wrong, {}, { authorization: bearer('../etc') })
  await refused(401, 'Unauthorized', wrong, {}, { authorization: bearer('newone').replace('K10', 'K11') })
  await token('revoke')
  assert.equal((await join({}, { authorization: bearer('revoke') })).code, 200)
  await server.server.client().delete(Secret, { namespace: 'kube-system', name: 'bootstrap-token-revoke' })
  await refused(401, 'Unauthorized', wrong, {}, { authorization: bearer('revoke') })
})

test('who has no token is asked for nothing else, and not for ever', async () => {
  await rest()
  // Nothing of it is read: it is no JSON, and far too large.
  for (const sent of ['{', Buffer.alloc(200_000, '['), '&a [*a, *a]']) {
    const { code } = await post(sent, { authorization: 'Bearer no' })
    assert.equal(code, 401)
  }
  await rest()
  for (let i = 0; i < 10; i++) assert.equal((await post('{}', { authorization: 'Bearer no' })).code, 401)
  const { code, body: status } = await post(body())
  assert.deepEqual([code, status['reason']], [429, 'TooManyRequests'], 'not even with a good one')
  await clock.advance(7_000)
  assert.equal((await join()).code, 200, 'and after a while again')
  await rest()
  assert.equal((await post(`{"nodeName":"${'x'.repeat(70_000)}"}`)).code, 413)
  assert.equal((await post('nodeName: x', { type: 'application/yaml' })).code, 415)
  assert.equal((await post('[1', {})).code, 400)
  assert.equal((await post('[]', {})).code, 400)
  assert.equal((await post('', { method: 'GET' })).code, 405)
})

test('a certificate that is revoked opens nothing: by its number, or by its name', async () => {
  const ref = { namespace: 'kube-system', name: 'coracle-revoked-certificates' }
  const client = server.server.client()
  const as = await server.pki.authority.issue({ commonName: 'system:node:stolen', organizations: ['system:nodes'], usage: 'client' })
  const nodes = async (who: Credentials) => (await server.ask('GET', '/api/v1/nodes', { as: who })).code
  assert.equal(await nodes(as), 200)
  const serial = new X509Certificate(as.cert).serialNumber
  await client.create(ConfigMap, { metadata: ref, data: { serials: `# lost\n${serial.toLowerCase().replace(/(..)(?=.)/g, '$1:')}\n` } })
  assert.equal(await nodes(as), 401)
  await refused(401, 'Unauthorized', /with a join token/, { nodeName: 'stolen' }, { as, authorization: '' })
  await client.patch(ConfigMap, ref, 'merge', { data: { serials: null, names: 'system:node:stolen # with all of its certificates' } })
  assert.equal(await nodes(as), 401)
  await refused(403, 'Forbidden', /it is revoked/, { nodeName: 'stolen' })
  await client.delete(ConfigMap, ref)
  assert.equal(await nodes(as), 200)
})
