// Making certificates (X.509 version 3, RFC 5280). Reading them is `X509Certificate` of node:crypto.

import { Buffer } from 'node:buffer'
import { createHash, type KeyObject, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { bits, bytesOfBits, explicit, fields, implicit, integer, octets, oid, only, sequence, time, yes } from './der.ts'
import type { Keys } from './key.ts'
import { fromPem, toPem } from './pem.ts'
import { ecdsaWithSha256, nameOf, signed, spki } from './signed.ts'

const label = 'CERTIFICATE'
const id = {
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
}
const usages = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' }

type Validity = { notBefore: Date; notAfter: Date }

/** PEM. Signs certificates, revocations and, for its own use, anything. */
export function makeAuthority(name: string, keys: Keys, validity: Validity): string {
  const subject = nameOf(name)
  return make(keys.publicKey, validity, { subject, issuer: subject, key: keys.privateKey }, [
    extension(id.basicConstraints, sequence(yes), yes),
    // digitalSignature, keyCertSign, cRLSign.
    extension(id.keyUsage, bits(Buffer.from([0b1000_0110]), 1), yes),
    extension(id.subjectKey, octets(keyIdentifier(keys.publicKey))),
  ])
}

export type Subject = {
  commonName: string
  /** The whole name (DER), where it is to be just so; it has the common name and organizations. */
  name?: Buffer
  organizations?: readonly string[]
  usage: 'client' | 'server'
  /** DNS names and IP addresses of a server. */
  hosts?: readonly string[]
}

/** PEM. `issuer` is the authority's certificate (PEM), `key` its private key. */
export function makeCertificate(
  { commonName, organizations, name, usage, hosts = [] }: Subject,
  publicKey: KeyObject,
  validity: Validity,
  { issuer, key }: { issuer: string; key: KeyObject },
): string {
  const authority = partsOf(issuer)
  return make(publicKey, validity, { subject: name ?? nameOf(commonName, organizations), issuer: authority.subject, key }, [
    extension(id.basicConstraints, sequence(), yes),
    // digitalSignature; and keyEncipherment, which only such keys can.
    extension(
      id.keyUsage,
      publicKey.asymmetricKeyType === 'rsa' ? bits(Buffer.from([0b1010_0000]), 5) : bits(Buffer.from([0b1000_0000]), 7),
      yes,
    ),
    extension(id.extendedKeyUsage, sequence(oid(usages[usage]))),
    extension(id.authorityKey, sequence(implicit(0, authority.keyIdentifier))),
    ...(hosts.length > 0 ? [alternativeNames(hosts)] : []),
  ])
}

function make(
  publicKey: KeyObject,
  { notBefore, notAfter }: Validity,
  { subject, issuer, key }: { subject: Buffer; issuer: Buffer; key: KeyObject },
  extensions: Buffer[],
): string {
  const version3 = explicit(0, integer(Buffer.from([2])))
  const serial = integer(randomBytes(16))
  const validity = sequence(time(notBefore), time(notAfter))
  const parts = [version3, serial, ecdsaWithSha256, issuer, validity, subject, spki(publicKey), explicit(3, sequence(...extensions))]
  return toPem(label, signed(sequence(...parts), key))
}

/** The extension that names a server: DNS names and IP addresses. */
export const alternativeNames = (hosts: readonly string[]): Buffer => extension(id.subjectAltName, sequence(...hosts.map(generalName)))

const extension = (type: string, value: Buffer, ...critical: Buffer[]) => sequence(oid(type), ...critical, octets(value))

/** RFC 5280, 4.2.1.2, the first method. */
const keyIdentifier = (key: KeyObject) =>
  createHash('sha1')
    .update(bytesOfBits(fields(only(spki(key)))[1]))
    .digest()

const generalName = (host: string) => {
  const family = isIP(host)
  if (family === 4) return implicit(7, Buffer.from(host.split('.').map(Number)))
  return family === 6 ? implicit(7, address6(host)) : implicit(2, Buffer.from(host, 'latin1'))
}

/** The URL parser writes an address in its one short form, where `::` stands for the zeros that are missing. */
function address6(text: string): Buffer {
  const [head = '', tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::')
  const groups = (part: string | undefined) => (part ? part.split(':') : [])
  const [before, after] = [groups(head), groups(tail)]
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

/** An authority's name and the identifier of its key, byte for byte as its own certificate has them: chains are built by comparing them. */
function partsOf(certificate: string): { subject: Buffer; keyIdentifier: Buffer } {
  const [version, , , , , subject, key, ...rest] = fields(fields(only(fromPem(label, certificate)))[0])
  if (version?.tag !== 0xa0 || !subject || !key) throw new SyntaxError('not a certificate of version 3')
  const extensions = rest.find(({ tag }) => tag === 0xa3)
  const wanted = oid(id.subjectKey)
  for (const one of extensions ? fields(only(extensions.content)) : []) {
    const [type, ...values] = fields(one)
    const value = values.at(-1)
    if (value && type?.whole.equals(wanted)) return { subject: subject.whole, keyIdentifier: only(value.content).content }
  }
  return {
    subject: subject.whole,
    keyIdentifier: createHash('sha1')
      .update(bytesOfBits(fields(key)[1]))
      .digest(),
  }
}
