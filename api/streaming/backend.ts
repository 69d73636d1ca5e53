// A server behind ours, to which requests are passed on.

import type { ConnectionOptions } from 'node:tls'

export type Backend = {
  host: string
  port: number
  /** Absent: plain HTTP. */
  tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>
  /** Path and query there. */
  path: string
  /** In place of the caller's, e.g. who that is. */
  headers?: Readonly<Record<string, string | string[]>>
}

/** Of one hop only. */
const hop = ['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade']

export const isHopByHop = (name: string): boolean => hop.includes(name)

/** Who the caller is was settled by our own authentication: none of it may reach the server behind. */
export const isPrivate = (name: string): boolean =>
  name === 'authorization' || name === 'cookie' || name === 'host' || name.startsWith('impersonate-') || name.startsWith('x-remote-')
