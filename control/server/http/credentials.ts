// What a request and its connection show of who asks.

import type { NodeRequest } from '#api/http/incoming.ts'
import type { Credentials } from '#control/auth/authenticator.ts'
import { credentialsOf, type TlsPeer } from '#control/auth/peer.ts'

type Peer = TlsPeer & { remoteAddress?: string }

export function credentialsIn(request: NodeRequest): Credentials {
  const { authorization } = request.headers
  return { ...credentialsOf(peerOf(request)), ...(authorization && { authorization }) }
}

/** The address that the connection comes from. */
export const sourceOf = (request: NodeRequest | undefined): string => (request && peerOf(request).remoteAddress) ?? ''

/** Of HTTP/2 the socket below: what a request gives for one stands before it, and asks at every look. */
const peerOf = (request: NodeRequest): Peer => (request.stream?.session?.socket as Peer | undefined) ?? (request.socket as unknown as Peer)
