import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { readRequest } from './asked.ts'
import { fromPem, toPem } from './pem.ts'

const label = 'CERTIFICATE REQUEST'

/** As people make them. */
function requestOf(kind: string[], subject: string, ...extensions: string[]): string {
  const more = extensions.flatMap((extension) => ['-addext', extension])
  const args = ['req', '-new', '-utf8', '-newkey', ...kind, '-nodes', '-keyout', '/dev/null', '-subj', subject, ...more]
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

test('keys of every usual kind, names and alternatives', () => {
  for (const kind of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'], ['ed25519']]) {
    const asked = readRequest(
      requestOf(kind, '/C=DE/O=a team/O=other/CN=Jörg', 'subjectAltName=DNS:a.example,IP:192.0.2.7,IP:fd00::1,email:a@b.example,URI:x://y'),
    )
    const { key, subject, ...rest } = asked
    assert.equal(key.type, 'public')
    assert.ok(subject.includes('a team'))
    assert.deepEqual(rest, {
      commonName: 'Jörg',
      organizations: ['a team', 'other'],
      dnsNames: ['a.example'],
      addresses: ['192.0.2.7', 'fd00::1'],
      emails: ['a@b.example'],
      uris: ['x://y'],
    })
  }
  assert.deepEqual(readRequest(requestOf(['ed25519'], '/CN=x')).dnsNames, [])
})

test('a request that was changed or cut is none', () => {
  const pem = requestOf(['ed25519'], '/O=a/CN=x', 'subjectAltName=DNS:a.example')
  const der = fromPem(label, pem)
  for (let at = 0; at < der.length; at += 1) {
    const bytes = Buffer.from(der)
    bytes[at] = (bytes[at] ?? 0) ^ 0xff
    assert.throws(() => readRequest(toPem(label, bytes)), SyntaxError, `byte ${at}`)
    assert.throws(() => readRequest(toPem(label, der.subarray(0, at))), SyntaxError, `${at} bytes`)
  }
})
