// Who is refused is told of in the log, once, and nothing that was shown at the door.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { ConfigMap, Secret } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import { makeKey } from '#api/x509/key.ts'
import { makeRequest } from '#api/x509/request.ts'
import { joinTokenOf } from '#control/pki/pki.ts'
import { type Credentials, type Live, live } from '#control/server/testing/live.fake.ts'

type Line = { level: string; message: string; fields: Record<string, unknown> }
const lines: Line[] = []
const keep = (level: string) => (fields: Record<string, unknown>, message: string) => void lines.push({ level, message, fields })
const log: Log = { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') }
const clock = fakeClock()
let server: Live
const word = 'fedcba9876543210'
const secrets = [word, 'hunter2', Buffer.from('admin:hunter2').toString('base64'), 'eyJhbGciOiJub25lIn0', 'c2VjcmV0']

before(async () => {
  server = await live({ clock, log })
})
after(() => server[Symbol.asyncDispose]())

async function ask(
  method: string,
  path: string,
  { authorization, as, body, upgrade }: { authorization?: string; as?: Credentials; body?: string; upgrade?: string } = {},
) {
  const outgoing = request({
    host: '127.0.0.1',
    port: server.server.port,
    path,
    method,
    ca: server.pki.authority.cert,
    agent: false,
    ...as,
    headers: {
      ...(authorization && { authorization }),
      ...(body && { 'content-type': 'application/json' }),
      ...(upgrade && { connection: 'Upgrade', upgrade }),
    },
  })
  outgoing.end(body)
  const [answer] = await once(outgoing, 'response')
  await text(answer)
  return answer.statusCode as number
}

/** The lines of `work`, as text; none holds a secret. */
async function during(work: () => Promise<unknown>): Promise<Line[]> {
  const from = lines.length
  await work()
  const found = lines.slice(from)
  const all = JSON.stringify(found, (_, value: unknown) => (value instanceof Error ? `${value.stack} ${String(value.cause)}` : value))
  for (const secret of secrets) assert.ok(!all.includes(secret), `${secret} is in the log: ${all}`)
  return found
}

const pods = '/api/v1/namespaces/default/pods'

test('each who shows what is not good is told of once: where from, and what for', async () => {
  const stranger = await server.pki.agents.authority.issue({ commonName: 'admin', organizations: ['system:masters'], usage: 'client' })
  for (const shown of [
    { authorization: `Bearer ${word}` },
    { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.c2VjcmV0' },
    { authorization: 'Basic YWRtaW46aHVudGVyMg==' },
    { as: stranger },
    { authorization: `Bearer ${word}`, upgrade: 'websocket' },
  ]) {
    const found = await during(async () => assert.equal(await ask('GET', `${pods}?token=hunter2`, shown), 401))
    assert.deepEqual(found, [
      {
        level: 'warn',
        message: 'somebody was refused whose credentials are not good',
        fields: { source: '127.0.0.1', method: 'GET', path: pods },
      },
    ])
  }
})

test('a certificate that is revoked is told of as one that never was', async () => {
  const as = await server.pki.authority.issue({ commonName: 'lost', usage: 'client' })
  const ref = { namespace: 'kube-system', name: 'coracle-revoked-certificates' }
  await server.server.client().create(ConfigMap, { metadata: ref, data: { names: 'lost' } })
  const found = await during(async () => assert.equal(await ask('GET', pods, { as }), 401))
  assert.deepEqual(
    found.map(({ fields }) => fields['path']),
    [pods],
  )
})

test('each who may not join is told of once, with what was wrong, and who joins with the name of the token alone', async () => {
  const csr = makeRequest('anybody', await makeKey())
  const body = JSON.stringify({ nodeName: 'edge', addresses: ['192.0.2.7'], clientCsr: csr, servingCsr: csr })
  const stringData = { 'token-id': 'newone', 'token-secret': word, 'usage-bootstrap-authentication': 'true' }
  await server.server.client().create(Secret, {
    metadata: { namespace: 'kube-system', name: 'bootstrap-token-newone' },
    type: 'bootstrap.kubernetes.io/token',
    stringData,
  })
  const bearer = (token: string) => `Bearer ${joinTokenOf(server.pki.authority.cert, token)}`
  const join = (authorization?: string) => ask('POST', '/coracle/v1/join', { body, ...(authorization && { authorization }) })
  for (const authorization of [undefined, bearer('newone.hunter2'), bearer(`nobody.${word}`), 'Basic YWRtaW46aHVudGVyMg==']) {
    const found = await during(async () => assert.equal(await join(authorization), 401))
    assert.equal(found.length, 1, JSON.stringify(found))
    assert.equal(found[0]?.message, 'somebody was refused who wanted to join')
    assert.deepEqual([found[0]?.level, found[0]?.fields['source'], typeof found[0]?.fields['why']], ['warn', '127.0.0.1', 'string'])
  }
  const found = await during(async () => assert.equal(await join(bearer(`newone.${word}`)), 200))
  assert.deepEqual(
    found.map(({ level, fields }) => [level, fields]),
    [['info', { node: 'edge', source: '127.0.0.1', token: 'newone' }]],
  )
})

test('who is refused again and again does not fill the log', async () => {
  await clock.advance(10 * 60_000)
  const found = await during(async () => {
    for (let i = 0; i < 40; i += 1) assert.equal(await ask('GET', pods, { authorization: `Bearer ${word}` }), 401)
  })
  assert.equal(found.length, 10)
  await clock.advance(6_000)
  assert.equal((await during(() => ask('GET', pods, { authorization: `Bearer ${word}` }))).length, 1)
})
