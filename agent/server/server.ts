// The agent's own endpoint, compatible with the kubelet's: logs, exec, attach, port-forward, pods and
// usage, for the API server alone. Everyone else, certificate or not, gets a Status and nothing more.

import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { listener } from '#api/http/listener.ts'
import { upgrades } from '#api/http/upgrades.ts'
import { statusReply } from './answers.ts'
import { agentApp } from './app.ts'
import type { Served } from './env.ts'
import { agentStreams } from './streams.ts'

export type Tls = {
  /** The authority of agents' endpoints, from which only the server has a certificate for calling. */ ca: string
  cert: string
  key: string
}

export type AgentServerOptions = Served & {
  tls: Tls
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

export async function openAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const closing = new AbortController()
  const secure = ({ ca, cert, key }: Tls) => ({ ca, cert, key, minVersion: 'TLSv1.2' as const })
  const server = createServer({ ...secure(options.tls), requestCert: true, rejectUnauthorized: false })
  const answer = listener(agentApp(options, closing.signal), statusReply)
  const upgrade = upgrades(agentStreams(options, closing.signal))
  server.on('request', (request, response) => void answer(request, response))
  server.on('upgrade', (request, socket, head) => void upgrade(request, socket, head))
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

function listen(server: Server, { host, port }: { host?: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
