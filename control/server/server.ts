// The API server: opens what lies under it, puts the parts together, listens. The only one that
// touches the store; everybody else, the components in this process too, goes through a Client.

import type { IncomingMessage } from 'node:http'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { type Cidr, parseCidrs } from '#api/cidr.ts'
import type { Client } from '#api/client/client.ts'
import { type Clock, sleep } from '#api/clock.ts'
import type { NodeRequest, NodeResponse } from '#api/http/incoming.ts'
import { listener } from '#api/http/listener.ts'
import { upgrades } from '#api/http/upgrades.ts'
import type { Log } from '#api/log.ts'
import type { APIService } from '#api/types/apiregistration-v1.gen.ts'
import { credentialsOf } from '#control/auth/peer.ts'
import { serverUser, type User } from '#control/auth/user.ts'
import type { Pki } from '#control/pki/pki.ts'
import type { Store } from '../store/store.ts'
import { aggregating } from './aggregation/client.ts'
import { type Assembly, assemble } from './assemble.ts'
import { bootstrap } from './bootstrap.ts'
import type { App } from './http/app.ts'
import { Connections, type Limits, limitOptions, standardLimits } from './http/connections.ts'
import { answerStatus, statusOf } from './http/status.ts'
import { inProcessClient, turnsOfWrites } from './in-process.ts'
import type { Dial } from './routes/dial.ts'
import { connectApp } from './routes/upgrade.ts'

export type ServerOptions = {
  /** Stays the caller's: closed after the server. */
  store: Store
  pki: Pki
  listen: { host?: string; port: number }
  /** Where pods and nodes reach this server; the port is the one it listens on unless told. */
  advertise: { address: string; port?: number }
  /** One of each family that services can have, the cluster's own first; default 10.43.0.0/16. */
  serviceCidrs?: readonly Cidr[]
  /** Where pods ask for names; by default the tenth address of each range. */
  clusterDNS?: readonly string[]
  limits?: Partial<Limits>
  /** What this server's certificate names, but for the host's own name: no node takes these. */
  identity?: { names: readonly string[]; addresses: readonly string[] }
  /** Tests are sent elsewhere. */
  dial?: Dial
  clock: Clock
  log: Log
}

export type Server = {
  port: number
  app: App
  /** Asks a server behind an APIService what it offers. Throws what kept it from answering. */
  probe(service: APIService, signal: AbortSignal): Promise<void>
  /** For components in this process. */
  client(user?: User): Client
  /** Ends every request and watch. */
  close(): Promise<void>
}

/** History that watches may resume from after a restart. */
const compactEveryMs = 5 * 60_000
const startAgainMs = 2_000
const defaultCidrs = parseCidrs('10.43.0.0/16') as Cidr[]

export async function startServer(options: ServerOptions): Promise<Server> {
  const { store, pki, clock, log, serviceCidrs = defaultCidrs } = options
  const stop = new AbortController()
  const { identity = { names: [], addresses: [options.advertise.address] } } = options
  const assembly = await assemble({ store, pki, clock, log, serviceCidrs, identity, ...(options.dial && { dial: options.dial }) })
  const { app, core, creators, agentTls, usage } = assembly
  const turn = turnsOfWrites()
  const client = (user = serverUser) =>
    aggregating(inProcessClient({ core, user, creators, agentTls, usage, turn }), assembly.aggregator, user)
  const limits = { ...standardLimits, ...options.limits }
  const connections = new Connections({ limits, clock, log })
  const server = secureServer(options, assembly, limits, connections)
  connections.follow(server)
  // Each request asks anew; what runs already (watches, execs, logs) ends with its connection.
  assembly.onRevoked(() =>
    connections.end((peer) => {
      const { certificate } = credentialsOf(peer)
      return certificate !== undefined && assembly.revoked.has(certificate)
    }),
  )
  const upgrade = upgrades(connectApp({ ...assembly, signal: stop.signal }))
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => void upgrade(request, socket, head))
  const compaction = keepCompacting(store, clock, log)
  const close = async () => {
    stop.abort()
    compaction.cancel()
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    connections.close()
    await closed
    await assembly.close()
  }
  try {
    const port = await listening(server, options.listen)
    const start = async () => {
      await bootstrap({
        client: client(),
        advertise: { port, ...options.advertise },
        serviceCidrs,
        clusterDNS: options.clusterDNS,
        authorities: { clients: pki.authority.cert, frontProxy: pki.frontProxy.authority },
      })
      assembly.ready()
    }
    try {
      await start()
    } catch (err) {
      // On a full disk what is there can still be read.
      if (!store.trouble) throw err
      log.error({ trouble: store.trouble }, 'the API server starts without being able to write')
      void startLater(start, { clock, log, signal: stop.signal })
    }
    log.info({ port }, 'the API server is listening')
    return { port, app, client, close, probe: (service, signal) => assembly.aggregator.probe(service, signal) }
  } catch (error) {
    await close()
    throw error
  }
}

async function startLater(
  start: () => Promise<void>,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  for (;;) {
    await sleep(clock, startAgainMs, signal)
    if (signal.aborted) return
    try {
      await start()
      return log.info({}, 'the API server can write, and is ready')
    } catch (err) {
      log.warn({ err }, 'the API server is not ready yet')
    }
  }
}

function secureServer({ pki }: ServerOptions, assembly: Assembly, limits: Limits, connections: Connections): Http2SecureServer {
  const answer = listener(assembly.app, (error) => answerStatus(statusOf(error).status))
  const server = createSecureServer(
    {
      ...secureContext(pki),
      requestCert: true,
      // Who shows no certificate may show a token.
      rejectUnauthorized: false,
      allowHTTP1: true,
      ...limitOptions(limits),
    } as Parameters<typeof createSecureServer>[0],
    (request, response) => {
      connections.answering(response)
      void answer(request as unknown as NodeRequest, response as unknown as NodeResponse)
    },
  )
  server.on('tlsClientError', () => {})
  server.on('sessionError', () => {})
  // Connections that come get the new certificate; those that stand go on.
  server.on(
    'close',
    pki.onRenewed(() => server.setSecureContext(secureContext(pki))),
  )
  return server
}

const secureContext = ({ serving, authority }: Pki) => ({
  // The authority goes with it: a joining agent recognises the cluster by it.
  cert: `${serving.cert}\n${authority.cert}`,
  key: serving.key,
  ca: authority.cert,
  minVersion: 'TLSv1.2' as const,
})

function listening(server: Http2SecureServer, { host, port }: ServerOptions['listen']): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, ...(host && { host }) }, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

/** Keeps one interval of history, so that a client can resume over a restart. */
function keepCompacting(store: Store, clock: Clock, log: Log): { cancel(): void } {
  let previous: number | undefined
  let timer = clock.after(0, () => void run())
  let cancelled = false
  async function run(): Promise<void> {
    try {
      const now = await store.revision()
      if (previous !== undefined) await store.compact(previous)
      previous = now
    } catch (err) {
      if (!cancelled) log.error({ err }, 'compacting the store failed')
    }
    if (!cancelled) timer = clock.after(compactEveryMs, () => void run())
  }
  return {
    cancel() {
      cancelled = true
      timer.cancel()
    },
  }
}
