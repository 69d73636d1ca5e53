// A node's certificates exchanged by requests that the cluster approves, against the whole server with its controllers.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { httpsClient } from '#api/client/https.ts'
import { systemClock } from '#api/clock.ts'
import { CertificateSigningRequest, Node } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { startControllers } from '#control/controllers/index.ts'
import { live } from '#control/server/testing/live.fake.ts'
import { openIdentity } from './identity.ts'
import type { NodeCredentials } from './join.ts'

async function node() {
  const running = await live()
  const { server, pki } = running
  const stop = new AbortController()
  const controllers = startControllers({
    client: server.client(),
    log: silent,
    signal: stop.signal,
    ca: pki.authority.cert,
    certify: (key, subject, ...rest) => (subject.usage === 'server' ? pki.agents.authority : pki.authority).certify(key, subject, ...rest),
    podRanges: [],
  })
  const dir = await mkdtemp(join(tmpdir(), 'coracle-identity-'))
  const [client, serving] = await Promise.all([
    pki.authority.issue({ commonName: 'system:node:pi', organizations: ['system:nodes'], usage: 'client' }),
    pki.agents.authority.issue({ commonName: 'pi', usage: 'server', hosts: ['pi', '192.0.2.7'] }),
  ])
  const credentials: NodeCredentials = { ca: pki.authority.cert, agentsCa: pki.agents.authority.cert, client, serving }
  const identity = openIdentity({ credentials, nodeName: 'pi', dir, clock: systemClock })
  const api = httpsClient({
    server: `https://127.0.0.1:${server.port}`,
    credentials: () => ({ ca: identity.current.ca, ...identity.current.client }),
    userAgent: 'coracle-agent/0',
    log: silent,
  })
  identity.on(() => api.renew())
  await server.client().create(Node, { metadata: { name: 'pi' } })
  const addresses = [
    { type: 'InternalIP' as const, address: '192.0.2.7' },
    { type: 'Hostname' as const, address: 'pi' },
  ]
  await server.client().patch(Node, { name: 'pi' }, 'merge', { status: { addresses } }, { subresource: 'status' })
  return {
    identity,
    api,
    dir,
    pki,
    admin: server.client(),
    async [Symbol.asyncDispose]() {
      api.close()
      stop.abort()
      await controllers
      await running[Symbol.asyncDispose]()
      await rm(dir, { recursive: true })
    },
  }
}

test('a node has both of its certificates replaced, and goes on as itself', async () => {
  await using t = await node()
  const before = t.identity.current
  let told = 0
  t.identity.on(() => (told += 1))
  await t.identity.renew({ client: t.api, addresses: ['192.0.2.7'] })
  const { client, serving, ca, agentsCa } = t.identity.current
  assert.equal(told, 2)
  assert.deepEqual([ca, agentsCa], [before.ca, before.agentsCa])
  assert.notEqual(client.key, before.client.key)
  assert.notEqual(serving.key, before.serving.key)
  const own = new X509Certificate(client.cert)
  assert.ok(own.verify(new X509Certificate(t.pki.authority.cert).publicKey))
  assert.deepEqual(own.subject.split('\n').sort(), ['CN=system:node:pi', 'O=system:nodes'])
  const shown = new X509Certificate(serving.cert)
  assert.ok(shown.verify(new X509Certificate(t.pki.agents.authority.cert).publicKey))
  assert.ok(shown.checkHost('pi') && shown.checkIP('192.0.2.7'))
  assert.ok(t.identity.end > Date.now() + 300 * 86_400_000)
  assert.deepEqual(JSON.parse(await readFile(join(t.dir, 'credentials.json'), 'utf8')), t.identity.current)
  assert.equal((await t.api.get(Node, { name: 'pi' })).metadata.name, 'pi')
})

test('what the cluster refuses leaves the node with what it has', async () => {
  await using t = await node()
  const asking = t.identity.renew({ client: t.api, addresses: ['192.0.2.9'] })
  const denied = (async () => {
    for await (const { type, object } of t.admin.watch(CertificateSigningRequest)) {
      if (type === 'DELETED' || object.spec.signerName !== 'kubernetes.io/kubelet-serving') continue
      assert.deepEqual(object.status?.conditions ?? [], [], 'an address that is not registered is for somebody to decide')
      const conditions = [{ type: 'Denied' as const, status: 'True' as const, reason: 'No', message: 'not that address' }]
      await t.admin.update(CertificateSigningRequest, { ...object, status: { conditions } }, { subresource: 'approval' })
      return
    }
  })()
  const { serving } = t.identity.current
  await assert.rejects(asking, /node-csr-\w+ was refused: not that address/)
  await denied
  assert.equal(t.identity.current.serving, serving)
  assert.equal((await t.api.get(Node, { name: 'pi' })).metadata.name, 'pi', 'the client certificate was exchanged all the same')
})

test('a node asks for itself alone, and reads no list of what others asked for', async () => {
  await using t = await node()
  await assert.rejects(t.api.list(CertificateSigningRequest), { reason: 'Forbidden' })
  await assert.rejects(t.api.delete(CertificateSigningRequest, { name: 'any' }), { reason: 'Forbidden' })
  await assert.rejects(
    t.api.update(CertificateSigningRequest, { metadata: { name: 'any' } } as CertificateSigningRequest, { subresource: 'approval' }),
    {
      reason: 'Forbidden',
    },
  )
})
