import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeAuthority, makeCertificate, type Subject } from './certificate.ts'
import { elements, integer, oid, time } from './der.ts'
import { keyPem, makeKey } from './key.ts'
import { fromPem, toPem } from './pem.ts'
import { keyOfRequest, makeRequest } from './request.ts'

const validity = { notBefore: new Date(Date.UTC(2000, 0, 1)), notAfter: new Date(Date.UTC(2049, 11, 31, 23, 59, 59)) }
const hosts = ['kubernetes.default.svc', '192.0.2.7', 'fd00::1', '::', '::ffff:192.0.2.8', '1:2:3:4:5:6:7:8']

/** openssl judges what we made. */
function openssl(t: TestContext, files: Record<string, string>, ...args: string[]): string {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-x509-'))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content)
  return execFileSync('openssl', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

async function issued(subject: Subject) {
  const [authority, leaf] = [await makeKey(), await makeKey()]
  const ca = makeAuthority('an authority', authority, validity)
  return { ca, cert: makeCertificate(subject, leaf.publicKey, validity, { issuer: ca, key: authority.privateKey }), leaf }
}

test('openssl takes the chain, strictly, for the purpose it was made for and no other', async (t) => {
  const { ca, cert } = await issued({ commonName: 'server', usage: 'server', hosts })
  const verify = (purpose: string) =>
    openssl(t, { ca, cert }, 'verify', '-x509_strict', '-purpose', purpose, '-verify_ip', 'fd00::1', '-CAfile', 'ca', 'cert')
  assert.equal(verify('sslserver'), 'cert: OK\n')
  assert.throws(() => verify('sslclient'))
})

test('a certificate carries its names, its uses and its end', async (t) => {
  const { cert, ca, leaf } = await issued({ commonName: 'Jörg', organizations: ['a', 'b'], usage: 'client', hosts })
  const made = new X509Certificate(cert)
  assert.equal(made.subject, 'CN=Jörg\nO=a\nO=b')
  assert.equal(made.issuer, 'CN=an authority')
  assert.equal(made.ca, false)
  assert.ok(new X509Certificate(ca).ca)
  assert.deepEqual(made.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  assert.ok(made.checkPrivateKey(leaf.privateKey))
  assert.equal(Date.parse(made.validTo), validity.notAfter.getTime())
  for (const host of hosts) assert.ok(made.checkHost(host) ?? made.checkIP(host), host)
  const text = openssl(t, { cert }, 'x509', '-in', 'cert', '-noout', '-text')
  assert.match(text, /X509v3 Basic Constraints: critical\s+CA:FALSE/)
  assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature\n/)
})

test('a request proves that its sender holds the key', async (t) => {
  const keys = await makeKey()
  const pem = makeRequest('system:node:a', keys)
  assert.ok(keyOfRequest(pem).equals(keys.publicKey))
  const shown = openssl(t, { pem }, 'req', '-in', 'pem', '-verify', '-noout', '-subject', '-nameopt', 'RFC2253')
  assert.equal(shown, 'subject=CN=system:node:a\n')
  const other = await makeKey()
  assert.throws(() => keyOfRequest(makeRequest('a', { ...keys, privateKey: other.privateKey })), {
    name: 'SyntaxError',
    message: 'its signature does not match its key',
  })
})

test("openssl's requests are read", async (t) => {
  const { privateKey, publicKey } = await makeKey()
  const args = ['req', '-new', '-key', 'key', '-subj', '/CN=x', '-addext', 'subjectAltName=DNS:y']
  assert.ok(keyOfRequest(openssl(t, { key: keyPem(privateKey) }, ...args)).equals(publicKey))
})

test('what is no request, or a broken one, is a SyntaxError wherever it breaks', async () => {
  const pem = makeRequest('a', await makeKey())
  const der = fromPem('CERTIFICATE REQUEST', pem)
  for (const broken of ['', 'x', '-----BEGIN CERTIFICATE REQUEST-----\n!\n-----END CERTIFICATE REQUEST-----']) {
    assert.throws(() => keyOfRequest(broken), SyntaxError)
  }
  for (let at = 0; at < der.length; at++) {
    const bytes = Buffer.from(der)
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    assert.throws(() => keyOfRequest(toPem('CERTIFICATE REQUEST', bytes)), SyntaxError, `byte ${at}`)
    assert.throws(() => keyOfRequest(toPem('CERTIFICATE REQUEST', der.subarray(0, at))), SyntaxError, `${at} bytes`)
  }
})

test('lengths, integers, identifiers and times have their one form', () => {
  assert.equal(integer(Buffer.from('0000ff', 'hex')).toString('hex'), '020200ff')
  assert.equal(integer(Buffer.from('007f', 'hex')).toString('hex'), '02017f')
  assert.equal(integer(Buffer.alloc(3)).toString('hex'), '020100')
  assert.equal(oid('1.2.840.10045.4.3.2').toString('hex'), '06082a8648ce3d040302')
  assert.equal(
    time(new Date(Date.UTC(2049, 11, 31, 23, 59, 59, 999)))
      .subarray(2)
      .toString(),
    '491231235959Z',
  )
  assert.equal(
    time(new Date(Date.UTC(2050, 0, 1)))
      .subarray(2)
      .toString(),
    '20500101000000Z',
  )
  const long = integer(Buffer.alloc(300, 1))
  assert.equal(long.subarray(0, 4).toString('hex'), '0282012c')
  assert.deepEqual(elements(long)[0]?.content.length, 300)
  for (const bad of ['30', '3080', '308100', '30817f', '30820080', '3085010000000000', '1f0100', '0202ff']) {
    assert.throws(() => elements(Buffer.from(bad, 'hex')), SyntaxError, bad)
  }
})
