// Connections that clients upgrade, as requests to an app of Hono's: its stages say who may, its routes what for, and its
// handlers take the connection over. There is no response to write on; what is thrown refuses the upgrade.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Context } from 'hono'
import { Hono } from 'hono/tiny'
import { refuseUpgrade } from '../streaming/upgrade.ts'
import { alreadySent, type HttpEnv } from './env.ts'
import { NodeIncoming } from './incoming.ts'
import { pathOf, RequestView } from './view.ts'

export type Upgrade = { incoming: IncomingMessage; socket: Duplex; head: Buffer }
export type UpgradeEnv = { Bindings: HttpEnv['Bindings'] & Upgrade; Variables: HttpEnv['Variables'] }

/** `told` is what the client hears of an error. */
export function newUpgrades<E extends UpgradeEnv>(told: (error: Error, c: Context<E>) => Error): Hono<E> {
  const app = new Hono<E>({ getPath: pathOf })
  app.use(async (c, next) => {
    const raw: unknown = c.req.raw
    ;(c as unknown as Context<UpgradeEnv>).set('incoming', (raw as RequestView).incoming)
    await next()
  })
  app.onError((error, c) => {
    refuseUpgrade(c.env.socket, told(error, c))
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
      refuseUpgrade(socket, error)
    }
  }

/** Makes of `run` a handler: it has the connection until it resolves. */
export const taking =
  <E extends UpgradeEnv>(run: (c: Context<E>) => Promise<void>) =>
  async (c: Context<E>): Promise<Response> => {
    await run(c)
    return alreadySent
  }
