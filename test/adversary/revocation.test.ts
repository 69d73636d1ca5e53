// A certificate that was lost: what it opened is shut, with what runs already.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { createServer, request, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { ConfigMap, Node, Pod } from '#api/kinds/index.ts'
import { here } from '#control/server/testing/dial.fake.ts'
import { type Credentials, type Live, live } from '#control/server/testing/live.fake.ts'

let server: Live
let agent: Server
let dir: string
const pods = '/api/v1/namespaces/default/pods'

before(async () => {
  server = await live()
  const own = await server.pki.agents.authority.issue({ commonName: 'n1', usage: 'server', hosts: [here] })
  agent = createServer({ ...own, ca: server.pki.agents.authority.cert, requestCert: true }, (_, answer) => answer.write('a line\n'))
  agent.on('upgrade', (_, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello')
  })
  await once(agent.listen(0, '127.0.0.1'), 'listening')
  const client = server.server.client()
  const node = await client.create(Node, { metadata: { name: 'n1' } })
  const { port } = agent.address() as AddressInfo
  const status = {
    addresses: [{ type: 'InternalIP' as const, address: here }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  }
  await client.update(Node, { ...node, status: { ...node.status, ...status } }, { subresource: 'status' })
  await client.create(Pod, {
    metadata: { namespace: 'default', name: 'p' },
    spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i', resources: {} }] },
  })

  dir = await mkdtemp(join(tmpdir(), 'coracle-revoke-'))
  await mkdir(join(dir, 'pki'))
  await writeFile(join(dir, 'url'), `https://127.0.0.1:${server.server.port}`)
  const { authority, admin } = server.pki
  for (const [name, text] of Object.entries({ 'ca.crt': authority.cert, 'admin.crt': admin.cert, 'admin.key': admin.key }))
    await writeFile(join(dir, 'pki', name), text)
})
after(async () => {
  agent.close().closeAllConnections()
  await server[Symbol.asyncDispose]()
  await rm(dir, { recursive: true })
})

/** What `coracle revoke` prints. */
async function coracle(...args: string[]): Promise<string> {
  const main = resolve(import.meta.dirname, '../../cli/main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'revoke', ...args, `--data-dir=${dir}`])
  return stdout
}

const issue = (commonName: string) => server.pki.authority.issue({ commonName, organizations: ['system:masters'], usage: 'client' })

type Ending = { end: Promise<unknown> }

/** Resolves once the server has answered, with what resolves when the connection has ended. */
async function running(path: string, as: Credentials, upgrade = false): Promise<Ending> {
  const headers = upgrade ? { connection: 'Upgrade', upgrade: 'echo' } : {}
  const outgoing = request({
    host: '127.0.0.1',
    port: server.server.port,
    path,
    ca: server.pki.authority.cert,
    agent: false,
    headers,
    ...as,
    method: upgrade ? 'POST' : 'GET',
  })
  outgoing.on('error', () => {})
  outgoing.end()
  const [answer, upgraded = answer] = await once(outgoing, upgrade ? 'upgrade' : 'response')
  const { socket } = answer
  for (const each of [answer, socket]) each.on('error', () => {})
  // An end is seen by whoever reads to it.
  upgraded.resume()
  return { end: once(socket, 'close') }
}

async function watchOverHttp2(path: string, as: Credentials): Promise<Ending> {
  const session = connectHttp2(`https://127.0.0.1:${server.server.port}`, { ca: server.pki.authority.cert, ...as })
  session.on('error', () => {})
  const stream = session.request({ ':path': path })
  stream.on('error', () => {})
  await once(stream, 'response')
  stream.resume()
  return { end: once(session, 'close') }
}

/** Everything that can be under way. */
const all = async (as: Credentials) => ({
  watch: await running(`${pods}?watch=true`, as),
  'watch over HTTP/2': await watchOverHttp2(`${pods}?watch=true`, as),
  log: await running(`${pods}/p/log?follow=true`, as),
  exec: await running(`${pods}/p/exec?command=sh&stdin=true`, as, true),
})

async function ended(under: Record<string, Ending>, within = 20_000): Promise<void> {
  for (const [what, { end }] of Object.entries(under)) {
    const late = AbortSignal.timeout(within)
    await Promise.race([end, once(late, 'abort').then(() => assert.fail(`the ${what} goes on`))])
  }
}

test('a certificate that is revoked by its number ends its watches, logs and execs, and nobody else’s', async () => {
  const [lost, kept] = [await issue('laptop'), await issue('laptop')]
  const [ofLost, ofKept] = [await all(lost), await all(kept)]
  let others = 0
  for (const { end } of Object.values(ofKept)) void end.then(() => others++)
  const serial = new X509Certificate(lost.cert).serialNumber
  assert.equal(await coracle('serial', serial.toLowerCase()), `revoked serial ${serial.toLowerCase()}\n`)
  await ended(ofLost)
  assert.equal((await server.ask('GET', pods, { as: lost })).code, 401)
  assert.equal((await server.ask('GET', pods, { as: kept })).code, 200)
  assert.equal(others, 0)
  assert.equal(await coracle('serial', `00${serial}`), `serial 00${serial} is revoked already\n`)

  assert.equal(await coracle('name', 'laptop'), 'revoked name laptop\n')
  await ended(ofKept)
  assert.equal((await server.ask('GET', pods, { as: kept })).code, 401)
  assert.equal(await coracle('list'), `BY       REVOKED\nserial   ${serial.toLowerCase()}\nname     laptop\n`)
  await coracle('name', 'laptop', '--undo')
  assert.equal((await server.ask('GET', pods, { as: kept })).code, 200)
  assert.equal((await server.ask('GET', pods, { as: lost })).code, 401)
})

test('nobody locks the administrator out, or writes what is none; notes of people stay', async () => {
  const { serialNumber } = new X509Certificate(server.pki.admin.cert)
  for (const args of [
    ['name', 'coracle-admin'],
    ['serial', serialNumber],
  ])
    await assert.rejects(coracle(...args), /administrator's own certificate/)
  await assert.rejects(coracle('serial', 'laptop'), /"laptop" is no serial number/)
  await assert.rejects(coracle('name', 'a # b'), /is no common name/)
  await assert.rejects(coracle('name', 'nobody', '--undo'), /name nobody is not revoked/)
  const ref = { namespace: 'kube-system', name: 'coracle-revoked-certificates' }
  await server.server.client().patch(ConfigMap, ref, 'merge', { data: { serials: '# of March\n0A:0B # the tablet' } })
  await coracle('serial', '0xcc')
  assert.equal((await server.server.client().get(ConfigMap, ref)).data?.['serials'], '# of March\n0A:0B # the tablet\n0xcc\n')
  await coracle('serial', 'a0b', '--undo')
  assert.equal((await server.server.client().get(ConfigMap, ref)).data?.['serials'], '# of March\n0xcc\n')
})
