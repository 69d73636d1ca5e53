// Certificate signing requests (PKCS#10, RFC 2986).

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { alternativeNames } from './certificate.ts'
import { bytesOfBits, explicit, fields, integer, oid, only, sequence, set } from './der.ts'
import type { Keys } from './key.ts'
import { fromPem, toPem } from './pem.ts'
import { ecdsaWithSha256, nameOf, signed, spki } from './signed.ts'

const label = 'CERTIFICATE REQUEST'

/** Attribute of a request that holds the extensions it asks for (PKCS#9, RFC 2985, 5.4.2). */
const extensionRequest = '1.2.840.113549.1.9.14'

export type Wishes = {
  organizations?: readonly string[]
  /** DNS names and IP addresses of a server. */
  hosts?: readonly string[]
}

/** PEM. Asks for `commonName`, and for nothing else unless told. */
export function makeRequest(commonName: string, keys: Keys, { organizations = [], hosts = [] }: Wishes = {}): string {
  const attributes = hosts.length > 0 ? [sequence(oid(extensionRequest), set(sequence(alternativeNames(hosts))))] : []
  const name = nameOf(commonName, organizations)
  const info = sequence(integer(Buffer.from([0])), name, spki(keys.publicKey), explicit(0, ...attributes))
  return toPem(label, signed(info, keys.privateKey))
}

/** The key that a request is for, once it has proved that it holds it. What it asks for besides is not read. Throws SyntaxError. */
export function keyOfRequest(pem: string): KeyObject {
  const [info, algorithm, signature] = fields(only(fromPem(label, pem)))
  const key = publicKey(fields(info)[2]?.whole)
  if (!info || !algorithm?.whole.equals(ecdsaWithSha256)) throw new SyntaxError('it is not signed by ECDSA with SHA-256')
  if (!verify('sha256', info.whole, key, bytesOfBits(signature))) throw new SyntaxError('its signature does not match its key')
  return key
}

function publicKey(der: Buffer | undefined): KeyObject {
  try {
    const key = createPublicKey({ key: der ?? Buffer.alloc(0), type: 'spki', format: 'der' })
    if (key.asymmetricKeyType === 'ec') return key
  } catch (cause) {
    throw new SyntaxError('it holds no public key', { cause })
  }
  throw new SyntaxError('its key is no EC key')
}
