// What Hono knows of a request: its environment (`c.env`), what its way through the stages adds (`c.get`), and the
// answer. The conventions are @hono/node-server's: Node's own request and response are in the environment, and what was
// written below Hono is a Response that says so.

import type { Context, MiddlewareHandler } from 'hono'
import type { Incoming, NodeRequest, NodeResponse } from './incoming.ts'
import type { Reply } from './reply.ts'
import { replyOf } from './web.ts'

export type HttpEnv = {
  /** Without them nothing came over a connection: `app.request()`. */
  Bindings: { incoming?: NodeRequest; outgoing?: NodeResponse }
  Variables: { incoming: Incoming; reply: Reply | undefined }
}

/** What every app of ours can mount, whatever else it knows of a request. */
export type Stage<E extends HttpEnv = HttpEnv> = MiddlewareHandler<E>

/** The form of @hono/node-server's RESPONSE_ALREADY_SENT. Theirs is made by fetch, which an agent does without. */
export const alreadySent = Object.freeze({ status: 200, body: null, headers: { 'x-hono-already-sent': 'true' } }) as unknown as Response

/** Answers with `reply`, which the outermost stage sends; what was answered before counts no more. */
export function replied<E extends HttpEnv>(c: Context<E>, reply: Reply): Response {
  ;(c as unknown as Context<HttpEnv>).set('reply', reply)
  if (c.finalized) c.res = undefined
  return alreadySent
}

/** What has been answered within, for stages that add to it; of a handler that knows only Hono, its Response. */
export function replyTo<E extends HttpEnv>(context: Context<E>): Reply {
  const c = context as unknown as Context<HttpEnv>
  const reply = c.get('reply') ?? replyOf(c.res)
  c.set('reply', reply)
  return reply
}
