// The agent on its own machine: a unix socket for root alone, by which `coracle node pods|logs|exec` work while
// nobody else can be reached. Paths are the kubelet's; who may open the socket may do all of it.

import { chmod, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { StatusError } from '#api/errors.ts'
import type { Log } from '#api/log.ts'
import { commandRequest, serveCommand } from '#api/streaming/remotecommand.ts'
import { refuseUpgrade } from '#api/streaming/upgrade.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { createHttpServer } from '../http.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { findRunning } from '../server/find.ts'
import { serveLogs } from '../server/logs.ts'
import { parseRoute, type Route } from '../server/route.ts'

export type LocalOptions = {
  /** The agent's own, closed to everybody else. */
  dataDir: string
  runtime: Runtime
  /** With their states by this node's own account. */
  pods: () => readonly Pod[]
  now: () => number
  log: Log
}

export const socketOf = (dataDir: string): string => join(dataDir, 'agent.sock')

/** A kernel's sun_path holds no more, with its final zero. */
const PATH_BYTES = 107

/** Never throws: an agent whose folder has too long a name runs without it. */
export async function openLocal(options: LocalOptions): Promise<{ close(): Promise<void> }> {
  const { runtime, log } = options
  const path = socketOf(options.dataDir)
  if (Buffer.byteLength(path) > PATH_BYTES) {
    log.warn({ path }, 'the path is too long for a socket: `coracle node pods|logs|exec` will not work here')
    return { close: async () => {} }
  }
  const closing = new AbortController()
  const deps = { ...options, closing: closing.signal }
  const server = createHttpServer()

  async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { route, query } = routeOf(req)
    if (route.name === 'pods') {
      const list = { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() }
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list))
    } else if (route.name === 'containerLogs') await serveLogs(deps, route, query, req, res)
    else throw new StatusError('NotFound', `the agent has no ${req.url} here`)
  }

  async function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { route, query } = routeOf(req)
    if (route.name !== 'exec') throw new StatusError('NotFound', 'nothing to upgrade here')
    const { id } = await findRunning(options, route)
    const request = commandRequest(query)
    const { command: args, tty } = request
    if (args.length === 0) throw new StatusError('BadRequest', 'you must specify at least one command for the container')
    return await serveCommand({ req, socket, head }, request, (streams) => runtime.exec(id, { args, tty, ...streams }))
  }

  server.on('request', (req, res) => {
    handle(req, res).catch((error: unknown) => {
      const status = statusOf(error)
      if (res.headersSent) res.destroy()
      else res.writeHead(status.code, { 'content-type': 'application/json' }).end(JSON.stringify(status))
    })
  })
  server.on('upgrade', (req, socket, head) => {
    socket.on('error', () => {})
    const stop = () => socket.destroy()
    closing.signal.addEventListener('abort', stop, { once: true })
    socket.once('close', () => closing.signal.removeEventListener('abort', stop))
    upgrade(req, socket, head).catch((error: unknown) => refuseUpgrade(socket, error))
  })
  try {
    // Of an agent that was killed.
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    await chmod(path, 0o600)
  } catch (err) {
    log.warn({ err, path }, '`coracle node pods|logs|exec` will not work here')
  }
  return {
    async close() {
      closing.abort()
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function routeOf(req: IncomingMessage): { route: Route; query: URLSearchParams } {
  const url = new URL(req.url ?? '/', 'http://agent')
  const route = parseRoute(url.pathname)
  if (!route) throw new StatusError('NotFound', `the agent has no ${url.pathname}`)
  return { route, query: url.searchParams }
}

const statusOf = (error: unknown) =>
  (error instanceof StatusError
    ? error
    : new StatusError('InternalError', error instanceof Error ? error.message : String(error))
  ).toStatus()
