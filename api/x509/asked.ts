// What a signing request asks for (PKCS#10, RFC 2986): whose certificate it is to be. `keyOfRequest` is for who
// decides that without asking; this is for signers that people approve.

import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { isIP } from 'node:net'
import { bytesOfBits, type Element, elements, fields, oid, only, sequence, set } from './der.ts'
import { fromPem } from './pem.ts'

export type Asked = {
  key: KeyObject
  /** The name (DER), made anew of what was read of the one that was asked for; and what of it counts for Kubernetes. */
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
  const names = attributesOf(subject)
  const of = (type: Buffer) => names.flatMap((each) => (each.type.equals(type) ? [each.text] : []))
  const [commonName = '', ...more] = of(id.commonName)
  if (more.length > 0) throw new SyntaxError('it has more than one common name')
  const alternatives = alternativesIn(attributes)
  const tagged = (tag: number) => alternatives.filter((each) => each.tag === tag).map(({ content }) => content)
  const texts = (tag: number) => tagged(tag).map((content) => asciiOf(content))
  return {
    key,
    subject: sequence(...names.map(({ type, value }) => set(sequence(type, value)))),
    commonName,
    organizations: of(id.organization),
    emails: texts(0x81),
    dnsNames: texts(0x82).map(dnsName),
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

type Attribute = { type: Buffer; text: string; value: Buffer }

/** Those of a person or a program, as Go reads and writes them; others are left out. */
const known = ['2.5.4.3', '2.5.4.5', '2.5.4.6', '2.5.4.7', '2.5.4.8', '2.5.4.9', '2.5.4.10', '2.5.4.11', '2.5.4.17'].map((each) =>
  oid(each),
)

function attributesOf(subject: Element | undefined): Attribute[] {
  return fields(subject).flatMap(({ tag, content }) => {
    if (tag !== 0x31) throw new SyntaxError('its name holds something else than sets')
    return elements(content).flatMap((pair) => {
      const [type, value, ...rest] = fields(pair)
      if (!type || !value || rest.length > 0) throw new SyntaxError('a part of its name is no pair')
      const text = textOf(value)
      return known.some((each) => each.equals(type.whole)) ? [{ type: type.whole, text, value: value.whole }] : []
    })
  })
}

const strings = { utf8: 12, printable: 19, ia5: 22 }
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Of a string that everybody reads alike. What others read differently would be judged as one name and used as another. */
function textOf({ tag, content }: Element): string {
  if (tag === strings.utf8) return plainOf(decoded(content))
  if (tag !== strings.printable && tag !== strings.ia5)
    throw new SyntaxError('a part of its name is neither UTF8String nor PrintableString nor IA5String')
  const text = asciiOf(content)
  if (tag === strings.printable && !/^[A-Za-z0-9 '()+,./:=?*&-]*$/.test(text))
    throw new SyntaxError('a PrintableString holds what is not printable')
  return text
}

function decoded(content: Buffer): string {
  try {
    return utf8.decode(content)
  } catch (cause) {
    throw new SyntaxError('a part of its name is no UTF-8', { cause })
  }
}

function asciiOf(content: Buffer): string {
  if (content.some((byte) => byte > 0x7e)) throw new SyntaxError('a name holds what is not ASCII')
  return plainOf(content.toString('latin1'))
}

function plainOf(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new SyntaxError('a name holds a control character')
  return text
}

/** An address among names would become an address of the certificate. */
function dnsName(name: string): string {
  if (isIP(name) !== 0) throw new SyntaxError(`${name} is an address and no DNS name`)
  return name
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
