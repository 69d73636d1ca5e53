import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { timestamp } from '#api/clock.ts'
import { CertificateSigningRequest } from '#api/kinds/index.ts'
import { makeAuthority, makeCertificate } from '#api/x509/certificate.ts'
import { makeKey } from '#api/x509/key.ts'
import { type Harness, harness } from '../harness.fake.ts'
import type { Certify } from './certificates.ts'

const dir = mkdtempSync(join(tmpdir(), 'coracle-csr-'))
after(() => rmSync(dir, { recursive: true }))
const keyFile = join(dir, 'key')
const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
openssl('genpkey', '-algorithm', 'rsa', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', keyFile)

const authority = await makeKey()
const begin = new Date(Date.UTC(2000, 0, 1))
const ca = makeAuthority('an authority', authority, { notBefore: begin, notAfter: new Date(Date.UTC(2040, 0, 1)) })
const year = 365 * 86_400

const certifyAt =
  (now: () => number): Certify =>
  (key, subject, seconds = year) =>
    makeCertificate(
      subject,
      key,
      { notBefore: begin, notAfter: new Date(now() + seconds * 1000) },
      { issuer: ca, key: authority.privateKey },
    )

type Ask = { subject: string; signer?: string; usages?: string[]; names?: string; seconds?: number; username?: string }

async function approved(
  h: Harness,
  { subject, signer = 'kube-apiserver-client', usages = ['client auth'], names, seconds, username }: Ask,
) {
  const request = openssl('req', '-new', '-key', keyFile, '-subj', subject, ...(names ? ['-addext', `subjectAltName=${names}`] : []))
  const made = await h.client.create(CertificateSigningRequest, {
    metadata: { name: `r${Math.random()}` },
    spec: {
      request: Buffer.from(request).toString('base64'),
      signerName: signer.includes('/') ? signer : `kubernetes.io/${signer}`,
      usages,
      ...(seconds && { expirationSeconds: seconds }),
      ...(username && { username }),
    },
  } as never)
  const at = timestamp(h.clock.now())
  const conditions = [{ type: 'Approved', status: 'True', reason: 'Test', message: 'so', lastUpdateTime: at, lastTransitionTime: at }]
  await h.client.update(CertificateSigningRequest, { ...made, status: { conditions } } as never, { subresource: 'status' })
  await h.settle()
  const { status } = await h.client.get(CertificateSigningRequest, { name: made.metadata.name })
  return {
    name: made.metadata.name,
    certificate: status.certificate ? new X509Certificate(Buffer.from(status.certificate, 'base64')) : undefined,
    fault: status.conditions?.find(({ type }) => type === 'Failed')?.message,
  }
}

const start = async () => {
  const h = await harness({ certify: (...asked) => certifyAt(() => h.clock.now())(...asked) })
  return h
}

test('an approved request of a person gets a certificate for its key and name', async () => {
  await using h = await start()
  const { certificate } = await approved(h, { subject: '/C=DE/O=team/CN=ann', seconds: 3600 })
  assert.ok(certificate)
  assert.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile))))
  assert.equal(certificate.subject, 'C=DE\nO=team\nCN=ann', 'the name just as it was asked for')
  assert.ok(certificate.verify(new X509Certificate(ca).publicKey))
  assert.deepEqual(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  assert.equal(Date.parse(certificate.validTo), h.clock.now() + 3600_000)
})

test('each signer takes what is for it and says what is wrong with the rest', async () => {
  await using h = await start()
  const node = { subject: '/O=system:nodes/CN=system:node:a', username: 'system:node:a' }
  const client = { ...node, signer: 'kube-apiserver-client-kubelet', usages: ['digital signature', 'client auth'] }
  const serving = { ...node, signer: 'kubelet-serving', usages: ['digital signature', 'server auth'], names: 'DNS:a,IP:192.0.2.7' }
  assert.equal((await approved(h, client)).certificate?.subject, 'O=system:nodes\nCN=system:node:a')
  const served = (await approved(h, serving)).certificate
  assert.ok(served?.checkIP('192.0.2.7') && served.checkHost('a'))
  const faults = async (...asks: Ask[]) => {
    const said: (string | undefined)[] = []
    for (const ask of asks) {
      const { fault, certificate } = await approved(h, ask)
      assert.equal(certificate, undefined)
      said.push(fault)
    }
    return said
  }
  assert.deepEqual(
    await faults(
      { subject: '/CN=ann', usages: ['server auth'] },
      { subject: '/CN=ann', usages: ['client auth', 'server auth'] },
      { ...client, subject: '/O=team/CN=system:node:a' },
      { ...client, subject: '/O=system:nodes/CN=ann' },
      { ...client, names: 'DNS:a' },
      { ...client, usages: ['client auth'] },
      { ...serving, names: undefined },
      { ...serving, names: 'email:a@b' },
      { ...serving, username: 'system:node:b' },
    ),
    [
      'usages did not contain client auth',
      'usage server auth is not allowed by this signer',
      'subject organization is not system:nodes',
      'subject common name does not begin with system:node:',
      'DNS subjectAltNames are not allowed',
      'usages did not contain digital signature',
      'at least one DNS or IP subjectAltName is required',
      'email subjectAltNames are not allowed',
      'subject common name is not the name of who asks, system:node:b',
    ],
  )
  assert.deepEqual(
    await approved(h, { subject: '/CN=x', signer: 'example.com/other' }).then(({ fault, certificate }) => [fault, certificate]),
    [undefined, undefined],
  )
})

test('what is decided goes after an hour, what waits after a day', async () => {
  await using h = await start()
  const { name } = await approved(h, { subject: '/CN=ann' })
  const waiting = await approved(h, { subject: '/CN=x', signer: 'example.com/other' })
  const there = async (which: string) => (await h.client.find(CertificateSigningRequest, { name: which })) !== undefined
  await h.clock.advance(59 * 60_000)
  assert.deepEqual([await there(name), await there(waiting.name)], [true, true])
  await h.clock.advance(2 * 60_000)
  await h.settle()
  assert.deepEqual([await there(name), await there(waiting.name)], [false, true])
  await h.clock.advance(24 * 3600_000)
  await h.settle()
  assert.equal(await there(waiting.name), false)
})
