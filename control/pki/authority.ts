// The cluster's certificate authority: an EC P-256 key and its certificate, in two files.
//
// Devices without a clock start in the past, so a certificate is valid from long ago, and its end is
// counted from the later of the clock and the day this was written: a wrong clock at the first start
// must not make certificates that are dead once the clock is right.

import { randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from './files.ts'

export type Profile = {
  commonName: string
  organizations?: string[]
  usage: 'client' | 'server'
  /** DNS names and IP addresses of a server. */
  hosts?: string[]
}

export type KeyPair = { cert: string; key: string }

export interface Authority {
  /** The certificate, PEM. */
  readonly cert: string
  /** A new key and a certificate for it. */
  issue(profile: Profile): Promise<KeyPair>
  /** A certificate for the key of a signing request (PEM); what the request itself asks for is ignored. Throws SyntaxError where it is not one. */
  sign(request: string, profile: Profile): Promise<string>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const longAgo = new Date(Date.UTC(2000, 0, 1))
const written = Date.UTC(2026, 10, 1)
const day = 86_400_000
const authorityDays = 3650
const leafDays = 365

/** Loads the authority in `dir`, or makes it. */
export async function openAuthority({ dir, now }: { dir: string; now: () => number }): Promise<Authority> {
  const [certFile, keyFile] = [join(dir, 'ca.crt'), join(dir, 'ca.key')]
  const existing = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const end = (days: number) => new Date(Math.max(now(), written) + days * day)
  const [cert, key] = existing ?? (await create(end(authorityDays)))
  if (!existing) {
    // The key first: a certificate on disk means that both are there.
    await writeWhole(keyFile, key, 0o600)
    await writeWhole(certFile, cert, 0o644)
  }
  return authority(cert, key, () => end(leafDays))
}

function authority(cert: string, key: string, end: () => Date): Authority {
  const certify = async (publicKey: webcrypto.CryptoKey, profile: Profile) => {
    const x509 = await library()
    const issuer = new x509.X509Certificate(cert)
    const signingKey = await importKey(key)
    const made = await x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject: new x509.Name([{ CN: [profile.commonName] }, ...(profile.organizations ?? []).map((o) => ({ O: [o] }))]),
      issuer: issuer.subject,
      notBefore: longAgo,
      notAfter: end(),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[profile.usage === 'client' ? 'clientAuth' : 'serverAuth']]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
        ...(profile.hosts?.length ? [new x509.SubjectAlternativeNameExtension(profile.hosts.map(generalName))] : []),
      ],
    })
    return `${made.toString('pem')}\n`
  }
  return {
    cert,
    async issue(profile) {
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
      return { cert: await certify(keys.publicKey, profile), key: await exportKey(keys.privateKey) }
    },
    async sign(request, profile) {
      const x509 = await library()
      let publicKey: webcrypto.CryptoKey
      try {
        const parsed = new x509.Pkcs10CertificateRequest(request)
        if (!(await parsed.verify())) throw new SyntaxError('its signature does not match its key')
        publicKey = await parsed.publicKey.export()
      } catch (cause) {
        throw new SyntaxError(`the certificate request of ${profile.commonName} is not a valid PKCS#10 request`, { cause })
      }
      return await certify(publicKey, profile)
    },
  }
}

async function create(end: Date): Promise<[cert: string, key: string]> {
  const x509 = await library()
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=coracle-ca-${randomBytes(4).toString('hex')}`,
    notBefore: longAgo,
    notAfter: end,
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return [`${made.toString('pem')}\n`, await exportKey(keys.privateKey)]
}

/** Whether `cert` (PEM) comes from this authority, names all `hosts`, and lasts `days` more. */
export function stillGood(
  cert: string,
  authorityCert: string,
  { hosts, now, days = 30 }: { hosts: string[]; now: number; days?: number },
): boolean {
  const leaf = new X509Certificate(cert)
  return (
    leaf.verify(new X509Certificate(authorityCert).publicKey) &&
    Date.parse(leaf.validTo) > now + days * day &&
    hosts.every((host) => leaf.checkHost(host) ?? leaf.checkIP(host))
  )
}

// Loaded when a certificate is made, which is rare: it is several megabytes of ASN.1.
async function library() {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(globalThis.crypto)
  return x509
}

const serial = () => `4${randomBytes(15).toString('hex')}`
const generalName = (host: string) => ({ type: /^[\d.]+$|:/.test(host) ? 'ip' : 'dns', value: host }) as const

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`
}

const importKey = (pem: string) =>
  webcrypto.subtle.importKey('pkcs8', Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'), algorithm, false, ['sign'])
