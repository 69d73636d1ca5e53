// The cluster's certificate authority: an EC P-256 key and its certificate, in two files.
//
// Devices without a clock start in the past, so a certificate is valid from long ago, and its end is
// counted from the later of the clock and the day this was written: a wrong clock at the first start
// must not make certificates that are dead once the clock is right.

import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAuthority, makeCertificate, type Subject } from '#api/x509/certificate.ts'
import { keyPem, makeKey } from '#api/x509/key.ts'
import { renewBeforeMs } from '#api/x509/renewal.ts'
import { keyOfRequest } from '#api/x509/request.ts'
import { writeWhole } from './files.ts'

export type Profile = Subject

export type KeyPair = { cert: string; key: string }

export interface Authority {
  /** The certificate, PEM. */
  readonly cert: string
  /** A new key and a certificate for it. */
  issue(profile: Profile): Promise<KeyPair>
  /** A certificate for a key that is no secret of ours, for so many seconds (a year unless told, and at most). */
  certify(key: KeyObject, profile: Profile, seconds?: number): string
  /** A certificate for the key of a signing request (PEM); what the request itself asks for is ignored. Throws SyntaxError where it is not one. */
  sign(request: string, profile: Profile): Promise<string>
}

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
    await writeWhole(keyFile, key)
    await writeWhole(certFile, cert)
  }
  return authority(cert, createPrivateKey(key), end)
}

function authority(cert: string, key: KeyObject, end: (days: number) => Date): Authority {
  const certify = (publicKey: KeyObject, profile: Profile, seconds = Number.POSITIVE_INFINITY) =>
    makeCertificate(profile, publicKey, { notBefore: longAgo, notAfter: end(Math.min(leafDays, seconds / 86_400)) }, { issuer: cert, key })
  return {
    cert,
    certify,
    async issue(profile) {
      const keys = await makeKey()
      return { cert: certify(keys.publicKey, profile), key: keyPem(keys.privateKey) }
    },
    async sign(request, profile) {
      let publicKey: KeyObject
      try {
        publicKey = keyOfRequest(request)
      } catch (cause) {
        throw new SyntaxError(`the certificate request of ${profile.commonName} is not a valid PKCS#10 request`, { cause })
      }
      return certify(publicKey, profile)
    },
  }
}

async function create(end: Date): Promise<[cert: string, key: string]> {
  const keys = await makeKey()
  const name = `coracle-ca-${randomBytes(4).toString('hex')}`
  return [makeAuthority(name, keys, { notBefore: longAgo, notAfter: end }), keyPem(keys.privateKey)]
}

/** Whether `cert` (PEM) comes from this authority, names all `hosts`, and is not yet to be renewed. */
export function stillGood(cert: string, authorityCert: string, { hosts, now }: { hosts: readonly string[]; now: number }): boolean {
  const leaf = new X509Certificate(cert)
  return (
    leaf.verify(new X509Certificate(authorityCert).publicKey) &&
    Date.parse(leaf.validTo) > now + renewBeforeMs &&
    hosts.every((host) => leaf.checkHost(host) ?? leaf.checkIP(host))
  )
}
