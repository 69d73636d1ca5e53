// Certificates exchanged under a client that writes and streams: nothing fails, nothing is dropped, and whoever
// comes then sees the new ones.

import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { httpsClient } from '#api/client/https.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { systemClock } from '#api/clock.ts'
import { ConfigMap, Node, Pod, ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { keyPem } from '#api/x509/key.ts'
import { keepRenewed, renewBeforeMs, renewFile } from '#api/x509/renewal.ts'
import { openPki } from '#control/pki/pki.ts'
import { memoryStore } from '../store/memory.ts'
import { startServer } from './server.ts'
import { dialHere, here } from './testing/dial.fake.ts'
import { live } from './testing/live.fake.ts'

const day = 86_400_000

async function running() {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-renewal-'))
  const clock = fakeClock(Date.now())
  const pki = await openPki({ dir, hosts: ['127.0.0.1'], now: () => clock.now() })
  const store = await memoryStore()
  const server = await startServer({
    store,
    pki,
    listen: { host: '127.0.0.1', port: 0 },
    advertise: { address: '127.0.0.1' },
    dial: dialHere,
    clock: systemClock,
    log: silent,
  })
  const renewal = keepRenewed({ dir, end: () => pki.end, renew: (all) => pki.renew(all), clock, log: silent })
  await server.client().create(ServiceAccount, { metadata: { namespace: 'default', name: 'default' } })
  return {
    dir,
    clock,
    pki,
    server,
    renewal,
    async [Symbol.asyncDispose]() {
      await renewal.close()
      await server.close()
      await store.close()
      await rm(dir, { recursive: true })
    },
  }
}

/** What a new connection is shown. */
async function shown(port: number, ca: string): Promise<string> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

const serialOf = (cert: string) => new X509Certificate(cert).serialNumber

test('certificates are exchanged well before they end, under a client that writes and streams', async () => {
  await using t = await running()
  const { pki, server, clock } = t
  // A node whose agent knows the server by its newest certificate alone.
  const callers: string[] = []
  const own = await pki.agents.authority.issue({ commonName: 'n1', usage: 'server', hosts: ['127.0.0.1'] })
  const agent = createServer({ ...own, ca: pki.agents.authority.cert, requestCert: true }, (request, answer) => {
    callers.push((request.socket as TLSSocket).getPeerCertificate().serialNumber)
    answer.write('one\n')
    if (!request.url?.includes('follow=true')) answer.end()
    else agent.once('more', () => answer.end('two\n'))
  })
  await once(agent.listen(0, '127.0.0.1'), 'listening')
  const node = await server.client().create(Node, { metadata: { name: 'n1' } })
  const daemonEndpoints = { kubeletEndpoint: { Port: (agent.address() as AddressInfo).port } }
  const addresses = [{ type: 'InternalIP' as const, address: here }]
  await server.client().update(Node, { ...node, status: { ...node.status, addresses, daemonEndpoints } }, { subresource: 'status' })
  const pod = { namespace: 'default', name: 'talks' }
  await server.client().create(Pod, { metadata: pod, spec: { containers: [{ name: 'c', image: 'i' }] } })
  await server.client().create(Pod, { metadata: pod, target: { name: 'n1' } }, { subresource: 'binding' })

  const client = httpsClient({
    server: `https://127.0.0.1:${server.port}`,
    credentials: () => ({ ca: pki.authority.cert, ...pki.admin }),
    userAgent: 'test/1',
    log: silent,
  })
  const silence = pki.onRenewed(() => client.renew())
  const stop = new AbortController()
  const { metadata } = await client.list(ConfigMap, { namespace: 'default' })
  const watched: string[] = []
  const watching = (async () => {
    const from = { namespace: 'default', resourceVersion: metadata.resourceVersion, signal: stop.signal }
    for await (const { object } of client.watch(ConfigMap, from)) watched.push(object.metadata.name)
  })()
  const log: string[] = []
  const following = (async () => {
    for await (const piece of client.log(pod, { follow: true })) log.push(Buffer.from(piece).toString())
  })()
  let written = 0
  const writing = (async () => {
    while (!stop.signal.aborted) {
      await client.create(ConfigMap, { metadata: { namespace: 'default', name: `w${written}` } })
      written += 1
    }
  })()
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => written >= 5 && log.length === 1)

  const serials = new Set<string>()
  const look = async () => serials.add(await shown(server.port, pki.authority.cert))
  await look()
  for (const round of [1, 2, 3]) {
    const before = written
    const old = [pki.serving, pki.admin, pki.agents.client, pki.frontProxy.client]
    // Ten months go by, of which the monotonic clock sees the last minutes.
    clock.jump(pki.end - clock.now() - renewBeforeMs - day)
    await clock.advance(11 * 60_000)
    await t.renewal.check()
    assert.deepEqual([pki.serving, pki.admin, pki.agents.client, pki.frontProxy.client], old, `round ${round}: it is not time yet`)
    clock.jump(2 * day)
    await clock.advance(11 * 60_000)
    await t.renewal.check()
    assert.ok(pki.end - clock.now() > 300 * day)
    for (const pair of old) assert.ok(![pki.serving, pki.admin, pki.agents.client, pki.frontProxy.client].includes(pair))
    assert.equal(await shown(server.port, pki.authority.cert), serialOf(pki.serving.cert))
    await look()
    await until(() => written >= before + 5)
    for await (const _ of client.log(pod)) assert.equal(callers.at(-1), serialOf(pki.agents.client.cert))
  }
  assert.equal(serials.size, 4)
  agent.emit('more')
  await following
  assert.deepEqual(log, ['one\n', 'two\n'])
  stop.abort()
  await writing
  await watching
  assert.deepEqual(
    watched,
    Array.from(watched, (_, i) => `w${i}`),
  )
  assert.ok(watched.length >= written - 1 && written >= 20)
  silence()
  client.close()
  agent.close().closeAllConnections()
})

test('a certificate counts until its end, also on a connection that stands; the next one is taken over a new connection', async () => {
  const clock = fakeClock(Date.now())
  await using t = await live({ clock })
  const issue = (seconds: number) => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const cert = t.pki.authority.certify(publicKey, { commonName: 'ann', organizations: ['system:masters'], usage: 'client' }, seconds)
    return { cert, key: keyPem(privateKey) }
  }
  let shown = issue(3600)
  const client = httpsClient({
    server: `https://127.0.0.1:${t.server.port}`,
    credentials: () => ({ ca: t.pki.authority.cert, ...shown }),
    userAgent: 'test/1',
    log: silent,
  })
  await client.list(ConfigMap, { namespace: 'default' })
  clock.jump(3500_000)
  await client.list(ConfigMap, { namespace: 'default' })
  clock.jump(200_000)
  await assert.rejects(client.list(ConfigMap, { namespace: 'default' }), { reason: 'Unauthorized' })
  shown = issue(7200)
  await assert.rejects(client.list(ConfigMap, { namespace: 'default' }), { reason: 'Unauthorized' })
  client.renew()
  await client.list(ConfigMap, { namespace: 'default' })
  client.close()
})

test('who asks for new certificates has them at once, and the next start finds them', async () => {
  await using t = await running()
  const { pki, dir } = t
  const old = pki.serving
  const renewed = new Promise<void>((resolve) => pki.onRenewed(resolve))
  await writeFile(join(dir, renewFile), '')
  await renewed
  await t.renewal.check()
  assert.notEqual(pki.serving.cert, old.cert)
  assert.notEqual(pki.serving.key, old.key)
  assert.equal(await readFile(join(dir, 'server.crt'), 'utf8'), pki.serving.cert)
  const again = await openPki({ dir, hosts: ['127.0.0.1'], now: () => t.clock.now() })
  assert.deepEqual(again.serving, pki.serving)
  const { serving } = pki
  await t.renewal.check()
  assert.equal(pki.serving, serving, 'asked once, renewed once')
})
