// What a signing request asks for (PKCS#10, RFC 2986): whose certificate it is to be. `keyOfRequest` is for who
// decides that without asking; this is for signers that people approve.

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { bytesOfBits, type Element, elements, fields, oid, only } from './der.ts'
import { fromPem } from './pem.ts'

export type Asked = {
  key: KeyObject
  /** The whole name as it was asked for (DER), and what of it counts for Kubernetes. */
  subject: Buffer
  commonName: string
  organizations: readonly string[]
  dnsNames: readonly string[]
  /** In their text form. */
  addresses: readonly string[]
  emails: readonly string[]
  uris: readonly string[]
}

const id = {
  commonName: oid('2.5.4.3'),
  organization: oid('2.5.4.10'),
  extensionRequest: oid('1.2.840.113549.1.9.14'),
  subjectAltName: oid('2.5.29.17'),
}

/** Signature algorithms by their identifier: the hash, undefined where the key has one of its own (Ed25519). */
const hashes = new Map<string, string | undefined>(
  (
    [
      ['1.2.840.10045.4.3.2', 'sha256'],
      ['1.2.840.10045.4.3.3', 'sha384'],
      ['1.2.840.10045.4.3.4', 'sha512'],
      ['1.2.840.113549.1.1.11', 'sha256'],
      ['1.2.840.113549.1.1.12', 'sha384'],
      ['1.2.840.113549.1.1.13', 'sha512'],
      ['1.3.101.112', undefined],
    ] as const
  ).map(([dotted, hash]) => [oid(dotted).toString('hex'), hash]),
)

/** `pem`: of the request. Throws SyntaxError where it is none, or where who sent it does not hold its key. */
export function readRequest(pem: string): Asked {
  const [info, algorithm, signature] = fields(only(fromPem('CERTIFICATE REQUEST', pem)))
  const [, subject, spki, ...attributes] = fields(info)
  const key = keyOf(spki)
  const name = fields(algorithm)[0]?.whole.toString('hex') ?? ''
  if (!hashes.has(name)) throw new SyntaxError('its signature is of a kind that is not known here')
  if (!verified(info as Element, { hash: hashes.get(name), key, signature: bytesOfBits(signature) }))
    throw new SyntaxError('its signature does not match its key')
  const names = fields(subject).flatMap((set) => elements(set.content).map((pair) => fields(pair)))
  const of = (type: Buffer) => names.flatMap(([key, value]) => (key?.whole.equals(type) && value ? [textOf(value)] : []))
  const alternatives = alternativesIn(attributes)
  const tagged = (tag: number) => alternatives.filter((each) => each.tag === tag).map(({ content }) => content)
  const texts = (tag: number) => tagged(tag).map((content) => content.toString('latin1'))
  return {
    key,
    subject: (subject as Element).whole,
    commonName: of(id.commonName)[0] ?? '',
    organizations: of(id.organization),
    emails: texts(0x81),
    dnsNames: texts(0x82),
    uris: texts(0x86),
    addresses: tagged(0x87).map(addressOf),
  }
}

function keyOf(spki: Element | undefined): KeyObject {
  try {
    return createPublicKey({ key: spki?.whole ?? Buffer.alloc(0), type: 'spki', format: 'der' })
  } catch (cause) {
    throw new SyntaxError('it holds no public key', { cause })
  }
}

type Signature = { hash: string | undefined; key: KeyObject; signature: Buffer }

function verified(info: Element, { hash, key, signature }: Signature): boolean {
  try {
    return verify(hash, info.whole, key, signature)
  } catch (cause) {
    throw new SyntaxError('its signature is not one of its key', { cause })
  }
}

const bmpString = 30

function textOf({ tag, content }: Element): string {
  if (tag !== bmpString) return content.toString('utf8')
  if (content.length % 2 !== 0) throw new SyntaxError('a name ends within a character')
  return Buffer.from(content).swap16().toString('utf16le')
}

/** General names (RFC 5280, 4.2.1.6). `attributes`: the field [0], a set of attributes. */
function alternativesIn(attributes: readonly Element[]): Element[] {
  const set = attributes.find(({ tag }) => tag === 0xa0)
  for (const attribute of set ? elements(set.content) : []) {
    const [type, values] = fields(attribute)
    if (!type?.whole.equals(id.extensionRequest)) continue
    for (const extension of values ? elements(values.content).flatMap((list) => fields(list)) : []) {
      const parts = fields(extension)
      const value = parts.at(-1)
      if (value && parts[0]?.whole.equals(id.subjectAltName)) return fields(only(value.content))
    }
  }
  return []
}

function addressOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new SyntaxError(`an address of ${bytes.length} bytes`)
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
