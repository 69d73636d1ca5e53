// How a new node gets its certificates: it shows a join token, or the certificate that it has, and two signing
// requests. A token is worth a node that the cluster does not know yet, and nothing else: not the server's names or
// addresses, and no node that is there.

import { isIP } from 'node:net'
import { type Cidr, contains, formatAddress, parseAddress } from '#api/cidr.ts'
import { StatusError } from '#api/errors.ts'
import { isDns1123Label, isDns1123Subdomain } from '#api/kinds/rules/names.ts'
import { isObject } from '#api/schema/decode.ts'
import { specialAddress } from '#api/special-address.ts'
import type { Credentials } from './authenticator.ts'
import type { BootstrapToken, BootstrapTokens } from './bootstrap-tokens.ts'
import { nodeOf, nodesGroup } from './user.ts'

/** What a certificate will say; the request itself only brings the key. */
export type SigningProfile = { commonName: string; organizations?: string[]; usage: 'client' | 'server'; hosts?: string[] }
/** A certificate (PEM) for the key of a signing request (PEM). Throws SyntaxError where it is not one. */
export type Sign = (request: string, profile: SigningProfile) => Promise<string>

export type JoinDeps = {
  /** By the authority of clients, and by that of agents. */
  sign: Record<'client' | 'server', Sign>
  /** The certificates of these authorities, PEM. */
  authorities: { clients: string; agents: string }
  nodeExists(this: void, name: string): boolean
  /** Whose certificates count no more. */
  isRevoked(this: void, commonName: string): boolean
  /** What the server itself goes by. Its addresses are a node's only where that node is on the server's own host. */
  server: { names: readonly string[]; addresses: readonly string[] }
  serviceCidrs: readonly Cidr[]
}
export type JoinAnswer = { clientCert: string; servingCert: string; ca: string; agentsCa: string }

/** Who asks: a node, by the certificate that it has, or whoever has a token. */
export type Joiner = { node?: string; token?: BootstrapToken; source: string }

const mostAddresses = 64
const mostRequest = 16 * 1024

/** Looks at what the connection and the Authorization header show, and at nothing else. Throws Unauthorized. */
export function joinerOf(tokens: BootstrapTokens, { certificate, authorization }: Credentials, source: string): Joiner {
  const node = certificate && nodeOf({ name: certificate.commonName, groups: certificate.organizations })
  const bearer = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  const token = bearer === undefined ? undefined : tokens.verify(bearer)
  if (bearer !== undefined && !token && node === undefined)
    throw new StatusError('Unauthorized', 'the join token is not one of this cluster, or its time is over')
  if (node === undefined && !token)
    throw new StatusError('Unauthorized', 'a node joins with a join token, or with the certificate that it has')
  return { ...(node !== undefined && { node }), ...(token && { token }), source }
}

/** `body` is what the node sent. Throws BadRequest, Forbidden. */
export async function join(deps: JoinDeps, joiner: Joiner, body: unknown): Promise<JoinAnswer & { nodeName: string }> {
  const { nodeName, addresses, clientCsr, servingCsr } = read(body)
  const refuse = (why: string) => new StatusError('Forbidden', `node ${JSON.stringify(nodeName)} cannot join: ${why}`)
  const name = nameFault(nodeName, deps)
  if (name) throw refuse(name)
  for (const address of addresses) {
    const fault = addressFault(address, deps, joiner)
    if (fault) throw refuse(`${address} ${fault}`)
  }
  const identity = identityFault(nodeName, deps, joiner)
  if (identity) throw refuse(identity)
  const { sign, authorities } = deps
  try {
    const [clientCert, servingCert] = await Promise.all([
      sign.client(clientCsr, { commonName: `system:node:${nodeName}`, organizations: [nodesGroup], usage: 'client' }),
      sign.server(servingCsr, { commonName: nodeName, usage: 'server', hosts: [nodeName, ...addresses] }),
    ])
    return { nodeName, clientCert, servingCert, ca: authorities.clients, agentsCa: authorities.agents }
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new StatusError('BadRequest', `a signing request is not valid: ${error.message}`, undefined, { cause: error })
    throw error
  }
}

function nameFault(name: string, { server }: JoinDeps): string | undefined {
  if (server.names.includes(name) || name === 'localhost' || name.endsWith('.localhost')) return "this name is the server's"
  return /(^|\.)svc(\.|$)/.test(name) ? "this name is a service's" : undefined
}

function addressFault(address: string, { server, serviceCidrs }: JoinDeps, { source }: Joiner): string | undefined {
  const special = specialAddress(address)
  if (special) return special
  if (serviceCidrs.some((cidr) => contains(cidr, address))) return 'is in the range of services'
  const isHere = specialAddress(source)?.includes('loopback') || server.addresses.some((own) => sameAddress(own, source))
  return !isHere && server.addresses.some((own) => sameAddress(own, address)) ? 'is an address of the server' : undefined
}

/** A node that is there is nobody's but its own. */
function identityFault(name: string, { nodeExists, isRevoked }: JoinDeps, { node, token }: Joiner): string | undefined {
  if (isRevoked(`system:node:${name}`)) return 'it is revoked'
  if (node === name || token?.node === name) return undefined
  if (!token) return `this certificate is that of node ${JSON.stringify(node)}`
  if (token.node !== undefined) return `this token is for node ${JSON.stringify(token.node)}`
  return nodeExists(name)
    ? `it exists, so it needs its own certificate, or a token of its own (coracle token create --node ${name}), or to be deleted first`
    : undefined
}

const plain = (text: string): string => {
  const address = parseAddress(text)
  if (!address) return text
  const { family, value } = address
  return formatAddress(family === 'IPv6' && value >> 32n === 0xffffn ? { family: 'IPv4', value: value & 0xffffffffn } : address)
}
const sameAddress = (a: string, b: string): boolean => plain(a) === plain(b)

function read(body: unknown): { nodeName: string; addresses: string[]; clientCsr: string; servingCsr: string } {
  const refuse = (why: string) => new StatusError('BadRequest', `a node cannot join: ${why}`)
  if (!isObject(body)) throw refuse('the request body must hold one object')
  const { nodeName, addresses, clientCsr, servingCsr } = body
  if (typeof nodeName !== 'string' || !isNodeName(nodeName))
    throw refuse('nodeName must be a lowercase DNS name (RFC 1123), and no address')
  const isAddress = (value: unknown): value is string => typeof value === 'string' && isIP(value) !== 0 && !value.includes('%')
  if (!Array.isArray(addresses) || addresses.length === 0 || addresses.length > mostAddresses || !addresses.every(isAddress))
    throw refuse('addresses must list the IP addresses of the node')
  const isRequest = (value: unknown): value is string => typeof value === 'string' && value.length <= mostRequest
  if (!isRequest(clientCsr) || !isRequest(servingCsr)) throw refuse('clientCsr and servingCsr must be PEM text')
  return { nodeName, addresses: addresses.map(plain), clientCsr, servingCsr }
}

/** Not one whose last part is a number: programs would take it for an address. */
const isNodeName = (name: string): boolean =>
  isDns1123Subdomain(name).length === 0 &&
  name.split('.').every((label) => isDns1123Label(label).length === 0) &&
  !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)
