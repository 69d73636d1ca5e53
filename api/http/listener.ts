// Between node's HTTP server and an app of Hono's.

import { type Incoming, NodeIncoming, type NodeRequest, type NodeResponse } from './incoming.ts'
import type { Reply } from './reply.ts'
import { send } from './send.ts'
import { RequestView } from './view.ts'

/** As Hono is one. */
type App = { fetch(request: Request, env: object): Response | Promise<Response> }
/** Answers what no app can: a request that names no path, and what was thrown that is no Error. */
type Refuse = (error: unknown, request: NodeRequest) => Reply

/** For the `request` event; the app's outermost stage is `replies`. */
export const listener =
  (app: App, refuse: Refuse) =>
  async (incoming: NodeRequest, outgoing: NodeResponse): Promise<void> => {
    // A connection that breaks under an answer ends it, which is all there is to do about it.
    outgoing.on('error', () => {})
    try {
      const request: Incoming = new NodeIncoming(incoming, outgoing)
      await app.fetch(new RequestView(request) as unknown as Request, { incoming, outgoing })
    } catch (error) {
      if (outgoing.headersSent) outgoing.destroy()
      else await send(refuse(error, incoming), incoming, outgoing)
    }
  }
