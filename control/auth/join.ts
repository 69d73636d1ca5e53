// How a new node gets its certificates: it shows the join token and two signing requests. The name it
// takes becomes its identity, so whoever has the token can be any node: keep it as secret as a key.

import { isIPv4 } from 'node:net'
import { StatusError } from '#api/errors.ts'
import { isDns1123Subdomain } from '#api/kinds/names.ts'
import { isObject } from '#api/schema/decode.ts'
import { sameText } from './authenticator.ts'
import { nodesGroup } from './user.ts'

/** What a certificate will say; the request itself only brings the key. */
export type SigningProfile = { commonName: string; organizations?: string[]; usage: 'client' | 'server'; hosts?: string[] }
/** A certificate (PEM) for the key of a signing request (PEM). Throws SyntaxError where it is not one. */
export type Sign = (request: string, profile: SigningProfile) => Promise<string>

export type JoinDeps = { sign: Sign; joinToken: string; authorityCert: string }
export type JoinAnswer = { clientCert: string; servingCert: string; ca: string }

const mostAddresses = 64

/** `body` is what the node sent. Throws Unauthorized, BadRequest. */
export async function join(
  { sign, joinToken, authorityCert }: JoinDeps,
  authorization: string | undefined,
  body: unknown,
): Promise<JoinAnswer> {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (!token || !sameText(token, joinToken)) throw new StatusError('Unauthorized', 'the join token is not the one of this cluster')
  const { nodeName, addresses, clientCsr, servingCsr } = read(body)
  try {
    const [clientCert, servingCert] = await Promise.all([
      sign(clientCsr, { commonName: `system:node:${nodeName}`, organizations: [nodesGroup], usage: 'client' }),
      sign(servingCsr, { commonName: nodeName, usage: 'server', hosts: [nodeName, ...addresses] }),
    ])
    return { clientCert, servingCert, ca: authorityCert }
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new StatusError('BadRequest', `a signing request is not valid: ${error.message}`, undefined, { cause: error })
    throw error
  }
}

function read(body: unknown): { nodeName: string; addresses: string[]; clientCsr: string; servingCsr: string } {
  const refuse = (why: string) => new StatusError('BadRequest', `a node cannot join: ${why}`)
  if (!isObject(body)) throw refuse('the request body must hold one object')
  const { nodeName, addresses, clientCsr, servingCsr } = body
  if (typeof nodeName !== 'string' || isDns1123Subdomain(nodeName).length > 0) throw refuse('nodeName must be a lowercase DNS name')
  const isAddress = (value: unknown): value is string => typeof value === 'string' && (isIPv4(value) || value.includes(':'))
  if (!Array.isArray(addresses) || addresses.length === 0 || addresses.length > mostAddresses || !addresses.every(isAddress)) {
    throw refuse('addresses must list the IP addresses of the node')
  }
  if (typeof clientCsr !== 'string' || typeof servingCsr !== 'string') throw refuse('clientCsr and servingCsr must be PEM text')
  return { nodeName, addresses, clientCsr, servingCsr }
}
