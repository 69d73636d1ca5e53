// The agent's own endpoint, compatible with the kubelet's: logs, exec, attach, port-forward, pods and
// usage, for the API server alone. Everyone else, certificate or not, gets a Status and nothing more.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { connectInNetns } from 'nft-js'
import type { Clock } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { Log } from '#api/log.ts'
import { servePortForward } from '#api/streaming/portforward.ts'
import { commandRequest, serveCommand } from '#api/streaming/remotecommand.ts'
import { refuseUpgrade } from '#api/streaming/upgrade.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { findRunning, networkOf } from './find.ts'
import { serveLogs } from './logs.ts'
import { parseRoute, type Route } from './route.ts'
import { runCommand } from './run.ts'
import { Rates, readUsage, resourceMetrics, summary } from './usage.ts'

export type Tls = {
  /** The authority of agents' endpoints, from which only the server has a certificate for calling. */ ca: string
  cert: string
  key: string
}

export type AgentServerOptions = {
  runtime: Runtime
  /** The pods that the API has on this node. */
  pods: () => readonly Pod[]
  nodeName: string
  tls: Tls
  /** Common names of the client certificates that may call. */
  callers: readonly string[]
  log: Log
  clock: Clock
  /** Of this process, Prometheus text. */
  metrics?: () => Promise<string>
  /** Absent: every address. */
  host?: string
  port: number
}

export type AgentServer = {
  readonly port: number
  /** New connections get the new certificate; existing ones go on. */
  renew(tls: Tls): void
  /** Ends running streams. Idempotent. */
  close(): Promise<void>
}

const dialMs = 10_000

export async function openAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const { runtime, log, clock, callers } = options
  const closing = new AbortController()
  const rates = new Rates(() => clock.monotonic())
  const deps = { ...options, now: () => clock.now(), closing: closing.signal }
  const secure = ({ ca, cert, key }: Tls) => ({ ca, cert, key, minVersion: 'TLSv1.2' as const })
  const server = createServer({ ...secure(options.tls), requestCert: true, rejectUnauthorized: false })

  /** The request is answered once this resolves. Throws what becomes a Status. */
  async function handle(req: IncomingMessage, res: ServerResponse, route: Route, query: URLSearchParams): Promise<void> {
    switch (route.name) {
      case 'healthz':
        return send(res, 'text/plain', 'ok')
      case 'pods':
        return send(res, 'application/json', JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() }))
      case 'metrics':
        return send(res, 'text/plain; version=0.0.4', (await options.metrics?.()) ?? '')
      case 'metrics/resource':
        return send(res, 'text/plain; version=0.0.4', resourceMetrics(await readUsage(runtime), clock.now()))
      case 'stats/summary':
        return send(res, 'application/json', JSON.stringify(summary(await readUsage(runtime), rates, options.nodeName, clock.now())))
      case 'containerLogs':
        return serveLogs(deps, route, query, req, res)
      case 'run':
        if (req.method !== 'POST') throw new StatusError('MethodNotAllowed', 'only POST runs a command')
        return send(res, 'text/plain', await runCommand(runtime, (await findRunning(options, route)).id, query, closing.signal))
      default:
        throw new StatusError('BadRequest', 'unable to upgrade: missing upgrade headers in request')
    }
  }

  async function upgrade(req: IncomingMessage, socket: Duplex, head: Buffer, route: Route, query: URLSearchParams): Promise<void> {
    const connection = { req, socket, head }
    if (route.name === 'portForward') {
      const netns = await networkOf(options, route)
      return servePortForward(connection, query, (port, signal) => dial(netns, port, signal))
    }
    if (route.name !== 'exec' && route.name !== 'attach') throw new StatusError('NotFound', 'nothing to upgrade here')
    const { id } = await findRunning(options, route)
    const request = commandRequest(query)
    const { command: args, tty } = request
    if (route.name === 'attach') return serveCommand(connection, request, (streams) => runtime.attach(id, { tty, ...streams }))
    if (args.length === 0) throw new StatusError('BadRequest', 'you must specify at least one command for the container')
    return serveCommand(connection, request, (streams) => runtime.exec(id, { args, tty, ...streams }))
  }

  function admit(req: IncomingMessage): { route: Route; query: URLSearchParams } {
    const socket = req.socket as TLSSocket
    const name = socket.authorized ? socket.getPeerCertificate().subject?.CN : undefined
    if (!name)
      throw new StatusError('Unauthorized', `a client certificate of the cluster is required: ${String(socket.authorizationError)}`)
    if (!callers.includes(String(name))) throw new StatusError('Forbidden', `${String(name)} may not call the agent`)
    const url = new URL(req.url ?? '/', 'https://agent')
    const route = parseRoute(url.pathname)
    if (!route) throw new StatusError('NotFound', `the agent has no ${url.pathname}`)
    return { route, query: url.searchParams }
  }

  const failed = (error: unknown, req: IncomingMessage) => {
    if (!(error instanceof StatusError)) log.error({ err: error, url: req.url }, 'a request to the agent failed')
  }
  server.on('request', (req, res) => {
    const answer = async () => {
      const { route, query } = admit(req)
      await handle(req, res, route, query)
    }
    answer().catch((error: unknown) => {
      failed(error, req)
      if (res.headersSent) res.destroy()
      else sendError(res, error)
    })
  })
  server.on('upgrade', (req, socket, head) => {
    // Its streams hear of it themselves; without this the process would end.
    socket.on('error', () => {})
    const stop = () => socket.destroy()
    closing.signal.addEventListener('abort', stop, { once: true })
    socket.once('close', () => closing.signal.removeEventListener('abort', stop))
    const answer = async () => {
      const { route, query } = admit(req)
      await upgrade(req, socket, head, route, query)
    }
    answer().catch((error: unknown) => {
      failed(error, req)
      refuseUpgrade(socket, error)
    })
  })
  server.on('tlsClientError', () => {})
  await listen(server, options)

  let closed: Promise<void> | undefined
  return {
    port: (server.address() as AddressInfo).port,
    renew: (tls) => server.setSecureContext(secure(tls)),
    close() {
      closing.abort()
      closed ??= new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      return closed
    },
  }
}

/** From inside the pod's network namespace, where what listens on localhost is found too. */
async function dial(netns: string | undefined, port: number, signal: AbortSignal): Promise<Duplex> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(dialMs)])
  const connect = (host: string) => connectInNetns({ netns, host, port, signal: within })
  // What listens on ::1 alone is not reached by IPv4; the first refusal is the one to tell.
  const fd = await connect('127.0.0.1').catch((error: unknown) => connect('::1').catch(() => Promise.reject(error)))
  return new Socket({ fd, allowHalfOpen: true, readable: true, writable: true })
}

function listen(server: Server, { host, port }: { host?: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function send(res: ServerResponse, type: string, body: string): void {
  res.writeHead(200, { 'content-type': type }).end(body)
}

function sendError(res: ServerResponse, error: unknown): void {
  const status = (
    error instanceof StatusError ? error : new StatusError('InternalError', error instanceof Error ? error.message : String(error))
  ).toStatus()
  res.writeHead(status.code, { 'content-type': 'application/json' }).end(JSON.stringify(status))
}
