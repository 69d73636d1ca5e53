import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openPki } from './pki.ts'

const folder = async (t: TestContext) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-pki-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}
const hosts = ['kubernetes', 'kubernetes.default.svc.cluster.local', '10.43.0.1', '192.0.2.7', 'fd00::1']

test('the certificates carry the names that clients check, and come back unchanged after a restart', async (t) => {
  const dir = await folder(t)
  const first = await openPki({ dir, hosts, now: Date.now })
  const serving = new X509Certificate(first.serving.cert)
  assert.ok(serving.verify(new X509Certificate(first.authority.cert).publicKey))
  assert.ok(serving.checkHost('kubernetes.default.svc.cluster.local'))
  assert.ok(serving.checkIP('10.43.0.1'))
  assert.ok(serving.checkIP('fd00::1'))
  const admin = new X509Certificate(first.admin.cert)
  assert.equal(admin.subject, 'CN=coracle-admin\nO=system:masters')
  assert.deepEqual(admin.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  const again = await openPki({ dir, hosts, now: Date.now })
  assert.deepEqual(
    [again.serving, again.admin, again.agents.client, again.serviceAccountKey],
    [first.serving, first.admin, first.agents.client, first.serviceAccountKey],
  )
})

test('a new address, a near end or a damaged file make a new serving certificate under the same authority', async (t) => {
  const dir = await folder(t)
  const first = await openPki({ dir, hosts, now: Date.now })
  const moved = await openPki({ dir, hosts: [...hosts, '192.0.2.8'], now: Date.now })
  assert.ok(new X509Certificate(moved.serving.cert).checkIP('192.0.2.8'))
  assert.equal(moved.authority.cert, first.authority.cert)
  assert.equal(moved.admin.cert, first.admin.cert)
  const later = await openPki({ dir, hosts, now: () => Date.now() + 350 * 86_400_000 })
  assert.notEqual(later.admin.cert, first.admin.cert)
  await truncate(join(dir, 'admin.crt'), 0)
  assert.ok((await openPki({ dir, hosts, now: Date.now })).admin.cert.includes('BEGIN CERTIFICATE'))
})

test('a device whose clock stands in 1970 makes certificates that hold today', async (t) => {
  const pki = await openPki({ dir: await folder(t), hosts, now: () => 0 })
  const { validFrom, validTo } = new X509Certificate(pki.serving.cert)
  assert.ok(Date.parse(validFrom) < Date.UTC(2001, 0, 1) && Date.parse(validTo) > Date.UTC(2027, 0, 1))
})

test('a signing request gets the names the authority grants, not those it asks for', async (t) => {
  const { authority } = await openPki({ dir: await folder(t), hosts, now: Date.now })
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=admin, O=system:masters',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  const pem = await authority.sign(request.toString('pem'), {
    commonName: 'system:node:a',
    organizations: ['system:nodes'],
    usage: 'client',
  })
  assert.equal(new X509Certificate(pem).subject, 'CN=system:node:a\nO=system:nodes')
  await assert.rejects(authority.sign('not one', { commonName: 'x', usage: 'client' }), SyntaxError)
})
