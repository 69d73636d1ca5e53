// Connections that clients upgrade, as requests to an app of Hono's: its stages say who may, its routes what for, and its
// handlers take the connection over. There is no response to write on; what is thrown refuses the upgrade.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Context, Handler } from 'hono'
import { Hono } from 'hono/tiny'
import { type Status, StatusError } from '../errors.ts'
import { refuseUpgrade } from '../streaming/upgrade.ts'
import { alreadySent, type HttpEnv } from './env.ts'
import { NodeIncoming } from './incoming.ts'
import { pathOf, RequestView } from './view.ts'

/** The arguments of the `upgrade` event: what such an app has in its environment. */
export type Upgrade = { incoming: IncomingMessage; socket: Duplex; head: Buffer }

/** `statusOf`: what the client is told of an error. */
export function newUpgrades<E extends HttpEnv>(statusOf: (error: Error, c: Context<E>) => Status): Hono<E> {
  const app = new Hono<E>({ getPath: pathOf })
  app.use(async (context, next) => {
    const c = context as unknown as Context<HttpEnv>
    const raw: unknown = c.req.raw
    c.set('incoming', (raw as RequestView).incoming)
    await next()
  })
  app.onError((error, c) => {
    refuseUpgrade(upgradeIn(c).socket, statusOf(error, c))
    return alreadySent
  })
  return app
}

/** For the `upgrade` event. Resolves, and never rejects, once the handler has. */
export const upgrades =
  (app: { fetch(request: Request, env: Upgrade): Response | Promise<Response> }) =>
  async (incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    // Without this a connection that breaks would end the process.
    socket.on('error', () => socket.destroy())
    try {
      const request: unknown = new RequestView(new NodeIncoming(incoming, socket))
      await app.fetch(request as Request, { incoming, socket, head })
    } catch (error) {
      const refusal = error instanceof StatusError ? error : new StatusError('InternalError', String(error))
      refuseUpgrade(socket, refusal.toStatus())
    }
  }

/** A handler: `run` has the connection until it resolves. */
export const taking =
  <E extends HttpEnv>(run: (c: Context<E>, upgrade: Upgrade) => Promise<void>): Handler<E> =>
  async (c) => {
    await run(c, upgradeIn(c))
    return alreadySent
  }

export const upgradeIn = <E extends HttpEnv>(c: Context<E>): Upgrade => c.env as unknown as Upgrade
