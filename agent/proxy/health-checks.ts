// The health check node ports: a load balancer in front of the nodes asks each of them whether it has
// endpoints of a service with traffic policy Local, and sends nothing to those that have none.

import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { Log } from '#api/log.ts'
import { createHttpServer } from '../http.ts'
import type { HealthCheck } from './frontends.ts'

export type HealthChecks = {
  /** Answers for these services, by `namespace/name`, and no others. A port that cannot be had is logged and tried again with the next call. */
  apply(checks: ReadonlyMap<string, HealthCheck>): Promise<void>
  close(): Promise<void>
}

type Listener = { server: Server; answer: Answer }
type Answer = { namespace: string; name: string; readyHere: number }

/** Those who ask hold no connections for longer, milliseconds. */
const IDLE_MS = 10_000

export const openHealthChecks = ({ log }: { log: Log }): HealthChecks => {
  const listeners = new Map<number, Listener>()
  let queue: Promise<void> = Promise.resolve()

  const stop = async (port: number): Promise<void> => {
    const server = listeners.get(port)?.server
    listeners.delete(port)
    if (!server) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }

  const listen = async (port: number, answer: Answer): Promise<void> => {
    const listener: Listener = { answer, server: createHttpServer((_, response) => respond(response, listener.answer)) }
    listener.server.keepAliveTimeout = IDLE_MS
    try {
      listener.server.listen(port)
      await once(listener.server, 'listening')
      listener.server.on('error', (err) => log.warn({ err, port }, 'a health check port failed'))
      listeners.set(port, listener)
    } catch (err) {
      log.warn({ err, port, service: `${answer.namespace}/${answer.name}` }, 'a health check port cannot be listened on')
    }
  }

  const run = async (checks: ReadonlyMap<string, HealthCheck>): Promise<void> => {
    const wanted = new Map<number, Answer>()
    for (const [id, { port, readyHere }] of checks) {
      const [namespace = '', name = ''] = id.split('/')
      wanted.set(port, { namespace, name, readyHere })
    }
    for (const port of listeners.keys()) if (!wanted.has(port)) await stop(port)
    for (const [port, answer] of wanted) {
      const listener = listeners.get(port)
      if (listener) listener.answer = answer
      else await listen(port, answer)
    }
  }

  const enqueue = (work: () => Promise<void>): Promise<void> => (queue = queue.then(work))
  return {
    apply: (checks) => enqueue(() => run(checks)),
    close: () => enqueue(() => run(new Map())),
  }
}

/** The form that Kubernetes' own proxy has, which load balancers know. */
const respond = (response: ServerResponse, { namespace, name, readyHere }: Answer): void => {
  response.writeHead(readyHere > 0 ? 200 : 503, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    'x-load-balancing-endpoint-weight': String(readyHere),
  })
  response.end(JSON.stringify({ service: { namespace, name }, localEndpoints: readyHere, serviceProxyHealthy: true }))
}
