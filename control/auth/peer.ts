// The client certificate of a TLS connection.

import type { Credentials } from './authenticator.ts'

/** The part of a TLS socket that is read here; HTTP/2 hands out a stand-in with the same methods. */
export type TlsPeer = {
  authorized: boolean
  getPeerCertificate(): { subject?: { CN?: string | string[]; O?: string | string[] }; serialNumber?: string; valid_to?: string } | null
}

const seen = new WeakMap<object, Credentials>()

/** Read once per connection. */
export function credentialsOf(socket: TlsPeer): Credentials {
  let credentials = seen.get(socket)
  if (!credentials) {
    credentials = read(socket)
    seen.set(socket, credentials)
  }
  return credentials
}

function read(socket: TlsPeer): Credentials {
  const { subject, serialNumber: serial, valid_to: validTo = '' } = socket.getPeerCertificate() ?? {}
  if (!subject) return {}
  if (!socket.authorized) return { badCertificate: true }
  const [commonName = ''] = listOf(subject.CN)
  const end = Date.parse(validTo)
  return { certificate: { commonName, organizations: listOf(subject.O), ...(serial && { serial }), ...(end && { end }) } }
}

const listOf = (value: string | string[] | undefined): string[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])
