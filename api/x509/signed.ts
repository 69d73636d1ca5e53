// What certificates and signing requests have in common: a part that is signed, with what, the signature;
// and the names of who holds a key. Signatures are ECDSA with SHA-256.

import type { Buffer } from 'node:buffer'
import { type KeyObject, sign } from 'node:crypto'
import { bits, oid, sequence, set, utf8 } from './der.ts'

export const ecdsaWithSha256: Buffer = sequence(oid('1.2.840.10045.4.3.2'))

export const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

export const signed = (part: Buffer, key: KeyObject): Buffer => sequence(part, ecdsaWithSha256, bits(sign('sha256', part, key)))

const attributes = { CN: oid('2.5.4.3'), O: oid('2.5.4.10') }

export const nameOf = (commonName: string, organizations: readonly string[] = []): Buffer =>
  sequence(
    set(sequence(attributes.CN, utf8(commonName))),
    ...organizations.map((organization) => set(sequence(attributes.O, utf8(organization)))),
  )
