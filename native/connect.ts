// TCP connections that start inside a network namespace, so that what listens on 127.0.0.1 there is reached.

import { addon, WRITABLE } from './addon.ts'
import { SysError } from './sys-error.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOL_SOCKET = 1
const SO_ERROR = 4

/**
 * Connects and resolves with the descriptor, which the caller owns: `new net.Socket({ fd })` takes it.
 * `host` is a numeric address. Rejects with the SysError of connect(2) (ECONNREFUSED, EHOSTUNREACH...),
 * or with the signal's reason.
 */
export const connectInNetns = async (options: { netns?: string; host: string; port: number; signal?: AbortSignal }): Promise<number> => {
  const { netns, host, port, signal } = options
  signal?.throwIfAborted()
  const socket = await addon.openSocket(netns, host.includes(':') ? AF_INET6 : AF_INET, SOCK_STREAM, 0)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const abort = () => reject(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  try {
    signal?.throwIfAborted()
    addon.connect(socket, host, port)
    addon.arm(socket, WRITABLE, resolve)
    await promise
    const error = addon.getOption(socket, SOL_SOCKET, SO_ERROR)
    if (error !== 0) throw new SysError(error, 'connect', `${host}:${port}`)
    return addon.detach(socket)
  } finally {
    signal?.removeEventListener('abort', abort)
    addon.close(socket)
  }
}
